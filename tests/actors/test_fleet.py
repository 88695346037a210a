"""The fleet, supervision and ends: a change touches what changed, a bug hurts its own cluster, the root ends loudly."""

from collections.abc import Callable

import anyio
import pytest
from structlog.testing import capture_logs

from imps_multi.actors.cluster import CLOSE_SECONDS
from imps_multi.actors.service import Service
from imps_multi.model.status import ConfigurationView
from imps_multi.runtime.shutdown import StopSignal
from imps_multi.runtime.supervisor import EscalatedError
from tests.actors.fake_cluster import FakeClient, FakeCluster
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, cluster_view, ready, settled, spaces, until

pytestmark = pytest.mark.anyio


class Bug(RuntimeError):
    """What nobody foresaw."""


def buggy(cluster: FakeCluster) -> None:
    """Let every write raise what no port may raise."""

    def fail(_namespace: str, _name: str) -> None:
        raise Bug

    cluster.write_error = fail


async def test_a_cluster_that_joins_touches_no_other(stage: Stage) -> None:
    first = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        asked = len(first.requests)
        second = stage.cluster("b", *spaces(3))
        assert await until(lambda: len(second.secrets) == 3) < 1.0
        assert len(first.requests) == asked
        assert first.open_clients == 1


async def test_a_cluster_that_leaves_ends_its_own_work_and_is_forgotten(stage: Stage) -> None:
    first, second = stage.cluster("a", *spaces(3)), stage.cluster("b", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        asked = len(first.requests)
        stage.configure(first.member())
        await until(lambda: second.open_clients == 0)
        assert (second.streams, second.in_flight) == ([], 0)
        await until(lambda: "b" not in {one.name for one in service.reporter.compute().clusters})
        assert len(first.requests) == asked


async def test_a_cluster_whose_settings_change_starts_anew_alone(stage: Stage) -> None:
    first, second = stage.cluster("a", *spaces(3)), stage.cluster("b", *spaces(3))
    stage.hub.put(policy(clusters={"labels": [{"matchLabels": {"env": "prod"}}]}), static())
    async with stage.running():
        await until(lambda: first.lists("namespaces") == 1 and second.lists("namespaces") == 1)
        stage.configure(first.member(), second.member(labels=(("env", "prod"),)))
        await until(lambda: len(second.secrets) == 3)
        assert (first.lists("namespaces"), second.lists("namespaces")) == (1, 2)
        assert first.secrets == {}


async def test_the_same_fleet_set_again_touches_nobody(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        asked = len(cluster.requests)
        stage.configure(cluster.member())
        await anyio.sleep(1.0)
        assert len(cluster.requests) == asked


async def test_clusters_that_will_not_close_keep_nobody_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: FakeClient) -> None:
        await anyio.sleep_forever()

    for number in range(20):
        stage.cluster(f"c{number}", *spaces(1))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        monkeypatch.setattr(FakeClient, "aclose", hang)
        new = FakeCluster("new", namespaces=spaces(1))
        stage.configure(new.member())
        assert await until(lambda: new.secrets) < CLOSE_SECONDS + 1.0


async def test_a_bug_in_one_cluster_restarts_it_then_quarantines_it_alone_and_it_comes_back(stage: Stage) -> None:
    good, bad = stage.cluster("good", *spaces(3)), stage.cluster("bad", *spaces(3))
    buggy(bad)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: len(good.secrets) == 3)
        await until(lambda: stage.signals.quarantines.get(("cluster", "bad")), within=60.0)
        assert len(stage.signals.crashes) == 6
        assert cluster_view(service, "bad").state == "Quarantined"
        assert cluster_view(service, "bad").reason == "InternalError"
        assert ready(service) == ("False", "PartiallySynced")
        assert (bad.open_clients, bad.in_flight, bad.streams) == (0, 0, [])
        good.add_namespace("team-new")
        assert await until(lambda: ("team-new", "pull") in good.secrets) < 0.2
        assert good.lists("namespaces") == 1
        bad.write_error = lambda *_: None
        await until(lambda: len(bad.secrets) == 3, within=200.0)
        assert stage.signals.quarantines == {("cluster", "bad"): False}
        await until(lambda: ready(service) == ("True", "AllSynced"))


