"""What becomes of a target that is no longer wanted: marked, kept fresh, given back or deleted, and when not."""

import pytest
from msgspec import structs

from imps_multi.model.gate import Gate
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.target_plan import Delete, State, TargetPlan, Update
from imps_multi.model.world import Resolved, Standing
from tests.model.objects import Object, carry_out, content_of, metadata_of, place, texts
from tests.model.scenes import (
    HOUR,
    HUB_REGISTRY,
    NOW,
    SECOND,
    Bench,
    changed,
    entry,
    policy,
    resolved,
    source,
    world,
    written,
)

SINCE, LINGER = "imps-multi.io/unwanted-since", "imps-multi.io/linger"
MANAGED = {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": "mgmt"}
DAY = 24 * HOUR


def annotations(found: Object | None) -> dict[str, str]:
    assert found is not None
    return texts(metadata_of(found)["annotations"])


def deselected(deletion: DeletionPolicy = DeletionPolicy.WHEN_UNREFERENCED, *, password: str = "secret-1") -> Bench:
    """A target that its policy wrote and does not select any more."""
    before = written(resolved(policy(deletion=deletion)))
    now = resolved(policy(names=["other"], deletion=deletion), source(HUB_REGISTRY, password=password))
    return Bench(now, found=before)


def let_go(bench: Bench) -> Bench:
    return bench.let_go(bench.needed().wish)


def step(bench: Bench, at: float = NOW) -> TargetPlan:
    """Carry out what is planned at a time."""
    plan = bench.needed(now=at)
    bench.found = carry_out(bench.found, plan)
    return plan


@pytest.mark.parametrize("deletion", DeletionPolicy)
def test_nothing_happens_to_an_unwanted_target_before_it_is_let_go(deletion: DeletionPolicy) -> None:
    bench = deselected(deletion)
    plan = bench.needed()
    assert plan.write is None
    assert plan.wish is not None
    assert (plan.wish.policy, plan.wish.namespace, plan.wish.secret) == ("p", *place())
    assert [(line.state, line.desired, line.there) for line in plan.lines] == [(State.LINGERING, False, True)]


@pytest.mark.parametrize("deletion", DeletionPolicy)
def test_a_held_target_gets_no_mark_and_stays_fresh(deletion: DeletionPolicy) -> None:
    bench = deselected(deletion, password="new")
    bench.hold(bench.needed().wish)
    assert bench.lines()["p"].state is State.HELD
    step(bench)
    assert b"new" in content_of(bench.found or {})
    assert SINCE not in annotations(bench.found)
    assert bench.needed().write is None


@pytest.mark.parametrize("deletion", DeletionPolicy)
def test_what_was_let_go_stays_while_the_picture_is_not_whole(deletion: DeletionPolicy) -> None:
    bench = let_go(deselected(deletion))
    bench.gate = structs.replace(bench.gate, whole_picture=False)
    assert bench.needed().write is None


def test_immediate_is_one_delete_without_mark_or_check() -> None:
    bench = let_go(deselected(DeletionPolicy.IMMEDIATE))
    plan = step(bench)
    assert plan.write == Delete(plan.write.uid, 1, check=False) if isinstance(plan.write, Delete) else False
    assert bench.found is None
    assert bench.plan() is None


def test_retain_takes_our_marks_and_leaves_the_secret() -> None:
    spec = policy(deletion=DeletionPolicy.RETAIN, labels={"team": "a"}, annotations={"note": "x"})
    there = changed(written(resolved(spec)), labels={"theirs": "1"})
    bench = let_go(Bench(resolved(policy(names=["other"], deletion=DeletionPolicy.RETAIN)), found=there))
    step(bench)
    assert texts(metadata_of(bench.found or {})["labels"]) == {"team": "a", "theirs": "1"}
    assert annotations(bench.found) == {"note": "x"}
    assert (bench.found or {})["data"] == there["data"]


def test_retain_takes_what_its_policy_is_known_to_have_written_too() -> None:
    spec = policy(deletion=DeletionPolicy.RETAIN, labels={"team": "a", "old": "1"}, annotations={"note": "x"})
    there = changed(written(resolved(spec)), labels={"theirs": "1"}, annotations={"theirs": "1"})
    now = policy(names=["other"], deletion=DeletionPolicy.RETAIN, labels={"team": "a"})
    bench = let_go(Bench(resolved(now, past_labels=["old"], past_annotations=["note"]), found=there))
    step(bench)
    assert texts(metadata_of(bench.found or {})["labels"]) == {"theirs": "1"}
    assert annotations(bench.found) == {"theirs": "1"}


@pytest.mark.parametrize("remembered", [{}, {"uid-1": "p"}])
def test_what_was_given_away_is_not_written_again(remembered: dict[str, str]) -> None:
    bench = let_go(deselected(DeletionPolicy.RETAIN))
    step(bench)
    after = Bench(world(*(one.resolved for one in bench.view.policies.values())), found=bench.found)
    after = Bench(
        resolved(policy(names=["other"], deletion=DeletionPolicy.RETAIN)), found=bench.found, remembered=remembered
    )
    after.gate = bench.gate
    plan = after.plan()
    assert plan is None or plan.write is None


def test_somebody_elses_managed_by_is_not_taken_away_with_ours() -> None:
    bench = deselected(DeletionPolicy.RETAIN)
    bench.found = changed(bench.found or {}, labels={"app.kubernetes.io/managed-by": "Helm"})
    let_go(bench)
    step(bench)
    assert texts(metadata_of(bench.found or {})["labels"]) == {"app.kubernetes.io/managed-by": "Helm"}


def test_when_unreferenced_marks_first_and_deletes_after_the_linger_once_nobody_names_it() -> None:
    bench = let_go(deselected())
    step(bench)
    assert annotations(bench.found)[SINCE] == "2027-01-15T08:00:00Z"
    assert annotations(bench.found)[LINGER] == "1h"
    assert (bench.needed().write, bench.needed().wake_at) == (None, NOW + HOUR)
    plan = bench.needed(now=NOW + HOUR)
    assert isinstance(plan.write, Delete)
    assert plan.write.check
    assert bench.needed(now=NOW + HOUR - 1).write is None


def test_a_marked_target_needs_no_word_of_the_brake_and_says_so() -> None:
    bench = let_go(deselected())
    assert not bench.needed().marked
    step(bench)
    bench.gate = Gate(whole_picture=True)
    assert bench.needed().marked
    assert isinstance(bench.needed(now=NOW + HOUR).write, Delete)


def test_a_lingering_target_is_kept_fresh() -> None:
    bench = let_go(deselected())
    step(bench)
    fresh = resolved(policy(names=["other"]), source(HUB_REGISTRY, password="new"))
    bench = Bench(fresh, found=bench.found)
    step(bench, NOW + 60)
    assert b"new" in content_of(bench.found or {})
    assert annotations(bench.found)[SINCE] == "2027-01-15T08:00:00Z"
    assert bench.needed(now=NOW + 61).write is None


def test_an_unwanted_target_gets_no_registry_that_it_did_not_have() -> None:
    bench = deselected(password="new")
    more = resolved(policy(names=["other"]), source(HUB_REGISTRY, password="new"), source(SECOND, name="two"))
    bench = Bench(more, found=bench.found)
    step(bench)
    assert b"new" in content_of(bench.found or {})
    assert SECOND.encode() not in content_of(bench.found or {})


def test_an_unwanted_target_keeps_the_registry_of_a_source_that_was_removed() -> None:
    there = written(resolved(None, source(HUB_REGISTRY), source(SECOND, name="two")))
    fresh = source(HUB_REGISTRY, password="new")
    bench = Bench(resolved(policy(names=["other"]), fresh, retained=[entry(SECOND)]), found=there)
    step(bench)
    assert b"new" in content_of(bench.found or {})
    assert SECOND.encode() in content_of(bench.found or {})


def test_an_unwanted_target_whose_content_is_not_known_is_left_as_it_is() -> None:
    there = written(resolved(None, source(HUB_REGISTRY), source(SECOND, name="two")))
    fresh = source(HUB_REGISTRY, password="new")
    forgotten = Bench(resolved(policy(names=["other"]), fresh, history_known=False), found=there)
    assert forgotten.needed().write is None
    garbage = Bench(resolved(policy(names=["other"])), found=changed(there, content=b"not json"))
    assert garbage.needed().write is None


def test_a_look_that_found_a_reference_is_repeated_when_it_is_due() -> None:
    bench = let_go(deselected())
    step(bench)
    bench.gate = structs.replace(bench.gate, looks={place(): NOW + 2 * HOUR})
    assert bench.needed(now=NOW + HOUR).write is None
    assert bench.needed(now=NOW + HOUR).wake_at == NOW + 2 * HOUR
    assert isinstance(bench.needed(now=NOW + 2 * HOUR).write, Delete)


def test_after_seven_days_nobody_is_asked() -> None:
    bench = let_go(deselected())
    step(bench)
    bench.gate = structs.replace(bench.gate, looks={place(): NOW + 7 * DAY + HOUR / 2})
    assert bench.needed(now=NOW + 7 * DAY - 1).write is None
    plan = bench.needed(now=NOW + 7 * DAY)
    assert isinstance(plan.write, Delete)
    assert not plan.write.check


def test_a_target_that_is_wanted_again_loses_its_marks() -> None:
    bench = let_go(deselected())
    step(bench)
    again = Bench(resolved(), found=bench.found)
    step(again)
    assert SINCE not in annotations(again.found)
    assert LINGER not in annotations(again.found)
    assert again.lines()["p"].state is State.IN_SYNC


@pytest.mark.parametrize(
    ("since", "linger", "at", "deleted"),
    [
        ("2027-01-15T08:00:00Z", "24h", NOW + DAY - 1, False),
        ("2027-01-15T08:00:00Z", "24h", NOW + DAY, True),
        ("2027-01-15T08:00:00Z", "999d", NOW + 7 * DAY, True),
        ("2027-01-15T08:00:00Z", "soon", NOW + HOUR, True),
        ("2099-01-01T00:00:00Z", "1h", NOW + HOUR, False),
        ("yesterday", "1h", NOW + HOUR, False),
        ("0001-01-01T00:00:00Z", "1h", NOW, True),
    ],
)
def test_what_somebody_wrote_into_the_marks_is_read_with_care(
    *, since: str, linger: str, at: float, deleted: bool
) -> None:
    bench = deselected()
    bench.found = changed(bench.found or {}, annotations={SINCE: since, LINGER: linger})
    assert isinstance(bench.needed(now=at).write, Delete) is deleted
    if not deleted:
        step(bench, at)
        assert bench.needed(now=at).write is None
        assert isinstance(bench.needed(now=at + 7 * DAY).write, Delete)


def test_a_policy_that_is_known_decides_how_and_else_the_target_says() -> None:
    there = written(resolved(policy(deletion=DeletionPolicy.IMMEDIATE)))
    gone = let_go(Bench(world(), found=there))
    assert isinstance(gone.needed().write, Delete)
    former = resolved(policy(deletion=DeletionPolicy.RETAIN), standing=Standing.DELETED)
    known = let_go(Bench(former, found=there))
    assert isinstance(known.needed().write, Update)
    spoilt = changed(there, annotations={"imps-multi.io/deletion-policy": "Whatever"})
    marked = let_go(Bench(world(), found=spoilt))
    assert isinstance(marked.needed().write, Update)
    assert marked.needed().wake_at == NOW + HOUR


def test_an_adopted_target_is_given_back_whatever_the_policy_says() -> None:
    bench = deselected(DeletionPolicy.IMMEDIATE)
    bench.found = changed(bench.found or {}, annotations={"imps-multi.io/adopted": "true"})
    let_go(bench)
    step(bench)
    assert annotations(bench.found) == {}
    assert bench.found is not None


def test_an_adopted_target_stays_marked_so_while_it_is_kept_fresh() -> None:
    there = changed(written(resolved()), annotations={"imps-multi.io/adopted": "true"})
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="new")), found=there)
    step(bench)
    assert annotations(bench.found)["imps-multi.io/adopted"] == "true"


