"""Clusters in trouble: each is degraded alone, with its reason, delays nobody, and is right soon after its return."""

from collections.abc import Callable

import anyio
import pytest

from imps_multi.actors.contact import advised
from imps_multi.actors.service import Service
from imps_multi.model.names import ClusterName
from imps_multi.model.status import ClusterView
from imps_multi.ports import Forbidden, PortError, Transient
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fake_cluster import FakeCluster, throttled, tls_failure, unauthorized
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, cluster_view, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio


def refused() -> PortError:
    return Transient("connection refused")


TROUBLES = [
    pytest.param(refused, "Unreachable", ("Unknown", "TargetUnreachable"), id="refused"),
    pytest.param(unauthorized, "Unauthorized", ("False", "PartiallySynced"), id="unauthorized"),
    pytest.param(tls_failure, "TLS", ("Unknown", "TargetUnreachable"), id="tls"),
    pytest.param(throttled(3.0), "Throttled", ("False", "PartiallySynced"), id="throttled"),
]


@pytest.mark.parametrize(("trouble", "reason", "condition"), TROUBLES)
async def test_a_bad_cluster_is_told_with_its_reason_delays_nobody_and_is_right_after_its_return(
    stage: Stage, trouble: Callable[[], PortError], reason: str, condition: tuple[str, str]
) -> None:
    good, bad = stage.cluster("good", *spaces(5)), stage.cluster("bad", *spaces(5))
    bad.refusing = trouble
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        assert await until(lambda: len(good.secrets) == 5) < 1.0
        await until(lambda: cluster_view(service, "bad").state == "Degraded")
        view = cluster_view(service, "bad")
        assert (view.reason, view.since is not None, view.next_attempt is not None) == (reason, True, True)
        await until(lambda: ready(service) == condition)
        assert next(one for one in status_of(service).clusters if one.name == "bad").reason == reason
        await anyio.sleep(120.0)
        assert cluster_view(service, "bad").since == view.since
        tries = [one.at for one in bad.requests]
        assert 20 <= len(tries) <= 120
        bad.thaw()
        assert await until(lambda: len(bad.secrets) == 5) < 10.0
        await until(lambda: ready(service) == ("True", "AllSynced"))


def test_a_refusal_comes_with_what_to_do() -> None:
    assert advised(Forbidden("no")) == "no; renew the role there: imps-multi rbac --role target --config FILE"
    assert advised(unauthorized()) == f"{unauthorized()}; renew the credential in its kubeconfig"
    assert advised(refused()) == "connection refused"


async def test_a_cluster_that_hangs_after_accepting_delays_nobody(stage: Stage) -> None:
    good, bad = stage.cluster("good", *spaces(5)), stage.cluster("bad", *spaces(5))
    bad.freeze()
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        assert await until(lambda: len(good.secrets) == 5) < 1.0
        await until(lambda: cluster_view(service, "bad").reason == "Timeout")
        await anyio.sleep(60.0)
        bad.thaw()
        assert await until(lambda: len(bad.secrets) == 5) < 10.0


async def test_a_cluster_frozen_with_writes_under_way_is_degraded_and_right_after_its_return(stage: Stage) -> None:
    good, bad = stage.cluster("good", *spaces(50)), stage.cluster("bad", *spaces(50))
    bad.latency = 0.1
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        assert await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: "token-2" in bad.passwords("ecr.example").values())
        bad.freeze()
        assert bad.in_flight > 0
        assert await until(lambda: set(good.passwords("ecr.example").values()) == {"token-2"}) < 1.0
        assert await until(lambda: cluster_view(service, "bad").state == "Degraded") < 8.0
        assert cluster_view(service, "good").state == "Up"
        await anyio.sleep(100.0)
        bad.thaw()
        assert await until(lambda: set(bad.passwords("ecr.example").values()) == {"token-2"}) < 10.0
        await settled(service)
        made = [one for one in bad.writes if one.verb == "replace" and one.result == "ok"]
        assert len(made) <= 50


