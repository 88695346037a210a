import anyio
import pytest
from anyio import wait_all_tasks_blocked

from imps_multi.runtime.backoff import Backoff
from imps_multi.runtime.keyed_queue import KeyedQueue, Lane, QueueClosedError, Taken
from tests.runtime.timing import BOUND, no_jitter, virtual_time

pytestmark = pytest.mark.anyio


def queue() -> KeyedQueue[str]:
    return KeyedQueue(backoff=Backoff(initial=1, factor=2, cap=60), rand=no_jitter)


class Workers:
    """Take keys, and end them at once."""

    def __init__(self, keys: KeyedQueue[str]) -> None:
        self.keys = keys
        self.began = anyio.current_time()
        self.took: list[tuple[str, float]] = []

    async def work(self) -> None:
        while True:
            key = await self.keys.get()
            self.took.append((key, round(anyio.current_time() - self.began, 3)))
            self.keys.done(key)


async def test_a_key_added_while_a_worker_waits_is_given_to_it() -> None:
    keys = queue()
    workers = Workers(keys)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            keys.add("a")
            keys.add("b", lane=Lane.URGENT)
            await keys.wait_idle()
            group.cancel_scope.cancel()
    assert [key for key, _ in workers.took] == ["b", "a"]


async def test_ten_thousand_keys_come_once_each_to_sixteen_workers() -> None:
    keys = queue()
    workers = Workers(keys)
    with anyio.fail_after(BOUND * 4):
        async with anyio.create_task_group() as group:
            for _ in range(16):
                group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            for number in range(20_000):
                keys.add(str(number % 10_000))
            await keys.wait_idle()
            group.cancel_scope.cancel()
    assert sorted(key for key, _ in workers.took) == sorted(map(str, range(10_000)))


async def test_an_added_key_wakes_one_worker_and_no_more() -> None:
    keys = queue()
    async with anyio.create_task_group() as group:
        with anyio.fail_after(BOUND):
            for _ in range(16):
                group.start_soon(Workers(keys).work)
            await wait_all_tasks_blocked()
            keys.add("a")
            assert len(keys._sleepers) == 15
            keys.add("a")
            keys.add("later", at=anyio.current_time() + 3600)
            await wait_all_tasks_blocked()
            assert (len(keys._sleepers), keys._timekeeper is None) == (15, False)
        group.cancel_scope.cancel()


@virtual_time
async def test_delayed_keys_come_at_their_time_whoever_waits() -> None:
    keys = queue()
    workers = Workers(keys)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            for key, delay in [("c", 9), ("a", 3), ("b", 6), ("b2", 6)]:
                keys.add(key, at=workers.began + delay)
            await anyio.sleep(10)
            group.cancel_scope.cancel()
    assert workers.took == [("a", 3), ("b", 6), ("b2", 6), ("c", 9)]


@virtual_time
async def test_an_earlier_time_moves_the_alarm_of_a_worker_that_waits_already() -> None:
    keys = queue()
    workers = Workers(keys)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(workers.work)
            keys.add("a", at=workers.began + 30)
            await wait_all_tasks_blocked()
            keys.add("a", at=workers.began + 2)
            await anyio.sleep(5)
            group.cancel_scope.cancel()
    assert workers.took == [("a", 2)]


@virtual_time
async def test_a_delayed_key_finds_a_timekeeper_when_the_last_one_went_to_work() -> None:
    keys = queue()
    took: list[tuple[str, float]] = []
    began = anyio.current_time()

    async def slow() -> None:
        while True:
            key = await keys.get()
            took.append((key, anyio.current_time() - began))
            await anyio.sleep(20)
            keys.done(key)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            group.start_soon(slow)
            await wait_all_tasks_blocked()
            keys.add("a", at=began + 1)
            keys.add("b", at=began + 5)
            await anyio.sleep(10)
            group.cancel_scope.cancel()
    assert took == [("a", 1), ("b", 5)]