@pytest.mark.parametrize("suspend", [False, True])
def test_the_targets_of_a_deleted_policy_go_even_if_it_was_suspended(*, suspend: bool) -> None:
    former = resolved(policy(suspend=suspend), standing=Standing.DELETED)
    bench = let_go(Bench(former, found=written(resolved())))
    step(bench)
    assert SINCE in annotations(bench.found)


@pytest.mark.parametrize(
    "kept",
    [resolved(policy(names=["other"], suspend=True)), resolved(policy(names=["other"]), standing=Standing.INVALID)],
)
def test_nothing_is_taken_away_for_a_suspended_or_invalid_policy(kept: Resolved) -> None:
    bench = Bench(kept, found=written(resolved()))
    plan = bench.needed()
    assert (plan.wish, plan.write) == (None, None)
    assert [(line.state, line.desired) for line in plan.lines] == [(State.LINGERING, False)]


def test_a_hub_that_is_empty_deletes_only_what_was_seen_being_deleted() -> None:
    there = written(resolved(policy(deletion=DeletionPolicy.IMMEDIATE)))
    former = resolved(
        policy(deletion=DeletionPolicy.IMMEDIATE), source(HUB_REGISTRY, password="new"), standing=Standing.DELETED
    )
    emptied = Bench(world(former, hub_empty=True), found=there)
    assert emptied.needed().wish is None
    step(emptied)
    assert b"new" in content_of(emptied.found or {})
    seen = Bench(world(former, hub_empty=True, deleted=["p"]), found=there)
    assert isinstance(let_go(seen).needed().write, Delete)


