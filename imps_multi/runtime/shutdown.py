"""An orderly end within a known time.

The order: no more intake → work in flight ends within a bound → the inner group is cancelled → what was learnt is
flushed within a bounded shield → the outer group, which is the caller's, and ends last. Nothing here knows what the
work is. Fed by a signal, or by whatever else sets a `StopSignal`.
"""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

T = TypeVar("T")


class StopSignal:
    """Set once, by anyone on the event loop; any number wait for it. The first reason stays."""

    __slots__ = ("_event", "_reason")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it was set; None is not set."""
        return self._reason

    @property
    def is_set(self) -> bool:
        """Whether the end has begun."""
        return self._reason is not None

    def set(self, reason: str) -> None:
        """Begin the end. Later calls change nothing."""
        if self._reason is None:
            self._reason = reason
            if self._event is not None:
                self._event.set()

    async def wait(self) -> str:
        """Wait until it is set; return the reason."""
        if self.is_set:
            await checkpoint()
        while (reason := self._reason) is None:
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
        return reason


async def stop_on_signals(
    stop: StopSignal, *, signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)
) -> None:
    """Set `stop` at the first signal and return: a second one does what it did before we listened."""
    with anyio.open_signal_receiver(*signals) as received:
        async for number in received:
            stop.set(signal.Signals(number).name)
            return


class InFlight:
    """Counts what is going on (`with in_flight: ...`), and lets the end wait for it."""

    __slots__ = ("_count", "_none")

    def __init__(self) -> None:
        self._count = 0
        self._none: anyio.Event | None = None

    @property
    def count(self) -> int:
        """How many are in flight now."""
        return self._count

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count and self._none is not None:
            self._none.set()
            self._none = None

    async def wait_none(self) -> None:
        """Wait until none is in flight."""
        if not self._count:
            await checkpoint()
        while self._count:
            if self._none is None:
                self._none = anyio.Event()
            await self._none.wait()


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """A shielded call ended in time; this is what it returned."""

    value: T


async def shielded(seconds: float, fn: Callable[[], Awaitable[T]]) -> Finished[T] | None:
    """Call `fn` safe from outer cancellation, for at most so many seconds; return None if that was not enough."""
    with anyio.move_on_after(seconds, shield=True):
        return Finished(await fn())
    return None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: why it was told to stop (None: the work ended by itself), and what did not end in time."""

    reason: str | None
    drained: bool
    flushed: bool


async def run_with_drain(
    work: Callable[[], Awaitable[None]],
    *,
    stop: StopSignal,
    stop_intake: Callable[[], None],
    drain: Callable[[], Awaitable[object]],
    drain_seconds: float,
    flush: Callable[[], Awaitable[object]],
    flush_seconds: float,
) -> Ended:
    """Run `work`, the inner group, until it ends or `stop` is set; then end it in order.

    `stop_intake` makes it take up nothing new, `drain` waits until what is in flight has ended; after `drain_seconds`
    at most, `work` is cancelled. `flush` comes last, in a shield of `flush_seconds`: also when `work` failed, or when
    the caller is cancelled, who then waits for no drain. Put what must outlive the flush into a group around this call.

    Raises:
        ExceptionGroup: what `work` raised.
    """
    drained = True
    flushed = False
    try:
        async with anyio.create_task_group() as inner:
            done = anyio.Event()
            inner.start_soon(_work, work, done)
            await _either(stop.wait, done.wait)
            if not done.is_set():
                stop_intake()
                drained = await _drained(drain_seconds, drain, done)
                inner.cancel_scope.cancel()
    finally:
        flushed = await shielded(flush_seconds, flush) is not None  # noqa: ASYNC102  # it brings its own shield
    return Ended(stop.reason, drained, flushed)


async def _work(work: Callable[[], Awaitable[None]], done: anyio.Event) -> None:
    await work()
    done.set()


async def _drained(seconds: float, drain: Callable[[], Awaitable[object]], done: anyio.Event) -> bool:
    with anyio.move_on_after(seconds):
        await _either(drain, done.wait)
        return True
    return False


async def _either(one: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]]) -> None:
    """Call both and cancel the one that takes longer."""

    async def race(fn: Callable[[], Awaitable[object]]) -> None:
        await fn()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(race, one)
        group.start_soon(race, other)
