"""A queue of keys for a fixed set of workers: each key at most once queued and once in flight, urgent ones first.

The waiting half; `Schedule` decides. Fed by whoever sees that a key may need work, as often as they like: adding is
synchronous and never blocks. Asked by workers, who end each key with `done`, whatever happened. What the work is, and
whether it succeeded, is theirs to say (`retry`, `forget`).
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic

import anyio
from anyio.lowlevel import checkpoint

from imps_multi.runtime.backoff import Backoff, Rand
from imps_multi.runtime.monotonic import current_time
from imps_multi.runtime.schedule import Counts, K, Lane, Schedule, Taken

__all__ = ["Counts", "KeyedQueue", "Lane", "QueueClosedError", "Taken"]


class QueueClosedError(Exception):
    """The queue gives out nothing more: the worker may go home."""


class KeyedQueue(Generic[K]):
    """Use as: `key = await queue.get()`, then `retry(key)` or `forget(key)`, and `done(key)` in a `finally`.

    Times are those of `anyio.current_time()`. `on_take` is told of every key that comes up, for metrics; it must not
    raise. A waiting worker costs one event; of all that wait, one keeps the time of the next delayed key, and an `add`
    wakes at most one. Workers that take urgent keys only are woken where no other waits, and keep no time.
    `on_shortage` is told that there is or will be a key, and nobody waits who would take any: time for another worker.
    """

    def __init__(
        self,
        *,
        backoff: Backoff,
        rand: Rand,
        on_take: Callable[[Taken[K]], None] | None = None,
        on_shortage: Callable[[], None] | None = None,
    ) -> None:
        self._schedule: Schedule[K] = Schedule(backoff=backoff, rand=rand)
        self._on_take = on_take
        self._on_shortage = on_shortage
        self._closed = False
        self._sleepers: OrderedDict[anyio.Event, None] = OrderedDict()  # wait for a call
        self._express: OrderedDict[anyio.Event, None] = OrderedDict()  # wait for an urgent key alone
        self._timekeeper: anyio.Event | None = None  # waits for a call or for the alarm
        self._alarm = math.inf
        self._idle: anyio.Event | None = None

    def __len__(self) -> int:
        """The number of queued keys, ready or delayed; those in flight are not among them."""
        return len(self._schedule)

    @property
    def closed(self) -> bool:
        """Whether nothing more is given out."""
        return self._closed

    def counts(self) -> Counts:
        """Return the depth of each lane and the totals."""
        return self._schedule.counts(now=current_time())

    def add(self, key: K, *, lane: Lane = Lane.ROUTINE, at: float | None = None) -> None:
        """Ask for a key: now, or not before `at`. The earliest time and the highest lane asked for win."""
        now = current_time()
        self._schedule.add(key, now=now, lane=lane, at=at)
        self._call_one(now)

    def retry(self, key: K) -> float:
        """Ask for a key again after its next backoff delay, in the lane it was taken from; return the delay."""
        now = current_time()
        delay = self._schedule.retry(key, now=now)
        self._call_one(now)
        return delay

    def failures(self, key: K) -> int:
        """Return how often a key was retried since it was last forgotten."""
        return self._schedule.failures(key)

    def forget(self, key: K) -> None:
        """Let the next retry of a key begin with the initial delay: it worked."""
        self._schedule.forget(key)

    def reset_backoff(self) -> None:
        """Forget every key's failures, and make due now what only waits for its backoff."""
        now = current_time()
        self._schedule.reset_backoff(now=now)
        self._call_one(now)

    def discard(self, key: K) -> bool:
        """Drop what is asked for a key, and its failures; tell whether anything was. In flight, it stays so."""
        discarded = self._schedule.discard(key)
        self._tell_idle(current_time())
        return discarded

    async def get(self) -> K:
        """Wait for the next key and take it: nobody else gets it until `done`. Cancelled, it has taken nothing.

        Raises:
            QueueClosedError: the queue was closed, before or meanwhile.
        """
        return (await self.take()).key

    async def take(self, least: Lane = Lane.ROUTINE) -> Taken[K]:
        """Take the next key as `get` does, with its lane; or leave to others what is in a lower lane than `least`.

        Raises:
            QueueClosedError: as `get`.
        """
        if self._closed or self._schedule.ready(now=current_time(), least=least):
            await checkpoint()  # who waits has one there
        while (taken := self.take_nowait(least)) is None:
            await (self._wait() if least is Lane.ROUTINE else self._wait_for_call(self._express))
        return taken

    def take_nowait(self, least: Lane = Lane.ROUTINE) -> Taken[K] | None:
        """Take the next key as `take` does, if one is due; it is for the caller to let others have a turn.

        Raises:
            QueueClosedError: as `get`.
        """
        if self._closed:
            raise QueueClosedError
        now = current_time()
        taken = self._schedule.pop(now=now, least=least)
        if taken is not None:
            self._call_one(now)  # for the next key, or as the next timekeeper
            if self._on_take is not None:
                self._on_take(taken)
        return taken

    @property
    def spare(self) -> bool:
        """Whether nothing is due, and somebody waits already who takes any key."""
        waits = bool(self._sleepers) or self._timekeeper is not None
        return waits and not self._schedule.ready(now=current_time())

    def done(self, key: K) -> None:
        """End the work on a key; what was asked for it meanwhile is queued.

        Raises:
            KeyError: the key is not in flight.
        """
        now = current_time()
        if self._schedule.done(key, now=now):
            self._call_one(now)
        if self._idle is not None:
            self._tell_idle(now)

    async def wait_idle(self) -> None:
        """Wait until no key is in flight, nor, unless the queue is closed, ready. Delayed ones do not count."""
        await checkpoint()
        while not self._is_idle(current_time()):
            if self._idle is None:
                self._idle = anyio.Event()
            await self._idle.wait()

    def close(self) -> None:
        """Give out nothing more; what is in flight may still end. Adding does no harm, and has no effect."""
        self._closed = True
        for sleepers in (self._sleepers, self._express):
            while sleepers:
                _wake_first(sleepers)
        self._wake_timekeeper()
        self._tell_idle(current_time())

    async def _wait(self) -> None:
        alarm = self._schedule.next_time() if self._timekeeper is None else None
        if alarm is None:
            await self._wait_for_call(self._sleepers)
            return
        me = anyio.Event()
        self._timekeeper, self._alarm = me, alarm
        try:
            with anyio.CancelScope(deadline=alarm):
                await me.wait()
        except BaseException:
            self._leave(me)
            self._call_one(current_time())  # the call that reached us, or would have, is for another
            raise
        self._leave(me)

    async def _wait_for_call(self, sleepers: OrderedDict[anyio.Event, None]) -> None:
        me = anyio.Event()
        sleepers[me] = None
        try:
            await me.wait()
        except BaseException:
            sleepers.pop(me, None)
            self._call_one(current_time())  # as above
            raise

    def _leave(self, me: anyio.Event) -> None:
        if self._timekeeper is me:
            self._timekeeper, self._alarm = None, math.inf

    def _call_one(self, now: float) -> None:
        """Wake one worker if a key is due, or if nobody keeps the time of the next that will be."""
        due = self._schedule.next_time()
        if due is None:
            return
        if self._sleepers and (due <= now or self._timekeeper is None):
            _wake_first(self._sleepers)
        elif self._timekeeper is not None:
            if due <= now or due < self._alarm:
                self._wake_timekeeper()
        else:
            if self._express and self._schedule.ready(now=now, least=Lane.URGENT):
                _wake_first(self._express)
            if self._on_shortage is not None:
                self._on_shortage()

    def _tell_idle(self, now: float) -> None:
        if self._idle is not None and self._is_idle(now):
            self._idle.set()
            self._idle = None

    def _is_idle(self, now: float) -> bool:
        return not self._schedule.in_flight and (self._closed or not self._schedule.ready(now=now))

    def _wake_timekeeper(self) -> None:
        if self._timekeeper is not None:
            self._timekeeper.set()
            self._leave(self._timekeeper)


def _wake_first(sleepers: OrderedDict[anyio.Event, None]) -> None:
    event, _ = sleepers.popitem(last=False)
    event.set()