async def test_a_single_bug_costs_one_restart(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    bugs = iter([Bug()])

    def fail(_namespace: str, _name: str) -> None:
        for bug in bugs:
            raise bug

    cluster.write_error = fail
    stage.hub.put(policy(), static())
    with capture_logs() as logs:
        async with stage.running() as service:
            await settled(service)
            assert len(cluster.secrets) == 3
            assert [name for name, _ in stage.signals.crashes] == ["cluster a"]
            assert cluster.open_clients == 1
    assert [one for one in logs if one["log_level"] == "error"] == []  # who is told of it says it, once


async def test_a_root_actor_that_fails_too_often_ends_the_service_with_its_error(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    stage.hub.error = Bug("the hub adapter raised")
    service = Service(stage.ports())
    with pytest.raises(BaseExceptionGroup) as caught, anyio.fail_after(120.0):
        await service.run(StopSignal())
    escalated = caught.value.subgroup(EscalatedError)
    assert escalated is not None
    assert service.ended.is_set()
    assert len(stage.signals.crashes) == 6
    assert (cluster.open_clients, cluster.in_flight, cluster.streams) == (0, 0, [])


async def test_a_root_actor_that_fails_once_is_restarted_and_the_clusters_do_not_notice(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("namespaces")
        stage.hub.error = Bug()
        stage.hub.put(static(quay_io="new"))
        await until(lambda: stage.signals.crashes)
        stage.hub.error = None
        await until(lambda: set(cluster.passwords("quay.io").values()) == {"new"})
        assert cluster.lists("namespaces") == lists
        assert len(cluster.writes) == 6


async def test_readiness_means_that_the_hub_was_read_and_no_end_has_begun(stage: Stage) -> None:
    stage.cluster("a").freeze()
    service, stop = Service(stage.ports()), StopSignal()
    assert not service.ready
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        await until(lambda: service.ready)
        stop.set("SIGTERM")
        await service.ended.wait()
    assert not service.ready


async def test_a_stop_in_the_middle_of_a_fan_out_lets_writes_end_and_begins_none(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(500))
    cluster.latency = 0.5
    stage.hub.put(policy(sources=("ecr",)), minted())
    service, stop = Service(stage.ports()), StopSignal()
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        await until(lambda: len(cluster.secrets) > 50)
        sent = len(cluster.writes)
        assert cluster.in_flight > 0
        stop.set("SIGTERM")
        began = anyio.current_time()
        await service.ended.wait()
    assert anyio.current_time() - began < 2.0
    assert len(cluster.writes) == sent == len(cluster.secrets)
    assert {one.result for one in cluster.writes} == {"ok"}
    async with stage.running() as again:
        await settled(again, within=60.0)
    assert len(cluster.writes) == 500
    assert len(stage.provider.mints) == 1


async def test_a_stop_while_the_rate_is_limited_does_not_wait_for_the_limit(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(50), requests_per_second=1.0, burst=1)
    stage.hub.put(policy(), static())
    service, stop = Service(stage.ports()), StopSignal()
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        await until(lambda: len(cluster.secrets) == 3)
        stop.set("SIGTERM")
        began = anyio.current_time()
        await service.ended.wait()
    assert anyio.current_time() - began < 1.0
    assert len(cluster.writes) == 3


def _while_reading(stage: Stage) -> Callable[[], object]:
    return lambda: stage.hub.reads


def _while_minting(stage: Stage) -> Callable[[], object]:
    stage.provider.hanging = True
    return lambda: stage.provider.minting


def _while_storing(stage: Stage) -> Callable[[], object]:
    stage.store.slow = 60.0
    return lambda: stage.store.saving


def _while_writing(stage: Stage) -> Callable[[], object]:
    stage.clusters["a"].latency = 1.0
    return lambda: any(one.verb == "create" and not one.result for one in stage.clusters["a"].requests)


def _while_connecting(stage: Stage) -> Callable[[], object]:
    stage.clusters["a"].freeze()
    return lambda: stage.clusters["a"].in_flight


@pytest.mark.parametrize("moment", [_while_reading, _while_minting, _while_storing, _while_writing, _while_connecting])
async def test_cancelled_at_any_moment_nothing_is_open_or_half_recorded(
    stage: Stage, moment: Callable[[Stage], Callable[[], object]]
) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    reached = moment(stage)
    async with anyio.create_task_group() as group:
        group.start_soon(Service(stage.ports()).run, StopSignal())
        await until(reached)
        group.cancel_scope.cancel()
    assert (cluster.in_flight, cluster.open_clients, cluster.streams) == (0, 0, [])
    assert (stage.store.saving, stage.provider.minting) == (0, 0)
    cluster.latency = 0.0
    stage.provider.hanging, stage.store.slow = False, 0.0
    cluster.thaw()
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
    assert len(cluster.secrets) == 5


async def test_a_configuration_that_cannot_be_used_shows_in_the_status(stage: Stage) -> None:
    stage.cluster("a")
    ports = stage.ports()
    service, stop = Service(ports), StopSignal()
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        ports.configuration.set(ConfigurationView(last_reload_successful=False, error="line 3"))
        await until(lambda: (now := service.reporter.status.get()) and now.configuration.error == "line 3")
        stop.set("done")


async def test_fan_outs_are_timed_from_the_changed_source_to_the_last_cluster(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    cluster.latency = 0.1
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        before = len(stage.signals.fan_outs)
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await settled(service)
        cluster.remove("team-0000", "pull")
        await anyio.sleep(120.0)
        [took] = stage.signals.fan_outs[before:]
        assert 0.7 <= took <= 1.7