def test_a_stripped_target_that_is_held_gets_its_marks_back() -> None:
    bench = deselected()
    bare = changed(bench.found or {}, labels=dict.fromkeys(MANAGED), annotations={"imps-multi.io/policy": None})
    for known in (True, False):
        there = resolved(policy(names=["other"])) if known else None
        again = Bench(world(there) if there else world(), found=bare, remembered={"uid-1": "p"})
        again.hold(again.needed().wish)
        step(again)
        assert texts(metadata_of(again.found or {})["labels"]) == MANAGED
        assert annotations(again.found)["imps-multi.io/policy"] == "p"
        assert again.needed().write is None


def test_an_immutable_target_that_goes_is_only_marked() -> None:
    bench = deselected(password="new")
    bench.found = {**(bench.found or {}), "immutable": True}
    let_go(bench)
    step(bench)
    assert SINCE in annotations(bench.found)
    assert bench.needed().write is None


def test_a_cluster_that_is_deselected_is_cleared_like_a_namespace() -> None:
    bench = Bench(resolved(policy(clusters=None)), found=written(resolved(policy())))
    assert bench.needed().wish is not None


def test_a_name_that_the_policy_gave_up_is_unwanted() -> None:
    bench = Bench(resolved(policy(secret="other")), found=written(resolved()))
    assert bench.needed().wish is not None


def test_a_target_of_nobody_known_is_wished_away_under_no_policy() -> None:
    bench = Bench(world(), found=changed(written(resolved()), annotations={"imps-multi.io/policy": None}))
    wish = bench.needed().wish
    assert wish is not None
    assert wish.policy == ""
