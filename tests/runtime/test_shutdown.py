import os
import signal
from dataclasses import dataclass, field

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from imps_multi.runtime.shutdown import (
    Ended,
    Finished,
    InFlight,
    StopSignal,
    run_with_drain,
    shielded,
    stop_on_signals,
)
from tests.runtime.timing import BOUND, virtual_time

pytestmark = pytest.mark.anyio


class BugError(Exception):
    """What nobody foresaw."""


@dataclass
class App:
    """A small service: work that goes on for ever, one write in flight, one flush; it notes what happened."""

    write_seconds: float = 1.0
    flush_seconds: float = 1.0
    notes: list[str] = field(default_factory=list)
    stop: StopSignal = field(default_factory=StopSignal)
    in_flight: InFlight = field(default_factory=InFlight)

    async def work(self) -> None:
        try:
            with self.in_flight:
                await anyio.sleep(self.write_seconds)
                self.notes.append("written")
            await anyio.sleep_forever()
        finally:
            self.notes.append("work ended")

    async def flush(self) -> None:
        await anyio.sleep(self.flush_seconds)
        self.notes.append("flushed")

    async def run(self) -> Ended:
        return await run_with_drain(
            self.work,
            stop=self.stop,
            stop_intake=lambda: self.notes.append("intake stopped"),
            drain=self.in_flight.wait_none,
            drain_seconds=5,
            flush=self.flush,
            flush_seconds=3,
        )

    async def stop_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.stop.set("SIGTERM")


async def test_a_stop_signal_keeps_its_first_reason_and_wakes_all() -> None:
    stop = StopSignal()
    reasons: list[str] = []

    async def wait() -> None:
        reasons.append(await stop.wait())

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait)
            await wait_all_tasks_blocked()
            assert (stop.is_set, stop.reason) == (False, None)
            stop.set("first")
            stop.set("second")
        await wait()
    assert reasons == ["first"] * 4


async def test_waiting_for_the_stop_signal_can_be_cancelled() -> None:
    stop = StopSignal()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(stop.wait)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        stop.set("later")
        assert await stop.wait() == "later"


async def test_the_first_signal_stops_and_the_next_is_no_longer_ours() -> None:
    stop = StopSignal()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: stop_on_signals(stop, signals=(signal.SIGUSR2,)))
            await wait_all_tasks_blocked()
            assert signal.getsignal(signal.SIGUSR2) != signal.SIG_DFL
            os.kill(os.getpid(), signal.SIGUSR2)
            assert await stop.wait() == "SIGUSR2"
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


async def test_in_flight_counts_and_lets_one_wait_until_none_is_left() -> None:
    in_flight = InFlight()
    released = anyio.Event()

    async def write() -> None:
        with in_flight:
            await released.wait()

    with anyio.fail_after(BOUND):
        await in_flight.wait_none()
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            group.start_soon(write)
            group.start_soon(in_flight.wait_none)
            await wait_all_tasks_blocked()
            assert in_flight.count == 2
            released.set()
    assert in_flight.count == 0


async def test_a_write_that_is_cancelled_is_no_longer_in_flight() -> None:
    in_flight = InFlight()
    with anyio.CancelScope() as scope, in_flight:
        scope.cancel()
        await anyio.sleep_forever()
    assert in_flight.count == 0


async def test_a_shielded_call_ends_though_its_caller_is_cancelled() -> None:
    answers: list[Finished[str] | None] = []

    async def answer() -> str:
        await anyio.lowlevel.checkpoint()
        return "done"

    with anyio.CancelScope() as scope:
        scope.cancel()
        answers.append(await shielded(BOUND, answer))
        await anyio.lowlevel.checkpoint()
        answers.append(None)
    assert answers == [Finished("done")]


@virtual_time
async def test_a_shielded_call_is_bounded() -> None:
    began = anyio.current_time()
    assert await shielded(2, anyio.sleep_forever) is None
    assert anyio.current_time() - began == pytest.approx(2)


@virtual_time
async def test_an_end_goes_through_its_stages_in_order() -> None:
    app = App()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(app.stop_after, 0.5)
            ended = await app.run()
    assert ended == Ended("SIGTERM", drained=True, flushed=True)
    assert app.notes == ["intake stopped", "written", "work ended", "flushed"]


@virtual_time
async def test_every_stage_is_bounded() -> None:
    app = App(write_seconds=1e6, flush_seconds=1e6)
    began = anyio.current_time()
    app.stop.set("SIGTERM")
    with anyio.fail_after(60):
        ended = await app.run()
    assert ended == Ended("SIGTERM", drained=False, flushed=False)
    assert app.notes == ["intake stopped", "work ended"]
    assert anyio.current_time() - began == pytest.approx(8)


@virtual_time
async def test_work_that_ends_by_itself_is_flushed_and_not_drained() -> None:
    app = App()

    async def brief() -> None:
        app.notes.append("worked")
        await anyio.sleep(1)

    app.work = brief  # type: ignore[method-assign]  # other work for the same service
    with anyio.fail_after(60):
        assert await app.run() == Ended(None, drained=True, flushed=True)
    assert app.notes == ["worked", "flushed"]


@virtual_time
async def test_a_drain_ends_when_the_work_has_ended() -> None:
    app = App()
    began = anyio.current_time()

    async def until_stopped() -> None:
        with app.in_flight:
            await app.stop.wait()
            await anyio.sleep(1)
        app.in_flight._count += 1  # something that is never counted off

    app.work = until_stopped  # type: ignore[method-assign]  # other work for the same service
    app.stop.set("SIGTERM")
    with anyio.fail_after(60):
        assert await app.run() == Ended("SIGTERM", drained=True, flushed=True)
    assert anyio.current_time() - began == pytest.approx(2)


@virtual_time
async def test_a_failure_of_the_work_is_flushed_and_raised() -> None:
    app = App()

    async def failing() -> None:
        await anyio.sleep(1)
        raise BugError

    app.work = failing  # type: ignore[method-assign]  # other work for the same service
    with anyio.fail_after(60), pytest.RaisesGroup(BugError):
        await app.run()
    assert app.notes == ["flushed"]


@virtual_time
async def test_a_cancelled_run_does_not_drain_but_flushes() -> None:
    app = App()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(app.run)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert app.notes == ["work ended", "flushed"]


@virtual_time
async def test_a_run_cancelled_while_it_drains_goes_on_to_the_flush() -> None:
    app = App(write_seconds=1e6)
    app.stop.set("SIGTERM")
    began = anyio.current_time()
    with anyio.move_on_after(2) as scope:
        await app.run()
    assert scope.cancelled_caught
    assert app.notes == ["intake stopped", "work ended", "flushed"]
    assert anyio.current_time() - began == pytest.approx(3)
