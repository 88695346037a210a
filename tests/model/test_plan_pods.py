"""What becomes of targets whose namespaces are selected by pods: not known is not gone, and they linger for a day."""

import pytest
from msgspec import structs

from imps_multi.model.choosing import NO_PODS
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.pods import PodsAsked, PodsReplaced
from imps_multi.model.pods_fold import Pods
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.selection import Operator, PodField, PodRule, Requirement, Selector
from imps_multi.model.target_plan import Create, State
from imps_multi.model.world import Resolved, Standing
from tests.model.objects import Object, carry_out, content_of, metadata_of, texts
from tests.model.scenes import HOUR, HUB_REGISTRY, NOW, Bench, changed, policy, resolved, source, written

WEB = PodRule(PodField.LABELS, Selector((Requirement("app", Operator.IN, frozenset({"web"})),)))
DB = PodRule(PodField.LABELS, Selector((Requirement("app", Operator.IN, frozenset({"db"})),)))
BY_PODS = policy(names=[], pods=[WEB])
SINCE, LINGER = "imps-multi.io/unwanted-since", "imps-multi.io/linger"


def pods(*spaces: str) -> Pods:
    """Know where there are pods that match."""
    made = Pods()
    made.ask(frozenset({WEB}))
    found = tuple((NamespaceName(space), "web-1", 1) for space in spaces)
    made.apply(PodsReplaced(PodsAsked((WEB,)), found, 1))
    return made


HERE, NOWHERE = pods("team-a"), pods()


def there(spec: Resolved | None = None) -> Object:
    """Return a target that a policy wrote for the sake of its pods."""
    bench = Bench(spec or resolved(BY_PODS), pods=HERE)
    made = carry_out(None, bench.needed())
    assert made is not None
    metadata_of(made).update(uid="uid-1", resourceVersion="1")
    return made


def step(bench: Bench) -> dict[str, str]:
    """Carry out what is planned, and remember what was said; return the annotations."""
    plan = bench.needed()
    bench.found, bench.said = carry_out(bench.found, plan), plan.lines
    return texts(metadata_of(bench.found or {})["annotations"])


def gone(bench: Bench) -> dict[str, str]:
    """Have what was planned let go, and carried out."""
    bench.pods = NOWHERE
    bench.let_go(bench.needed().wish)
    return step(bench)


def test_a_pod_that_matches_has_a_target_made() -> None:
    assert isinstance(Bench(resolved(BY_PODS), pods=HERE).needed().write, Create)
    assert Bench(resolved(BY_PODS), pods=NOWHERE).plan() is None


def test_nothing_is_made_while_the_pods_are_not_known() -> None:
    assert Bench(resolved(BY_PODS), pods=NO_PODS).plan() is None


@pytest.mark.parametrize("deletion", DeletionPolicy)
def test_what_is_there_stays_wanted_and_fresh_while_the_pods_are_not_known(deletion: DeletionPolicy) -> None:
    spec = structs.replace(BY_PODS, deletion_policy=deletion)
    bench = Bench(resolved(spec, source(HUB_REGISTRY, password="new")), found=there(resolved(spec)), pods=NO_PODS)
    plan = bench.needed()
    assert plan.wish is None
    assert [(line.state, line.desired) for line in plan.lines] == [(State.PENDING, True)]
    step(bench)
    assert b"new" in content_of(bench.found or {})
    assert [(line.state, line.desired) for line in bench.needed().lines] == [(State.IN_SYNC, True)]


def test_a_mark_stays_while_the_pods_are_not_known() -> None:
    """So that a restart does not begin the time anew."""
    marked = changed(there(), annotations={SINCE: "2027-01-15T07:30:00Z", LINGER: "24h"})
    bench = Bench(resolved(BY_PODS, source(HUB_REGISTRY, password="new")), found=marked, pods=NO_PODS)
    assert [(line.state, line.desired) for line in bench.needed().lines] == [(State.LINGERING, False)]
    annotations = step(bench)
    assert (annotations[SINCE], annotations[LINGER]) == ("2027-01-15T07:30:00Z", "24h")
    assert b"new" in content_of(bench.found or {})
    bench.pods = HERE
    assert SINCE not in step(bench)


def test_a_policy_that_writes_another_name_now_does_not_keep_the_old_one_for_pods_it_does_not_know() -> None:
    bench = Bench(resolved(policy(names=[], pods=[WEB], secret="other")), found=there(), pods=NO_PODS)
    assert bench.needed().wish is not None


