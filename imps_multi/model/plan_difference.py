"""What a change of the hub would make of a plan: the difference between two plans, one without it and one with it.

Pure. Fed by app with both plans; shown by ``plan -f``.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from imps_multi.model.plan_result import HELD_UNTIL, PlannedPolicy, PlannedWrite, PlanProblem, PlanResult


class PolicyChange(Struct, frozen=True, rename="camel", order=True):
    """How many targets a policy wants without the change and with it."""

    policy: str
    before: int
    after: int


class PlanDifference(Struct, frozen=True, rename="camel"):
    """The difference. ``withdrawn``: writes that would be made now, and no longer with the change."""

    writes: list[PlannedWrite] = field(default_factory=list)
    withdrawn: list[PlannedWrite] = field(default_factory=list)
    policies: list[PolicyChange] = field(default_factory=list)
    problems: list[PlanProblem] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)


def difference(before: PlanResult, after: PlanResult) -> PlanDifference:
    """Return what is in one plan and not in the other; which held set a removal is in makes no difference."""
    known, new = {_essence(write) for write in before.writes}, {_essence(write) for write in after.writes}
    return PlanDifference(
        writes=[write for write in after.writes if _essence(write) not in known],
        withdrawn=[write for write in before.writes if _essence(write) not in new],
        policies=sorted(_policies(before.policies, after.policies)),
        problems=[problem for problem in after.problems if problem not in before.problems],
        unreachable=sorted({*before.unreachable, *after.unreachable}),
    )


def _essence(write: PlannedWrite) -> tuple[object, ...]:
    why = write.why.partition(HELD_UNTIL)[0] if write.held else write.why
    return write.cluster, write.namespace, write.secret, write.policy, write.operation, write.held, why


def _policies(before: Iterable[PlannedPolicy], after: Iterable[PlannedPolicy]) -> Iterator[PolicyChange]:
    was, becomes = ({one.policy: one.targets for one in side} for side in (before, after))
    for name in was.keys() | becomes.keys():
        if was.get(name) != becomes.get(name):
            yield PolicyChange(name, was.get(name, 0), becomes.get(name, 0))