async def test_a_cluster_frozen_at_rest_is_noticed_within_half_a_minute(stage: Stage) -> None:
    bad = stage.cluster("bad", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(100.0)
        bad.freeze()
        assert await until(lambda: cluster_view(service, "bad").state == "Degraded", within=30.0) < 25.0
        bad.thaw()
        assert await until(lambda: cluster_view(service, "bad").state == "Up") < 10.0
        assert len(bad.writes) == 5


async def test_at_rest_the_last_contact_is_told_to_the_minute_and_nothing_is_computed_for_it(stage: Stage) -> None:
    stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(60.0)
        computed = service.reporter.status.version
        await anyio.sleep(600.0)
        assert service.reporter.status.version - computed <= 61
        contact = service.reporter.reports[ClusterName("a")].contact.last_contact
        assert contact is not None
        assert stage.clock() - contact <= 60.0


async def test_a_single_failed_probe_does_not_lose_the_contact(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("namespaces")
        cluster.cut()
        cluster.freeze()
        await anyio.sleep(1.5)
        cluster.thaw()
        await anyio.sleep(10.0)
        assert cluster_view(service, "a").state == "Up"
        assert cluster.lists("namespaces") == lists + 1


async def test_a_cluster_at_rest_is_probed_now_and_then_and_not_because_something_fails_there(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    cluster.write_error = lambda namespace, _: Forbidden("quota") if namespace == spaces(5)[0] else None
    stage.hub.put(policy(), static())
    async with stage.running():
        await until(lambda: len(cluster.secrets) == 4)
        await anyio.sleep(600.0)
        assert sum(1 for one in cluster.requests if one.verb == "probe") < 60


async def test_a_cluster_whose_namespaces_may_not_be_read_is_not_hammered_and_never_called_up(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    cluster.watch_error = lambda watched: Forbidden("namespaces") if watched == "namespaces" else None
    stage.hub.put(policy(), static())
    states: set[str] = set()
    async with stage.running() as service:
        for _ in range(2400):
            states.add(cluster_view(service, "a").state)
            await anyio.sleep(0.05)
        assert states == {"Starting", "Degraded"}
        assert cluster_view(service, "a").reason == "Forbidden"
        assert ready(service) == ("False", "PartiallySynced")
        assert len(cluster.requests) < 200
        cluster.watch_error = lambda _: None
        await until(lambda: len(cluster.secrets) == 5)


NO_RIGHT = 'secrets "pull" is forbidden: User "u" cannot update resource "secrets" in API group ""'


@pytest.mark.parametrize("lost", ["all rights", "the right to write"])
async def test_rights_that_are_lost_while_its_watches_go_on_show_and_all_is_right_soon_after_their_return(
    stage: Stage, lost: str
) -> None:
    """An API server lets a watch go on for minutes after the role that allowed it went."""
    cluster = stage.cluster("a", *spaces(50))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.write_error = lambda *_: Forbidden(NO_RIGHT)
        if lost == "all rights":
            cluster.identity_error = lambda: Forbidden("namespaces")
        stage.hub.put(policy(), static(quay_io="new"))
        await until(lambda: cluster_view(service, "a").targets.failed)
        await anyio.sleep(300)
        shown = cluster_view(service, "a")
        assert (shown.state, shown.reason) == (("Degraded", "Forbidden") if lost == "all rights" else ("Up", ""))
        assert ready(service) == ("False", "PartiallySynced")
        cluster.write_error, cluster.identity_error = lambda *_: None, None
        took = await until(lambda: set(cluster.passwords("quay.io").values()) == {"new"}, within=120.0)
        assert lost != "all rights" or took < 10.0


async def test_throttled_writes_wait_as_long_as_they_are_told_and_no_other_cluster_does(stage: Stage) -> None:
    slow, good = stage.cluster("slow", *spaces(20)), stage.cluster("good", *spaces(20))
    refusals = iter(range(3))
    slow.write_error = lambda *_: throttled(7.0)() if next(refusals, None) is not None else None
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        assert await until(lambda: len(good.secrets) == 20) < 1.0
        await until(lambda: len(slow.secrets) == 20, within=20.0)
        refused_at = next(one.at for one in slow.writes if one.result == "Throttled")
        later = [one.at for one in slow.writes if one.at > refused_at + 0.01]
        assert min(later) >= refused_at + 7.0
        await settled(service)


async def test_what_waited_out_a_throttling_is_written_as_it_is_wanted_then(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(40))
    refusals = iter(range(1))
    cluster.write_error = lambda *_: throttled(5.0)() if next(refusals, None) is not None else None
    stage.hub.put(policy(), policy("second", secret="other"), static())
    async with stage.running() as service:
        await until(lambda: any(one.result == "Throttled" for one in cluster.writes))
        [here] = service.setting.stations.values()
        assert here.limiter.rate <= 101.0
        await anyio.sleep(1.0)
        stage.hub.put(static(quay_io="new"))
        await until(lambda: len(cluster.secrets) == 80)
        await settled(service)
        assert set(cluster.passwords("quay.io", "other").values()) == {"new"}
        assert len([one for one in cluster.writes if one.at > 4.0]) == 80


async def test_a_cluster_that_returns_is_taken_from_its_backoff_at_once(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(20))
    cluster.write_error = lambda *_: Transient("500", answered=True)
    stage.hub.put(policy(), static())
    async with stage.running():
        await anyio.sleep(120.0)
        cluster.go_down()
        await anyio.sleep(10.0)
        cluster.write_error = lambda *_: None
        cluster.thaw()
        assert await until(lambda: len(cluster.secrets) == 20, within=30.0) < 10.0


async def test_of_two_names_for_one_cluster_the_earlier_in_the_file_keeps_it(stage: Stage) -> None:
    cluster = stage.cluster("one", *spaces(5))
    stage.configure(cluster.member(), cluster.member(name="two", fingerprint="b"), cluster.member(name="three"))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 5)

        def views() -> list[ClusterView]:
            return [cluster_view(service, name) for name in ("two", "three")]

        await until(lambda: [view.state for view in views()] == ["Quarantined"] * 2)
        assert [view.reason for view in views()] == ["Duplicate"] * 2
        assert all("one" in view.message and view.name in view.message for view in views())
        assert cluster_view(service, "one").state == "Up"
        assert ready(service) == ("False", "PartiallySynced")
        since = [view.since for view in views()]
        await anyio.sleep(60.0)
        assert len(cluster.writes) == 5
        assert [view.since for view in views()] == since


async def test_when_the_holder_leaves_another_takes_over_within_seconds(stage: Stage) -> None:
    cluster = stage.cluster("one", *spaces(5))
    second = cluster.member(name="two")
    stage.configure(cluster.member(), second)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: cluster_view(service, "two").state == "Quarantined")
        stage.configure(second)
        assert await until(lambda: cluster_view(service, "two").state == "Up") < 6.0
        await settled(service)
        assert len(cluster.writes) == 5


async def test_a_hanging_entry_earlier_in_the_file_delays_the_others_by_less_than_a_second(stage: Stage) -> None:
    bad, good = stage.cluster("bad"), stage.cluster("good", *spaces(5))
    bad.freeze()
    stage.hub.put(policy(), static())
    async with stage.running():
        assert await until(lambda: len(good.secrets) == 5) < 1.0


async def test_entries_earlier_in_the_file_that_are_refused_delay_nobody(stage: Stage) -> None:
    for number in range(5):
        stage.cluster(f"dead-{number}").go_down()
    good = stage.cluster("good", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running():
        assert await until(lambda: len(good.secrets) == 5) < 0.3


async def test_a_name_behind_which_another_cluster_stands_starts_anew(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.go_down()
        await anyio.sleep(5.0)
        cluster.uid = FakeCluster("x").uid
        cluster.version = 10
        cluster.secrets.clear()
        cluster.namespaces.clear()
        cluster.add_namespace("team-new")
        cluster.thaw()
        await until(lambda: set(cluster.secrets) == {("team-new", "pull")})
        await settled(service)
        assert status_of(service).targets.summary == "1/1"


async def test_a_name_that_moved_to_another_cluster_leaves_the_old_one_to_others(stage: Stage) -> None:
    old, new = FakeCluster("old", namespaces=spaces(2)), FakeCluster("new", namespaces=spaces(2))
    stage.configure(old.member(name="main"))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.configure(new.member(name="main", fingerprint="moved"), old.member(name="second"))
        await until(lambda: len(new.secrets) == 2)
        await until(lambda: cluster_view(service, "second").state == "Up")


async def test_a_client_that_cannot_be_built_degrades_its_cluster_and_spends_no_restart(stage: Stage) -> None:
    good, bad = stage.cluster("good", *spaces(5)), stage.cluster("bad", *spaces(5))
    bad.connect_error = tls_failure
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        assert await until(lambda: len(good.secrets) == 5) < 1.0
        await anyio.sleep(60.0)
        view = cluster_view(service, "bad")
        assert (view.state, view.reason) == ("Degraded", "TLS")
        assert stage.signals.crashes == []
        bad.connect_error = None
        assert await until(lambda: len(bad.secrets) == 5) < 10.0


async def test_many_dead_clusters_do_not_keep_a_good_one_waiting(stage: Stage) -> None:
    for number in range(60):
        stage.cluster(f"dead-{number}").freeze()
    good = stage.cluster("good", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running():
        assert await until(lambda: len(good.secrets) == 5) < 1.0
        await anyio.sleep(30.0)
        good.add_namespace("team-new")
        assert await until(lambda: ("team-new", "pull") in good.secrets) < 0.1


async def test_a_cluster_with_no_quick_answers_gets_fewer_requests(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(200))
    cluster.latency = 1.5
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) > 30, within=60.0)
        assert service.setting.stations[next(iter(service.setting.stations))].limiter.rate < 200


@pytest.mark.parametrize("state", ["up", "frozen", "down", "throttled", "starting"])
async def test_the_service_ends_within_ten_seconds_whatever_a_cluster_does(stage: Stage, state: str) -> None:
    cluster = stage.cluster("a", *spaces(300))
    cluster.latency = 0.05
    stage.hub.put(policy(), static())
    stop = StopSignal()
    if state == "starting":
        cluster.freeze()
    service = Service(stage.ports())
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        if state != "starting":
            await until(lambda: len(cluster.secrets) > 20)
        match state:
            case "frozen":
                cluster.freeze()
            case "down":
                cluster.go_down()
            case "throttled":
                cluster.write_error = lambda *_: throttled(600.0)()
                await anyio.sleep(1.0)
        began, sent = anyio.current_time(), len(cluster.writes)
        stop.set("SIGTERM")
        with anyio.fail_after(10.0):
            await service.ended.wait()
    assert anyio.current_time() - began < 10.0
    assert len(cluster.writes) == sent
    assert (cluster.in_flight, cluster.open_clients, cluster.streams) == (0, 0, [])
    if state == "up":
        assert {one.result for one in cluster.writes} == {"ok"}
