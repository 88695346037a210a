"""A cluster that is decommissioned: everything of ours goes from it, and what is told of that."""

import pytest
from hypothesis import given, settings
from msgspec import structs

from imps_multi.model.decommission import DECOMMISSIONED, DECOMMISSIONING, DONE, progress
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.gate import Gate
from imps_multi.model.names import DOCKERCONFIGJSON_TYPE, ClusterName, PolicyName, SecretName
from imps_multi.model.ownership import Foreign, Ours, owner
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.report import ClusterReport, Contact, Phase, PolicyTally
from imps_multi.model.target_plan import Create, Delete, State, Update
from imps_multi.model.world import Resolved, Standing, World
from tests.model.objects import Object, carry_out, metadata_of, observe, texts
from tests.model.scenes import HUB, Bench, changed, policy, resolved, seen_from, world, written
from tests.model.strategies import benches

GONE = policy("gone")


def leaving(found: Object | None, *policies: Resolved, hub_empty: bool = False) -> Bench:
    """A cluster that is decommissioned, and what lies there."""
    there = world(*policies, hub_empty=hub_empty)
    bench = Bench(there, found=found)
    bench.view = seen_from(there, decommission=True)
    return bench


def let_go(bench: Bench) -> Bench:
    return bench.let_go(bench.needed().wish)


def test_a_target_that_its_policy_still_selects_is_wished_away_and_waits_for_the_brake() -> None:
    spec = resolved(policy())
    bench = leaving(written(spec), spec)
    plan = bench.needed()
    assert (plan.write, plan.wish is not None) == (None, True)
    assert [(line.state, line.desired) for line in plan.lines] == [(State.LINGERING, False)]
    bench.hold(plan.wish)
    assert bench.lines()["p"].state is State.HELD


def test_nothing_is_made_there() -> None:
    assert leaving(None, resolved(policy())).plan() is None


@pytest.mark.parametrize("deletion", [DeletionPolicy.WHEN_UNREFERENCED, DeletionPolicy.IMMEDIATE])
@pytest.mark.parametrize("standing", [Standing.VALID, Standing.DELETED, None])
def test_what_was_let_go_is_deleted_without_mark_linger_or_look(
    deletion: DeletionPolicy, standing: Standing | None
) -> None:
    spec = policy(deletion=deletion)
    there = [] if standing is None else [resolved(spec, standing=standing)]
    plan = let_go(leaving(written(resolved(spec)), *there)).needed()
    assert isinstance(plan.write, Delete)
    assert not plan.write.check
    assert plan.why == "the cluster is decommissioned"


def test_what_lingers_there_already_lingers_no_longer() -> None:
    spec = resolved(policy())
    marked = changed(written(spec), annotations={"imps-multi.io/unwanted-since": "2026-01-01T00:00:00Z"})
    assert isinstance(leaving(marked, spec).needed().write, Delete)


@pytest.mark.parametrize("adopted", [True, False])
def test_what_is_to_stay_is_given_back(*, adopted: bool) -> None:
    spec = resolved(policy(deletion=DeletionPolicy.WHEN_UNREFERENCED if adopted else DeletionPolicy.RETAIN))
    there = changed(written(spec), annotations={"imps-multi.io/adopted": "true"}) if adopted else written(spec)
    plan = let_go(leaving(there, spec)).needed()
    assert isinstance(plan.write, Update)
    assert dict(plan.write.labels)["imps-multi.io/hub"] is None


@pytest.mark.parametrize(
    "spec",
    [resolved(policy(suspend=True)), resolved(policy(), standing=Standing.INVALID)],
    ids=["suspended", "invalid"],
)
def test_what_may_not_be_written_stays(spec: Resolved) -> None:
    bench = leaving(written(resolved(policy())), spec)
    plan = bench.needed()
    assert (plan.write, plan.wish) == (None, None)


def test_a_hub_without_any_policy_does_not_keep_it_from_being_cleared() -> None:
    plan = let_go(leaving(written(resolved(GONE)), hub_empty=True)).needed()
    assert isinstance(plan.write, Delete)


def test_a_foreign_secret_is_not_touched() -> None:
    theirs = changed(written(resolved(policy())), labels={"imps-multi.io/hub": "somebody-else"})
    assert leaving(theirs, resolved(policy())).plan() is None
    assert texts(metadata_of(theirs)["labels"])["imps-multi.io/hub"] == "somebody-else"