def test_a_rival_waits_while_the_pods_of_the_one_that_has_it_are_not_known() -> None:
    from tests.model.scenes import world

    rival = resolved(policy("rival"))
    bench = Bench(world(resolved(BY_PODS), rival), found=there(), pods=NO_PODS)
    assert {name: line.state for name, line in bench.lines().items()} == {
        "p": State.IN_SYNC,
        "rival": State.CONFLICT,
    }


# how long it lingers


def test_what_only_pods_had_selected_lingers_for_a_day() -> None:
    bench = Bench(resolved(BY_PODS), found=there(), pods=HERE)
    step(bench)
    assert gone(bench)[LINGER] == "24h"


def test_it_lingers_for_a_day_though_nobody_remembers_why_it_was_selected() -> None:
    assert gone(Bench(resolved(BY_PODS), found=there()))[LINGER] == "24h"


def test_what_a_namespace_rule_had_selected_too_lingers_for_an_hour() -> None:
    bench = Bench(resolved(policy(pods=[WEB])), found=there(), pods=HERE)
    step(bench)
    after = Bench(resolved(BY_PODS), found=bench.found)
    after.said = bench.said
    assert gone(after)[LINGER] == "1h"


def test_an_edit_that_takes_the_pod_rules_away_does_not_shorten_it() -> None:
    bench = Bench(resolved(BY_PODS), found=there(), pods=HERE)
    step(bench)
    after = Bench(resolved(policy(names=["other"])), found=bench.found)
    after.said = bench.said
    assert gone(after)[LINGER] == "24h"


@pytest.mark.parametrize("remembered", ["all", "nothing"])
def test_what_a_deleted_policy_had_for_its_pods_lingers_for_a_day(remembered: str) -> None:
    bench = Bench(resolved(BY_PODS), found=there(), pods=HERE)
    step(bench)
    after = Bench(resolved(BY_PODS, standing=Standing.DELETED), found=bench.found)
    after.said = bench.said if remembered == "all" else ()
    assert gone(after)[LINGER] == "24h"


def test_it_lingers_for_a_day_when_it_was_held_first() -> None:
    bench = Bench(resolved(BY_PODS), found=there(), pods=HERE)
    step(bench)
    bench.pods = NOWHERE
    bench.hold(bench.needed().wish)
    assert SINCE not in step(bench)
    held = Bench(resolved(policy(names=["other"])), found=bench.found)
    held.said = bench.said
    assert gone(held)[LINGER] == "24h"


def test_a_spoilt_linger_is_put_right() -> None:
    marked = changed(there(), annotations={SINCE: "2027-01-15T07:30:00Z", LINGER: "soon"})
    bench = Bench(resolved(BY_PODS), found=marked, pods=NOWHERE)
    assert step(bench)[LINGER] == "24h"


def test_it_is_deleted_after_the_day_and_not_before() -> None:
    bench = Bench(resolved(BY_PODS), found=there(), pods=HERE)
    step(bench)
    gone(bench)
    assert bench.needed(now=NOW + 23 * HOUR).write is None
    assert bench.needed(now=NOW + 23 * HOUR).wake_at == NOW + 24 * HOUR
    assert bench.needed(now=NOW + 24 * HOUR).write is not None


def test_a_pod_that_comes_again_takes_the_mark_away() -> None:
    bench = Bench(resolved(BY_PODS), found=there(), pods=HERE)
    step(bench)
    gone(bench)
    bench.pods = HERE
    assert SINCE not in step(bench)


def test_a_name_that_may_not_be_read_is_told_where_pods_ask_for_it() -> None:
    from imps_multi.model.plan import Planner

    bench = Bench(resolved(BY_PODS), pods=HERE)
    planner = Planner(bench.view, bench.cache, {}, bench.gate, pods=HERE)
    plan = planner.forbidden(bench.record, SecretName("pull"), "no")
    assert plan is not None
    assert [line.state for line in plan.lines] == [State.FAILED]


def test_what_was_written_by_name_is_not_by_pods() -> None:
    bench = Bench(resolved(policy(pods=[DB])), found=written(resolved(policy(pods=[DB]))), pods=NO_PODS)
    assert [line.by_pods for line in bench.needed().lines] == [False]
