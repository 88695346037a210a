"""However many clusters have much to plan in the same moment, whatever else comes in waits for a handful of plans."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from imps_multi.actors.service import Service
from imps_multi.actors.station import LOOKS_PER_BREATH
from imps_multi.ports import Invalid
from tests.actors.fakes import minted, policy
from tests.actors.letting_go import OPEN, only
from tests.actors.stage import Stage, settled, spaces, until

pytestmark = pytest.mark.anyio

CLUSTERS = 8
NAMESPACES = 2 * LOOKS_PER_BREATH
IMMEDIATE: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}


def looks(service: Service) -> int:
    return sum(here.book.looks for here in service.setting.stations.values())


class Handfuls(trio.abc.Instrument):
    """Counts the namespaces that are looked at in each turn of the loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._before = looks(service)
        self.sizes: list[int] = []

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002  # an instrument's
        """Count at the end of a turn."""
        now = looks(self._service)
        self.sizes.append(now - self._before)
        self._before = now


@contextmanager
def counted(service: Service) -> Iterator[Handfuls]:
    """Count within a block."""
    handfuls = Handfuls(service)
    trio.lowlevel.add_instrument(handfuls)
    yield handfuls
    trio.lowlevel.remove_instrument(handfuls)


@pytest.fixture
async def service(stage: Stage) -> AsyncIterator[Service]:
    """All have what they shall have; no write is answered well from then on, so that none is planned after it."""
    stage.safety.set(OPEN)
    for number in range(CLUSTERS):
        stage.cluster(f"many-{number}", *spaces(NAMESPACES))
    stage.hub.put(policy(sources=("ecr",), **IMMEDIATE), minted())
    async with stage.running() as running:
        await settled(running)
        for cluster in stage.clusters.values():
            cluster.write_error = lambda _namespace, _name: Invalid("no")
        yield running


async def test_a_new_token_is_planned_by_handfuls(stage: Stage, service: Service) -> None:
    with counted(service) as handfuls:
        stage.hub.put(minted(identity="two"))
        await until(lambda: sum(handfuls.sizes) >= CLUSTERS * NAMESPACES)
    assert max(handfuls.sizes) <= 2 * LOOKS_PER_BREATH


async def test_what_the_brake_lets_go_is_planned_by_handfuls(stage: Stage, service: Service) -> None:
    """Each namespace twice: when it is not wanted any more, and when that may go."""
    with counted(service) as handfuls:
        stage.hub.put(policy(sources=("ecr",), **only("team-0000"), **IMMEDIATE))
        await until(lambda: sum(handfuls.sizes) >= 2 * CLUSTERS * (NAMESPACES - 1))
    assert max(handfuls.sizes) <= 2 * LOOKS_PER_BREATH
