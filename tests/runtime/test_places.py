import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from imps_multi.runtime.places import Places
from tests.runtime.timing import BOUND, virtual_time

pytestmark = pytest.mark.anyio


class Crowd:
    """People who come for a place and stay until they are let go."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.inside: list[int] = []
        self.most = 0
        self.came: list[int] = []
        self.leave = {number: anyio.Event() for number in range(10)}

    async def come(self, number: int) -> None:
        async with self.places.place():
            self.came.append(number)
            self.inside.append(number)
            self.most = max(self.most, len(self.inside))
            try:
                await self.leave[number].wait()
            finally:
                self.inside.remove(number)


async def test_no_more_are_inside_than_there_are_places_and_the_first_come_first() -> None:
    crowd = Crowd(Places(2, hold=60.0))
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(crowd.come, number)
                await wait_all_tasks_blocked()
            for number in range(6):
                crowd.leave[number].set()
                await wait_all_tasks_blocked()
    assert crowd.came == [0, 1, 2, 3, 4, 5]
    assert crowd.most == 2
    assert crowd.places.free == 2


async def test_with_more_places_some_who_wait_get_in_and_with_fewer_nobody_has_to_leave() -> None:
    crowd = Crowd(places := Places(1, hold=60.0))
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(crowd.come, number)
                await wait_all_tasks_blocked()
            assert crowd.inside == [0]
            places.resize(3)
            await wait_all_tasks_blocked()
            assert sorted(crowd.inside) == [0, 1, 2]
            places.resize(1)
            await wait_all_tasks_blocked()
            assert sorted(crowd.inside) == [0, 1, 2]
            crowd.leave[0].set()
            crowd.leave[1].set()
            await wait_all_tasks_blocked()
            assert crowd.inside == [2]
            for number in range(2, 6):
                crowd.leave[number].set()
                await wait_all_tasks_blocked()
    assert crowd.came[0] == 0
    assert sorted(crowd.came[1:3]) == [1, 2]
    assert crowd.came[3:] == [3, 4, 5]


async def test_whoever_is_cancelled_while_waiting_takes_nobodys_turn() -> None:
    crowd = Crowd(Places(1, hold=60.0))
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(crowd.come, 0)
            await wait_all_tasks_blocked()
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(crowd.come, 1)
                await wait_all_tasks_blocked()
                impatient.cancel_scope.cancel()
            group.start_soon(crowd.come, 2)
            await wait_all_tasks_blocked()
            crowd.leave[0].set()
            await wait_all_tasks_blocked()
            assert crowd.inside == [2]
            crowd.leave[2].set()
    assert crowd.places.free == 1


async def test_a_place_that_is_handed_over_and_cancelled_in_one_moment_goes_to_the_next() -> None:
    crowd = Crowd(Places(1, hold=60.0))
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(crowd.come, 0)
            await wait_all_tasks_blocked()
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(crowd.come, 1)
                await wait_all_tasks_blocked()
                group.start_soon(crowd.come, 2)
                await wait_all_tasks_blocked()
                crowd.leave[0].set()
                impatient.cancel_scope.cancel()
            await wait_all_tasks_blocked()
            assert 2 in crowd.inside
            crowd.leave[2].set()
    assert crowd.places.free == 1


async def test_work_that_fails_gives_its_place_back() -> None:
    places = Places(1, hold=60.0)
    with pytest.raises(RuntimeError):
        async with places.place():
            raise RuntimeError
    assert places.free == 1


@virtual_time
async def test_a_place_that_is_held_too_long_goes_to_the_next_and_is_given_back_once() -> None:
    crowd = Crowd(Places(2, hold=1.0))
    async with anyio.create_task_group() as group:
        group.start_soon(crowd.places.run)
        for number in range(4):
            group.start_soon(crowd.come, number)
            await checkpoint()
        await anyio.sleep(0.9)
        assert len(crowd.inside) == 2
        await anyio.sleep(0.7)
        assert len(crowd.inside) == 4
        for number in range(4):
            crowd.leave[number].set()
        await anyio.sleep(0.1)
        assert crowd.places.free == 2
        group.cancel_scope.cancel()


@virtual_time
async def test_nobody_loses_a_place_that_nobody_wants() -> None:
    crowd = Crowd(Places(1, hold=1.0))
    async with anyio.create_task_group() as group:
        group.start_soon(crowd.places.run)
        group.start_soon(crowd.come, 0)
        await anyio.sleep(10.0)
        assert crowd.places.free == 0
        group.cancel_scope.cancel()


@pytest.mark.parametrize(("count", "hold"), [(0, 1.0), (1, 0.0)])
def test_there_must_be_a_place_and_some_time(count: int, hold: float) -> None:
    with pytest.raises(ValueError, match="place"):
        Places(count, hold=hold)
