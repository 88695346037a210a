import anyio
import pytest
from anyio import wait_all_tasks_blocked

from imps_multi.runtime.clock import wait_until
from tests.runtime.timing import BOUND, virtual_time


class WallClock:
    """Runs with the monotonic clock, from 1000 on, and can be stepped."""

    def __init__(self) -> None:
        self.offset = 1000.0 - anyio.current_time()
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        return anyio.current_time() + self.offset


@pytest.mark.anyio
@virtual_time
async def test_it_returns_when_the_wall_clock_is_there_and_looks_at_it_each_minute() -> None:
    clock = WallClock()
    began = anyio.current_time()
    await wait_until(1150.0, clock)
    assert anyio.current_time() - began == pytest.approx(150)
    assert 4 <= clock.readings <= 5


@pytest.mark.anyio
@virtual_time
@pytest.mark.parametrize(("step", "expected"), [(10_000.0, 60.0), (-30.0, 180.0)])
async def test_a_step_of_the_wall_clock_is_noticed_within_a_minute(step: float, expected: float) -> None:
    clock = WallClock()
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(wait_until, 1150.0, clock)
        await anyio.sleep(30)
        clock.offset += step
    assert anyio.current_time() - began == pytest.approx(expected)


@pytest.mark.anyio
async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    with anyio.fail_after(BOUND):
        await wait_until(999.0, WallClock())


@pytest.mark.anyio
async def test_the_wait_can_be_cancelled() -> None:
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(wait_until, 1e9, WallClock())
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
