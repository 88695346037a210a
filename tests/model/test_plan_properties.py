"""Whatever the world and whatever lies there: planning settles, and never does what must not be done."""

import json
from typing import cast

from hypothesis import given, settings

from imps_multi.model.instant import parse_duration, parse_instant
from imps_multi.model.names import HubId, PolicyName, Uid
from imps_multi.model.ownership import Foreign, Ours, owner
from imps_multi.model.payload import given_before, granted, losses, unknown
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy
from imps_multi.model.target_plan import Create, Delete, State, Update
from imps_multi.model.view import Candidate
from imps_multi.model.world import Standing
from imps_multi.model.writing import after_create, after_update
from tests.model.objects import Object, carry_out, content_of, metadata_of, observe, texts
from tests.model.scenes import HUB, Bench
from tests.model.strategies import benches, claims

STEPS = 5
OURS = "imps-multi.io/"
MANAGED_BY = "app.kubernetes.io/managed-by"
thorough = settings(max_examples=400)


def whose(bench: Bench) -> Ours | Foreign | None:
    seen = observe(bench.found)
    return None if seen is None else owner(seen, frozenset({HUB}), bench.remembered)


def named(bench: Bench) -> Candidate | None:
    found = whose(bench)
    return bench.view.policies.get(found.policy) if isinstance(found, Ours) and found.policy else None


@thorough
@given(benches | claims)
def test_carrying_out_a_plan_and_planning_again_settles(bench: Bench) -> None:
    for _ in range(STEPS):
        plan = bench.plan()
        if plan is None or plan.write is None:
            return
        bench.found = carry_out(bench.found, plan)
        seen = observe(bench.found)
        if seen is not None and isinstance(owner(seen, frozenset({HUB}), {}), Foreign):
            bench.remembered = {}  # given away
    raise AssertionError(bench.plan())


@thorough
@given(benches | claims)
def test_the_answer_to_a_write_is_what_a_watch_would_show(bench: Bench) -> None:
    plan, before = bench.plan(), observe(bench.found)
    if plan is None or not isinstance(plan.write, (Create, Update)):
        return
    after = carry_out(bench.found, plan)
    seen = observe(after)
    assert seen is not None
    if isinstance(plan.write, Create):
        assert after_create(plan.write, Uid("uid-new"), 1) == seen
    else:
        assert before is not None
        assert after_update(before, plan.write, before.uid, before.resource_version + 1) == seen


@thorough
@given(benches | claims)
def test_what_is_foreign_is_never_written_to(bench: Bench) -> None:
    """But where the policy that comes first says Adopt, and nothing stands against it."""
    plan = bench.plan()
    if not isinstance(whose(bench), Foreign) or plan is None:
        return
    if plan.write is None:
        assert {line.state for line in plan.lines} <= {State.CONFLICT, State.PENDING, State.FAILED}
        return
    assert isinstance(plan.write, Update)
    assert not plan.write.put
    adopter = bench.view.policies[plan.policy or PolicyName("")]
    assert adopter.policy.conflict_policy is ConflictPolicy.ADOPT
    assert adopter.able
    assert adopter.selects(bench.record, bench.pods)
    assert adoptable(bench.found or {})
    after = texts(metadata_of(carry_out(bench.found, plan) or {})["annotations"])
    assert after[f"{OURS}adopted"] == "true"
    assert "banzaicloud.com/last-applied" not in after


def adoptable(found: Object) -> bool:
    metadata = metadata_of(found)
    labels, owners = texts(metadata["labels"]), cast("list[Object]", metadata.get("ownerReferences") or [])
    from_imps = "images.banzaicloud.io/owner-uid" in labels
    strange = [one for one in owners if not (from_imps and one["kind"] == "ImagePullSecret")]
    return (
        found["type"] == "kubernetes.io/dockerconfigjson"
        and not found.get("immutable")
        and not any(one.get("controller") for one in strange)
        and labels.get(f"{OURS}hub") in (None, HUB)
        and labels.get(MANAGED_BY) in (None, "imps-multi")
    )


@thorough
@given(benches)
def test_a_delete_is_allowed_by_everything_that_must_allow_it(bench: Bench) -> None:
    plan = bench.plan()
    if plan is None or not isinstance(plan.write, Delete):
        return
    marks = texts(metadata_of(bench.found or {})["annotations"])
    since = parse_instant(marks.get(f"{OURS}unwanted-since"))
    candidate = named(bench)
    assert bench.gate.whole_picture
    assert plan.wish in bench.gate.released or f"{OURS}unwanted-since" in marks
    assert marks.get(f"{OURS}adopted") != "true"
    assert not wanted_by_anybody(bench)
    assert candidate is None or candidate.resolved.standing is not Standing.INVALID
    assert candidate is None or not candidate.suspended
    if candidate is not None and candidate.policy.secret.name == bench.name:
        assert not candidate.undecided(bench.record, bench.pods)
    if not plan.write.check and how(bench, candidate) is not DeletionPolicy.IMMEDIATE:
        assert since is not None
        assert bench.now >= since + 7 * 86400
    if plan.write.check:
        assert how(bench, candidate) is DeletionPolicy.WHEN_UNREFERENCED
        assert since is not None
        assert bench.now >= since + (parse_duration(marks.get(f"{OURS}linger")) or 3600)


