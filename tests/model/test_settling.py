"""An answered write settles a target by itself only where nothing else is to be said of it."""

from typing import Any

import pytest
from msgspec import structs

from imps_multi.model.names import PolicyName, Uid
from imps_multi.model.settling import settled
from imps_multi.model.target_plan import Create, State, TargetPlan, Update
from tests.model.objects import carry_out
from tests.model.scenes import NOW, resolved
from tests.model.test_book import A, as_seen, listed, moved, the_plan


def a_plan() -> TargetPlan:
    book = listed(resolved())
    book.look(A, now=NOW)
    return the_plan(book)


def state_after(plan: TargetPlan) -> State | None:
    line = settled(plan, as_seen(moved(carry_out(None, a_plan()) or {}, 50)))
    return None if line is None else line.state


def test_a_plan_for_one_policy_that_sends_everything_settles_its_target() -> None:
    assert state_after(a_plan()) is State.IN_SYNC


@pytest.mark.parametrize(
    "other", [{"state": State.HELD}, {"reason": "Waiting"}, {"desired": False}, {"policy": PolicyName("q")}], ids=repr
)
def test_what_is_said_beside_it_has_to_be_planned(other: dict[str, Any]) -> None:
    plan = a_plan()
    assert state_after(structs.replace(plan, lines=(structs.replace(plan.lines[0], **other),))) is None


def test_what_waits_beside_it_has_to_be_planned() -> None:
    plan = a_plan()
    assert isinstance(plan.write, Create)
    part = Update(uid=Uid("u"), resource_version=1, wanted=plan.write.wanted, put=False)
    for other in ({"wake_at": NOW}, {"marked": True}, {"lines": plan.lines * 2}, {"write": part}, {"write": None}):
        assert state_after(structs.replace(plan, **other)) is None
