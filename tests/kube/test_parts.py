"""The small parts: lines, gates, interning, name look-ups."""

import itertools
import socket
import threading

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi import resolver
from imps_multi.kube import interner
from imps_multi.kube.gate import Gate
from imps_multi.kube.interner import Interner
from imps_multi.kube.lines import Lines, LineTooLongError
from imps_multi.resolver import Resolver

# -- lines -------------------------------------------------------------------------------------------------------------


@given(st.binary(), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_how_the_stream_is_cut(content: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    lines = Lines()
    fed = [line for start, end in itertools.pairwise(edges) for line in lines.feed(content[start:end])]
    assert fed == [line for line in content.split(b"\n")[:-1] if line]
    assert lines.unfinished == bool(content.rpartition(b"\n")[2])


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    lines = Lines(longest=10)
    assert lines.feed(b"x" * 10 + b"\n" + b"y" * 4) == [b"x" * 10]
    with pytest.raises(LineTooLongError):
        lines.feed(b"y" * 7)


# -- gates -------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_gate_lets_so_many_through() -> None:
    gate = Gate(2, hold=10)
    inside = 0
    most = 0

    async def pass_through() -> None:
        nonlocal inside, most
        async with gate.passing():
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            inside -= 1

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(7):
                tasks.start_soon(pass_through)
    assert (most, gate.free) == (2, 2)


@pytest.mark.anyio
async def test_who_stays_long_gives_the_place_back_once() -> None:
    gate = Gate(1, hold=0.05)
    with anyio.fail_after(5):
        async with gate.passing(), gate.passing():
            pass
    assert gate.free == 1


@pytest.mark.anyio
async def test_a_cancelled_one_gives_the_place_back() -> None:
    gate = Gate(1, hold=10)

    async def stay() -> None:
        async with gate.passing():
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stay)
        tasks.start_soon(stay)
        await anyio.wait_all_tasks_blocked()
        assert gate.free == 0
        tasks.cancel_scope.cancel()
    assert gate.free == 1


# -- interning ---------------------------------------------------------------------------------------------------------


def test_equal_pairs_are_one_object_sorted_and_without_what_is_left_out() -> None:
    kept = Interner()
    first = kept.pairs({"b": "2", "a": "1", "name": "x"}, without=("name",))
    assert first == (("a", "1"), ("b", "2"))
    assert kept.pairs({"a": "1", "b": "2"}) is first
    assert kept.pairs(None) == ()


def test_it_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interner, "LARGEST", 10)
    kept = Interner()
    for index in range(100):
        kept.one(str(index))
    assert len(kept._kept) <= 10


# -- name look-ups -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_name_is_looked_up_by_the_system() -> None:
    found = await Resolver(anyio.Semaphore(1)).resolve("localhost", 6443, socket.AF_INET)
    assert [(each["host"], each["port"]) for each in found] == [("127.0.0.1", 6443)]


@pytest.mark.anyio
async def test_hanging_look_ups_are_bounded_and_may_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, released = threading.Semaphore(0), threading.Event()

    def hang(host: str, port: int, family: int) -> list[object]:
        begun.release()
        released.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}:{family}")

    monkeypatch.setattr(resolver, "addresses", hang)
    lookups = anyio.Semaphore(2)
    try:
        async with anyio.create_task_group() as tasks:
            for index in range(3):
                tasks.start_soon(Resolver(lookups).resolve, f"host-{index}")
            await anyio.wait_all_tasks_blocked()
            assert lookups.statistics().tasks_waiting == 1
            tasks.cancel_scope.cancel()
    finally:
        released.set()
    with anyio.fail_after(10):
        with pytest.raises(socket.gaierror):
            await Resolver(lookups).resolve("another")
        for _ in range(2):  # those of the two that hung are given back too
            await lookups.acquire()