def wanted_by_anybody(bench: Bench) -> bool:
    able = (one for one in bench.view.by_name.get(bench.name, ()) if one.able)
    return any(one.selects(bench.record, bench.pods) for one in able)


def how(bench: Bench, candidate: Candidate | None) -> DeletionPolicy:
    if candidate is not None:
        return candidate.policy.deletion_policy
    said = texts(metadata_of(bench.found or {})["annotations"]).get(f"{OURS}deletion-policy")
    return DeletionPolicy(said) if said in {one.value for one in DeletionPolicy} else DeletionPolicy.WHEN_UNREFERENCED


@thorough
@given(benches)
def test_nothing_is_written_for_a_suspended_policy_and_nothing_created_for_an_invalid_one(bench: Bench) -> None:
    plan = bench.plan()
    if plan is None or plan.write is None:
        return
    candidate = named(bench)
    assert candidate is None or not candidate.suspended
    if isinstance(plan.write, Create):
        creator = bench.view.policies[plan.policy or PolicyName("")]
        assert creator.able
        assert creator.selects(bench.record, bench.pods)


@thorough
@given(benches)
def test_no_registry_is_taken_away_that_was_not_let_go(bench: Bench) -> None:
    """Tampering, and what an unknown source gave, aside."""
    plan, seen = bench.plan(), observe(bench.found)
    if plan is None or seen is None or not isinstance(plan.write, Update) or plan.write.wanted is None:
        return
    lost = losses(seen.registries, plan.write.wanted.payload.registries)
    if not lost:
        return
    if isinstance(whose(bench), Foreign):
        return  # adopted: what was there was not ours to count
    holder = bench.view.policies[plan.policy or PolicyName("")]
    candidate = named(bench) or holder
    tampered = lost - set(given_before(candidate.resolved)) if candidate.resolved.history_known else frozenset()
    unresolved = unknown(granted(holder.resolved, bench.view.cluster, bench.record.name))
    released = plan.wish is not None and plan.wish in bench.gate.released and bench.gate.whole_picture
    assert tampered == lost or unresolved or released


@thorough
@given(benches | claims)
def test_what_others_put_on_a_target_of_ours_stays(bench: Bench) -> None:
    plan = bench.plan()
    if plan is None or not isinstance(plan.write, Update):
        return
    before, after = metadata_of(bench.found or {}), metadata_of(carry_out(bench.found, plan) or {})
    assert before["uid"] == after["uid"]
    assert before.get("finalizers") == after.get("finalizers")
    for kind in ("labels", "annotations"):
        assert texts(before[kind]).get("foreign") == texts(after[kind]).get("foreign")
    assert strange_owners(before) == strange_owners(after)


def strange_owners(metadata: Object) -> list[Object]:
    owners = cast("list[Object]", metadata.get("ownerReferences") or [])
    return [one for one in owners if one["kind"] != "ImagePullSecret"]


@thorough
@given(benches)
def test_what_is_written_is_json_with_our_marks_and_nothing_else_of_ours(bench: Bench) -> None:
    plan = bench.plan()
    if plan is None or not isinstance(plan.write, Create):
        return
    made = carry_out(None, plan) or {}
    metadata = metadata_of(made)
    labels, annotations = texts(metadata["labels"]), texts(metadata["annotations"])
    assert (labels[MANAGED_BY], HubId(labels[f"{OURS}hub"])) == ("imps-multi", HUB)
    assert annotations[f"{OURS}policy"] == plan.policy
    promised = {f"{OURS}policy", f"{OURS}deletion-policy", f"{OURS}expires-at"}
    assert {key for key in (*labels, *annotations) if key.startswith(OURS)} <= promised | {f"{OURS}hub"}
    assert set(made) == {"apiVersion", "kind", "metadata", "type", "data"}
    assert set(metadata) == {"name", "namespace", "labels", "annotations", "uid", "resourceVersion"}
    assert set(json.loads(content_of(made))) == {"auths"}


@thorough
@given(benches)
def test_a_new_target_holds_nothing_that_has_expired(bench: Bench) -> None:
    plan = bench.plan()
    if plan is None or not isinstance(plan.write, Create):
        return
    resolved = bench.view.policies[plan.policy or PolicyName("")].resolved
    dead = {
        one.registry
        for source in resolved.sources
        if source.expires_at is not None and source.expires_at <= bench.now
        for one in source.entries
    }
    living = {
        one.registry
        for source in resolved.sources
        if source.expires_at is None or source.expires_at > bench.now
        for one in source.entries
    }
    assert plan.write.wanted.payload.registries <= living
    assert not plan.write.wanted.payload.registries & (dead - living)


@thorough
@given(benches)
def test_each_policy_has_one_line_and_only_wanted_targets_are_desired(bench: Bench) -> None:
    plan = bench.plan()
    if plan is None:
        return
    assert len({line.policy for line in plan.lines}) == len(plan.lines) > 0
    for line in plan.lines:
        candidate = bench.view.policies.get(line.policy)
        mine = candidate if candidate is not None and candidate.policy.secret.name == bench.name else None
        if mine is None or not mine.undecided(bench.record, bench.pods):
            assert line.desired is (mine is not None and mine.selects(bench.record, bench.pods))
        else:
            assert line.there
    assert (
        sum(line.there for line in plan.lines) == isinstance(whose(bench), Ours)
        or plan.lines[0].state is State.CONFLICT
    )
