"""When a pass is over: not before the hub's second look at what was missing."""

from typing import Any

import anyio
import pytest
import trio.testing

from imps_multi.app.settling import wait_settled
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fakes import policy, static
from tests.actors.stage import Stage, spaces

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time passes only when nothing else can happen."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def one_pass(stage: Stage) -> float:
    """Run a service of its own until it has settled; return the seconds that took."""
    began = anyio.current_time()
    async with stage.running() as service:
        with anyio.fail_after(30):
            await wait_settled(service, StopSignal())
    return anyio.current_time() - began


async def test_a_policy_that_was_deleted_between_two_passes_is_seen_to_be_gone_by_the_next(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), policy("left", secret="left", spec={"deletionPolicy": "Immediate"}), static())
    await one_pass(stage)
    assert len(cluster.secrets) == 6
    stage.hub.remove("left")
    await one_pass(stage)
    assert sorted(cluster.secrets) == [(space, "pull") for space in spaces(3)]


async def test_a_pass_in_which_nothing_is_missing_takes_no_second_look(stage: Stage) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    await one_pass(stage)
    reads = stage.hub.reads
    await one_pass(stage)
    assert stage.hub.reads == reads + 1


@pytest.fixture
def stage() -> Stage:
    """Nothing in the hub, no cluster."""
    return Stage()