@virtual_time
async def test_retries_back_off_and_a_reset_starts_all_of_them_at_once() -> None:
    keys = queue()
    tried: list[float] = []
    began = anyio.current_time()

    async def fail() -> None:
        while True:
            key = await keys.get()
            tried.append(anyio.current_time() - began)
            keys.retry(key)
            keys.done(key)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            keys.add("a")
            await anyio.sleep(10)
            assert keys.failures("a") == 4
            keys.reset_backoff()
            await anyio.sleep(0.5)
            group.cancel_scope.cancel()
    assert tried == [0, 1, 3, 7, 10]
    assert keys.counts().retries == 5


@virtual_time
async def test_whoever_measures_is_told_how_long_a_key_was_due() -> None:
    told: list[Taken[str]] = []
    keys = KeyedQueue[str](backoff=Backoff(), rand=no_jitter, on_take=told.append)
    with anyio.fail_after(60):
        keys.add("a", at=anyio.current_time() + 2)
        await anyio.sleep(5)
        assert await keys.get() == "a"
    assert told == [Taken("a", Lane.ROUTINE, 3)]


async def test_a_worker_cancelled_when_it_was_just_called_passes_the_call_on() -> None:
    keys = queue()
    workers = Workers(keys)
    scope = anyio.CancelScope()

    async def get_once() -> None:
        with scope:
            keys.done(await keys.get())

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(get_once)
            await wait_all_tasks_blocked()
            group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            keys.add("a")  # calls the first, which is cancelled before it can answer
            scope.cancel()
            await keys.wait_idle()
            group.cancel_scope.cancel()
    assert len(keys) == 0
    assert keys.counts().in_flight == 0


async def test_a_cancelled_get_leaves_a_ready_key_in_the_queue() -> None:
    keys = queue()
    keys.add("a")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await keys.get()
    assert scope.cancelled_caught
    assert (len(keys), keys.counts().in_flight) == (1, 0)


@virtual_time
async def test_when_the_timekeeper_is_cancelled_another_worker_keeps_the_time() -> None:
    keys = queue()
    workers = Workers(keys)
    scopes: list[anyio.CancelScope] = []

    async def get_once() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await keys.get()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(get_once)
            await wait_all_tasks_blocked()
            group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            keys.add("a", at=workers.began + 3)
            await wait_all_tasks_blocked()
            assert keys._timekeeper is not None
            scopes[0].cancel()
            await anyio.sleep(4)
            group.cancel_scope.cancel()
    assert workers.took == [("a", 3)]


async def test_work_cancelled_between_get_and_done_is_ended_and_nothing_stays_in_flight() -> None:
    keys = queue()

    async def work() -> None:
        key = await keys.get()
        try:
            await anyio.sleep_forever()
        finally:
            keys.done(key)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            keys.add("a")
            await wait_all_tasks_blocked()
            keys.add("a")
            assert keys.counts().in_flight == 1
            group.cancel_scope.cancel()
        assert keys.counts().in_flight == 0
        assert await keys.get() == "a"


async def test_what_was_asked_for_in_flight_wakes_another_worker_when_the_first_goes_home() -> None:
    keys = queue()
    workers = Workers(keys)
    with anyio.fail_after(BOUND):
        keys.add("a")
        key = await keys.get()
        keys.add("a")
        async with anyio.create_task_group() as group:
            group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            keys.done(key)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert [key for key, _ in workers.took] == ["a"]


async def test_a_closed_queue_sends_home_those_who_wait_and_those_who_come() -> None:
    keys = queue()
    home: list[int] = []

    async def work(number: int) -> None:
        with pytest.raises(QueueClosedError):
            await keys.get()
        home.append(number)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            keys.add("later", at=anyio.current_time() + 3600)
            for number in range(3):
                group.start_soon(work, number)
            await wait_all_tasks_blocked()
            keys.close()
        assert keys.closed
        assert sorted(home) == [0, 1, 2]
        keys.add("a")
        await work(3)


async def test_a_closed_queue_is_idle_once_what_is_in_flight_has_ended() -> None:
    keys = queue()
    keys.add("a")
    keys.add("b")
    with anyio.fail_after(BOUND):
        key = await keys.get()
        keys.close()
        async with anyio.create_task_group() as group:
            group.start_soon(keys.wait_idle)
            await wait_all_tasks_blocked()
            assert keys._idle is not None
            keys.done(key)