def report(
    tally: PolicyTally | None = None, *, phase: Phase = Phase.UP, looked: int = 1, decommission: bool = True
) -> ClusterReport:
    settings = ClusterSettings(ClusterName("c"), decommission=decommission, paused=phase is Phase.PAUSED)
    tallies = {} if tally is None else {PolicyName("p"): tally}
    return ClusterReport(settings, Contact(phase=phase), synced=True, listed=True, looked=looked, policies=tallies)


SYNCED = World(version=1, synced=True)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (report(), (DECOMMISSIONED, DONE)),
        (report(PolicyTally(excluded=3)), (DECOMMISSIONED, DONE)),
        (report(PolicyTally(lingering=2)), (DECOMMISSIONING, "2 Secrets of ours are left")),
        (report(PolicyTally(held=20)), (DECOMMISSIONING, "20 Secrets of ours are left; 20 wait for approval")),
        (
            report(PolicyTally(lingering=3, reasons={"Suspended": 3})),
            (DECOMMISSIONING, "3 Secrets of ours are left; 3 belong to policies that are suspended"),
        ),
        (
            report(PolicyTally(lingering=1), phase=Phase.PAUSED),
            (DECOMMISSIONING, "1 Secret of ours is left; nothing is written there: it is paused or observed"),
        ),
        (report(looked=0), (DECOMMISSIONING, "what of ours is there is being looked at")),
    ],
)
def test_what_is_left_is_told_and_why(found: ClusterReport, expected: tuple[str, str]) -> None:
    told = progress(found, SYNCED)
    assert told is not None
    assert (told.reason, told.message) == expected


@pytest.mark.parametrize("found", [report(decommission=False), report(phase=Phase.DEGRADED)])
def test_of_other_clusters_and_of_those_in_trouble_nothing_is_told(found: ClusterReport) -> None:
    assert progress(found, SYNCED) is None


def test_a_name_that_may_not_be_looked_at_is_not_taken_for_gone() -> None:
    settings = ClusterSettings(ClusterName("c"), decommission=True)
    forbidden = {SecretName("pull"): "403"}
    blind = ClusterReport(settings, Contact(phase=Phase.UP), listed=True, looked=1, forbidden=forbidden)
    told = progress(blind, SYNCED)
    assert told is not None
    assert (told.reason, "named pull" in told.message) == (DECOMMISSIONING, True)


def by_its_marks(bench: Bench) -> bool:
    """Say whether what lies there is ours by its marks alone."""
    seen = observe(bench.found)
    return seen is not None and isinstance(owner(seen, frozenset({HUB}), {}), Ours)


def decommissioned(bench: Bench) -> Bench:
    """The same, in a cluster that is decommissioned."""
    nobody = {name: structs.replace(one, reaches=False) for name, one in bench.view.policies.items()}
    bench.view = structs.replace(bench.view, decommission=True, policies=nobody, by_name={}, excluding=())
    bench.gate = Gate(whole_picture=True)
    return bench


@settings(max_examples=400)
@given(benches)
def test_whatever_lies_there_what_is_ours_goes_or_is_given_back_and_all_else_stays(bench: Bench) -> None:
    before, whose = bench.found, looked_at(decommissioned(bench))
    for _ in range(STEPS):
        plan = bench.plan()
        if plan is None:
            break
        plan = bench.let_go(plan.wish).plan()
        if plan is None or (plan.write is None and plan.wish is None):
            break
        assert not isinstance(plan.write, Create)
        bench.found = carry_out(bench.found, plan)
        if isinstance(plan.write, Update) and not by_its_marks(bench):
            bench.remembered = {}  # as the book forgets what it gave away
    bench.remembered = {}
    if not isinstance(whose, Ours) or bench.record.terminating or may_not_be_written(bench, whose):
        assert isinstance(whose, Ours) or bench.found == before
        return
    assert not isinstance(looked_at(bench), Ours)


STEPS = 6


def looked_at(bench: Bench) -> Ours | Foreign | None:
    seen = observe(bench.found)
    return None if seen is None else owner(seen, frozenset({HUB}), bench.remembered)


def may_not_be_written(bench: Bench, whose: Ours) -> bool:
    """Say whether its policy is suspended or invalid, or it is of a type that is not ours to take away."""
    found = bench.view.policies.get(whose.policy or PolicyName(""))
    standing = found is not None and found.resolved.standing is not Standing.DELETED and not found.able
    return standing or (bench.found or {"type": DOCKERCONFIGJSON_TYPE})["type"] != DOCKERCONFIGJSON_TYPE
