"""What leaving does to each Secret that lies there: ours alone, handed over or removed."""

import pytest

from imps_multi.model.leaving import Errand, Manner, Parting, parting
from imps_multi.model.names import HubId, PolicyName
from imps_multi.model.target_plan import Delete, Update
from tests.model.objects import Object, carry_out, metadata_of, observe, place, texts
from tests.model.scenes import HUB, changed, policy, resolved, written

PREVIOUS = HubId("old-hub")
HUBS = frozenset((HUB, PREVIOUS))
MANAGED_BY, HUB_LABEL, POLICY = "app.kubernetes.io/managed-by", "imps-multi.io/hub", "imps-multi.io/policy"


def left(found: Object, manner: Manner = Manner.PURGE, of: str | None = None) -> Parting | None:
    namespace, name = place()
    seen = observe(found)
    assert seen is not None
    return parting(Errand(manner, None if of is None else PolicyName(of)), namespace, name, seen, HUBS)


def ours(**given: dict[str, str | None]) -> Object:
    there = written(resolved(policy(labels={"team": "a"}, annotations={"note": "x"})))
    return changed(there, labels=given.get("labels"), annotations=given.get("annotations"))


def test_to_purge_is_one_delete_bound_to_what_was_seen_that_asks_nobody() -> None:
    found = left(ours())
    assert found is not None
    assert found.plan.write == Delete(found.uid, 2, check=False)
    assert (found.operation, found.policy) == ("delete", "p")


def test_to_keep_takes_our_marks_and_nothing_else() -> None:
    there = ours(labels={"theirs": "1"}, annotations={"imps-multi.io/unwanted-since": "2026-01-01T00:00:00Z"})
    found = left(there, Manner.KEEP)
    assert found is not None
    assert isinstance(found.plan.write, Update)
    assert found.operation == "release"
    after = carry_out(there, found.plan)
    assert after is not None
    assert texts(metadata_of(after)["labels"]) == {"team": "a", "theirs": "1"}
    assert texts(metadata_of(after)["annotations"]) == {"note": "x"}
    assert (after["data"], metadata_of(after)["uid"]) == (there["data"], metadata_of(there)["uid"])
    assert left(after, Manner.KEEP) is None


@pytest.mark.parametrize(
    "there",
    [ours(annotations={"imps-multi.io/adopted": "true"}), {**ours(), "type": "Opaque"}],
    ids=["adopted", "of another type"],
)
def test_what_we_did_not_make_is_given_back_by_a_purge_too(there: Object) -> None:
    found = left(there)
    assert found is not None
    assert (found.operation, isinstance(found.plan.write, Update)) == ("release", True)


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize(
    "marks",
    [
        {HUB_LABEL: "another-hub"},
        {HUB_LABEL: None, MANAGED_BY: "somebody"},
    ],
    ids=["another hub's", "somebody's"],
)
def test_what_is_not_ours_is_not_touched(manner: Manner, marks: dict[str, str | None]) -> None:
    assert left(ours(labels=marks), manner) is None


@pytest.mark.parametrize("marks", [{HUB_LABEL: str(PREVIOUS)}, {MANAGED_BY: None}], ids=["former hub", "stripped"])
def test_what_is_ours_by_a_former_id_or_by_half_its_marks_goes_too(marks: dict[str, str | None]) -> None:
    assert left(ours(labels=marks)) is not None


def test_one_policy_leaves_those_of_others() -> None:
    assert left(ours(), of="p") is not None
    assert left(ours(), of="other") is None
    assert left(ours(annotations={POLICY: None}), of="p") is None
    assert left(ours(annotations={POLICY: None})) is not None