async def test_an_idle_queue_may_hold_delayed_keys() -> None:
    keys = queue()
    keys.add("later", at=anyio.current_time() + 3600)
    keys.add("a")
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(keys.wait_idle)
            await wait_all_tasks_blocked()
            assert keys.discard("a")
    assert keys.counts().delayed == len(keys) == 1


async def test_a_worker_for_urgent_keys_leaves_the_others_alone() -> None:
    keys = queue()
    took: list[Taken[str]] = []

    async def express() -> None:
        while True:
            taken = await keys.take(Lane.URGENT)
            took.append(taken)
            keys.done(taken.key)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(express)
            await wait_all_tasks_blocked()
            keys.add("routine")
            await wait_all_tasks_blocked()
            assert took == []
            keys.add("urgent", lane=Lane.URGENT)
            keys.add("routine", lane=Lane.URGENT)
            await keys.wait_idle()
            group.cancel_scope.cancel()
    assert {(taken.key, taken.lane) for taken in took} == {("urgent", Lane.URGENT), ("routine", Lane.URGENT)}


async def test_an_urgent_key_finds_the_worker_for_it_while_all_others_are_at_work() -> None:
    keys = queue()
    took: list[str] = []

    async def busy() -> None:
        await keys.get()
        await anyio.sleep_forever()

    async def express() -> None:
        took.append((await keys.take(Lane.URGENT)).key)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            keys.add("a")
            keys.add("b")
            group.start_soon(busy)
            group.start_soon(busy)
            group.start_soon(express)
            await wait_all_tasks_blocked()
            keys.add("c")
            keys.add("d", lane=Lane.URGENT)
            await wait_all_tasks_blocked()
            assert took == ["d"]
            group.cancel_scope.cancel()
    assert len(keys) == 1


async def test_a_cancelled_worker_for_urgent_keys_passes_the_call_on() -> None:
    keys = queue()
    took: list[str] = []

    async def express() -> None:
        took.append((await keys.take(Lane.URGENT)).key)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            async with anyio.create_task_group() as first:
                first.start_soon(express)
                await wait_all_tasks_blocked()
                group.start_soon(express)
                await wait_all_tasks_blocked()
                keys.add("a", lane=Lane.URGENT)
                first.cancel_scope.cancel()
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert took == ["a"]


async def test_closing_sends_home_those_who_wait_for_urgent_keys() -> None:
    keys = queue()

    async def express() -> None:
        with pytest.raises(QueueClosedError):
            await keys.take(Lane.URGENT)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(express)
            await wait_all_tasks_blocked()
            keys.close()


def hiring() -> tuple[KeyedQueue[str], list[None]]:
    calls: list[None] = []
    backoff = Backoff(initial=1, factor=2, cap=60)
    return KeyedQueue(backoff=backoff, rand=no_jitter, on_shortage=lambda: calls.append(None)), calls


async def test_a_key_for_which_nobody_waits_is_a_shortage_of_workers() -> None:
    keys, calls = hiring()
    keys.add("a")
    assert len(calls) == 1
    assert not keys.spare
    assert (await keys.get()) == "a"
    assert len(calls) == 1  # there is nothing to do for another one
    keys.add("b", at=anyio.current_time() + 60.0)
    assert len(calls) == 2  # somebody must keep the time
    assert keys.take_nowait() is None


async def test_there_is_no_shortage_while_somebody_waits() -> None:
    keys, calls = hiring()
    workers = Workers(keys)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(workers.work)
            await wait_all_tasks_blocked()
            assert keys.spare
            keys.add("a")
            assert calls == []
            keys.add("b")
            assert len(calls) == 1  # the one who waited is called already
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert [key for key, _ in workers.took] == ["a", "b"]


async def test_one_who_takes_only_what_is_urgent_is_no_help_with_the_rest() -> None:
    keys, calls = hiring()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(keys.take, Lane.URGENT)
            await wait_all_tasks_blocked()
            assert not keys.spare
            keys.add("a")
            assert len(calls) == 1
            group.cancel_scope.cancel()
