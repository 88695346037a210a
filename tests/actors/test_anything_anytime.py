"""No sequence of edits, restarts and failures harms what is not ours, or takes away what is in use.

A service on fakes, three clusters that judge every write as it comes, and a driver that does one thing after the other;
in the end, with everything healed, each cluster holds what the hub wants. The seeds are fixed, so that a red run is the
change's; a failure names its seed and the last steps.
"""

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.anything import Anything
from tests.actors.anything_steps import STEPS
from tests.actors.stage import settled

pytestmark = pytest.mark.anyio

SEEDS = range(20)
STEPS_EACH = 520
PAUSES = (*[0.0] * 4, *[0.01] * 3, 0.3, 0.3, 2.0, 2.0, 2.0, 10.0, 90.0)
REST = 500.0
WEEK = 8 * 86400.0


async def live(world: Anything, steps: int) -> None:
    """Run a service while things happen; end it in order, or not."""
    service, stop = Service(world.stage.ports()), StopSignal()
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        for _ in range(steps):
            take_step(world, service)
            await anyio.sleep(world.draw.choice(PAUSES))
            assert not world.violations()
            world.settle()
        if world.draw.random() < 0.5:
            group.cancel_scope.cancel()
        stop.set("enough")
    restart(world)


def take_step(world: Anything, service: Service) -> None:
    """Do one thing, and note it."""
    world.steps += 1
    step = world.draw.choice(STEPS)
    said = step(world, service) or ""
    world.told.append(f"{world.steps} at {anyio.current_time():.2f}: {step.__name__} {said}")


def restart(world: Anything) -> None:
    """Forget what a process knows, and now and then what the store holds."""
    world.unsettle()
    lost = world.draw.random() < 0.2
    if lost:
        world.stage.store.items.clear()
    for cluster in world.clusters.values():
        cluster.restarted()
    world.told.append(f"a restart{' with an empty store' if lost else ''}")


async def come_right(world: Anything) -> None:
    """Let everything work, and see that everything becomes as it is wanted, and that it rests then."""
    for late in (False, True):
        async with world.stage.running() as service:
            if not late:
                world.heal()
            await anyio.sleep(REST)
            await settled(service)
            assert not list(world.wrong(late=late))
            writes = world.stage.writes
            await anyio.sleep(60.0)
            assert world.stage.writes == writes
        restart(world)
        world.stage.clock.step(WEEK)


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_harmed_whatever_happens_and_in_the_end_all_is_as_wanted(seed: int) -> None:
    world = Anything(seed)
    try:
        while world.steps < STEPS_EACH:
            await live(world, world.draw.randrange(10, 90))
        await come_right(world)
    except (AssertionError, TimeoutError, ExceptionGroup) as failure:
        wrong = [*world.violations(), *world.wrong(late=False)]
        pytest.fail("\n".join([f"seed {seed}", *wrong, "after:", *world.told, repr(failure)]))
    assert not world.violations()
    assert sum(cluster.judged for cluster in world.clusters.values()) > STEPS_EACH // 10
    assert sum(cluster.deleted for cluster in world.clusters.values())
