"""The difference between a plan without a change of the hub and one with it."""

from imps_multi.model.plan_difference import PlanDifference, PolicyChange, difference
from imps_multi.model.plan_result import PlannedPolicy, PlannedWrite, PlanProblem, PlanResult


def write(namespace: str, operation: str = "create", why: str = "missing", *, held: bool = False) -> PlannedWrite:
    """Plan a write."""
    return PlannedWrite("prod-1", namespace, "pull", "team", operation, why, held=held)


WRONG = PlanProblem("policy team", "InvalidSpec", "is wrong")
AWAY = PlanProblem("cluster edge", "Timeout", "no answer")


def test_what_is_due_anyway_is_no_difference() -> None:
    before = PlanResult(writes=[write("a"), write("b", "delete")], problems=[AWAY], unreachable=["edge"])
    assert difference(before, before) == PlanDifference(unreachable=["edge"])


def test_what_comes_and_what_goes_is_told_apart() -> None:
    before = PlanResult(writes=[write("a"), write("b")], problems=[AWAY])
    after = PlanResult(writes=[write("a", "update"), write("b"), write("c")], problems=[AWAY, WRONG])
    found = difference(before, after)
    assert (found.writes, found.withdrawn) == ([write("a", "update"), write("c")], [write("a")])
    assert found.problems == [WRONG]


def test_the_same_removal_in_another_held_set_is_no_difference() -> None:
    before = PlanResult(writes=[write("a", "delete", "unwanted; held until h-1 is approved", held=True)])
    after = PlanResult(writes=[write("a", "delete", "unwanted; held until h-2 is approved", held=True)])
    assert difference(before, after) == PlanDifference()


def test_a_removal_that_gets_held_is_a_difference() -> None:
    free, held = (
        write("a", "delete", "unwanted"),
        write("a", "delete", "unwanted; held until h-2 is approved", held=True),
    )
    found = difference(PlanResult(writes=[free]), PlanResult(writes=[held]))
    assert (found.writes, found.withdrawn) == ([held], [free])


def test_policies_that_grow_shrink_or_are_new_are_told_with_their_targets() -> None:
    before = PlanResult(policies=[PlannedPolicy("grows", 1), PlannedPolicy("same", 2), PlannedPolicy("shrinks", 3)])
    after = PlanResult(
        policies=[
            PlannedPolicy("grows", 4),
            PlannedPolicy("new", 5),
            PlannedPolicy("same", 2),
            PlannedPolicy("shrinks", 0),
        ]
    )
    assert difference(before, after).policies == [
        PolicyChange("grows", 1, 4),
        PolicyChange("new", 0, 5),
        PolicyChange("shrinks", 3, 0),
    ]
