"""The service on every backend: it does its job and ends, without waiting for any clock but its own."""

from typing import Any

import anyio
import pytest
import trio.testing

from imps_multi.actors.service import Service
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, spaces

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every backend."""
    if request.param == "trio":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


async def all_synced(service: Service) -> None:
    """Wait for the status that says so."""
    reader = service.reporter.status.reader()
    with anyio.fail_after(10.0):
        while True:
            status = await reader.next()
            conditions = [one for view in status.policies for one in view.status.conditions if one.type == "Ready"]
            if conditions and all(one.reason == "AllSynced" for one in conditions):
                return


async def test_it_fans_out_repairs_refreshes_and_ends(stage: Stage) -> None:
    clusters = [stage.cluster(name, *spaces(10)) for name in "abc"]
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    service, stop = Service(stage.ports()), StopSignal()
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        await all_synced(service)
        clusters[0].remove("team-0000", "pull")
        assert await service.sync(next(iter(service.world.value.policies)))
        await all_synced(service)
        reader = service.reporter.status.reader()
        with anyio.fail_after(30.0):
            while not all(set(one.passwords("ecr.example").values()) == {"token-2"} for one in clusters):
                await reader.next()
        stop.set("done")
        with anyio.fail_after(10.0):
            await service.ended.wait()
    for cluster in clusters:
        assert len(cluster.secrets) == 10
        assert (cluster.in_flight, cluster.open_clients, cluster.streams) == (0, 0, [])
    assert stage.signals.crashes == []


@pytest.mark.parametrize("moment", range(0, 60, 7))
async def test_cancelled_after_any_number_of_steps_nothing_is_left_open(stage: Stage, moment: int) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with anyio.create_task_group() as group:
        group.start_soon(Service(stage.ports()).run, StopSignal())
        for _ in range(moment):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert (cluster.in_flight, cluster.open_clients, cluster.streams) == (0, 0, [])
    assert (stage.store.saving, stage.provider.minting) == (0, 0)
