import anyio
import pytest
from anyio import wait_all_tasks_blocked

from imps_multi.runtime.latest import Latest, Reader, wait_any
from tests.runtime.timing import BOUND

pytestmark = pytest.mark.anyio


def test_an_empty_cell_has_no_value_and_version_zero() -> None:
    cell = Latest[int]()
    assert cell.version == 0
    assert cell.get() is None
    assert cell.get("none") == "none"
    with pytest.raises(LookupError):
        _ = cell.value
    with pytest.raises(LookupError):
        cell.reader().take()


def test_none_is_a_value_like_any_other() -> None:
    cell = Latest[int | None](None)
    assert cell.version == 1
    assert cell.value is None
    assert cell.get(7) is None
    assert cell.reader().fresh


def test_setting_an_equal_value_only_if_changed_does_nothing() -> None:
    cell = Latest[int]()
    assert cell.set_if_changed(1)
    assert not cell.set_if_changed(1)
    assert cell.set_if_changed(2)
    assert cell.version == 2


async def test_a_reader_sees_the_current_value_first_and_then_waits_for_a_new_one() -> None:
    cell = Latest("old")
    reader = cell.reader()
    seen: list[str] = []

    async def read() -> None:
        seen.extend([await reader.next(), await reader.next()])

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await wait_all_tasks_blocked()
            assert seen == []
            cell.set("new")
    assert seen == ["old", "new"]
    assert not reader.fresh


async def test_a_slow_reader_sees_only_the_newest_value() -> None:
    cell = Latest[int]()
    reader = cell.reader()
    with anyio.fail_after(BOUND):
        for value in range(100):
            cell.set(value)
        assert await reader.next() == 99
        assert await cell.wait_newer(17) == (100, 99)
    assert not reader.fresh


async def test_one_set_reaches_a_thousand_waiting_readers() -> None:
    cell = Latest[int]()
    seen: list[int] = []

    async def read(reader: Reader[int]) -> None:
        seen.append(await reader.next())

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(read, cell.reader())
            await wait_all_tasks_blocked()
            cell.set(1)
            cell.set(2)
    assert seen == [2] * 1000


async def test_a_reader_cancelled_while_waiting_can_go_on_reading() -> None:
    cell = Latest[int]()
    reader = cell.reader()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(reader.next)
            await wait_all_tasks_blocked()
            cell.set(1)  # it is awake, and cancelled before it runs
            group.cancel_scope.cancel()
        cell.set(2)
        assert await reader.next() == 2


async def test_a_cancelled_reader_loses_no_value_that_was_there() -> None:
    reader = Latest(1).reader()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await reader.next()
    assert scope.cancelled_caught
    assert reader.fresh


async def test_waiting_for_any_of_several_wakes_for_each_and_takes_nothing() -> None:
    number, word = Latest[int](), Latest[str]()
    readers = number.reader(), word.reader()
    woken: list[tuple[bool, bool]] = []

    async def watch() -> None:
        for _ in range(2):
            await wait_any(*readers)
            woken.append((readers[0].fresh, readers[1].fresh))
            for reader in readers:
                if reader.fresh:
                    reader.take()

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await wait_all_tasks_blocked()
            word.set("a")
            await wait_all_tasks_blocked()
            number.set(1)
    assert woken == [(False, True), (True, False)]


async def test_waiting_for_any_returns_at_once_while_one_is_fresh() -> None:
    with anyio.fail_after(BOUND):
        await wait_any(Latest[int]().reader(), Latest("there").reader())


async def test_waiting_for_any_leaves_nothing_behind_when_cancelled() -> None:
    cells = Latest[int](), Latest[int]()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(wait_any, *(cell.reader() for cell in cells))
            await wait_all_tasks_blocked()
            assert [len(cell._also) for cell in cells] == [1, 1]
            group.cancel_scope.cancel()
    assert [len(cell._also) for cell in cells] == [0, 0]


async def test_waiting_for_no_reader_is_refused() -> None:
    with pytest.raises(ValueError, match="no reader"):
        await wait_any()
