"""So many places for work that can wait, shared by everybody who does such work; first come, first served.

It bounds how much the process has begun at once, so that work that cannot wait, which needs no place, finds the loop
free. It must not let a peer that hangs hold up the others: a place that is held for longer than ``hold`` seconds goes
to the next, and whoever had it goes on uncounted. ``run`` sees to that.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from imps_multi.runtime.monotonic import current_time


class Places:
    """``count`` places, each given back after ``hold`` seconds at the latest."""

    def __init__(self, count: int, *, hold: float) -> None:
        if count < 1 or hold <= 0:
            raise ValueError("there must be a place, and some time to hold it")
        self._count = count
        self._hold = hold
        self._held: OrderedDict[anyio.Event, float] = OrderedDict()  # since when, the longest first
        self._waiting: OrderedDict[anyio.Event, None] = OrderedDict()
        self._crowded = anyio.Event()

    @property
    def free(self) -> int:
        """How many could be taken at once."""
        return self._count - len(self._held)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it inside the block, as long as that is allowed."""
        mine = await self._take()
        try:
            yield
        finally:
            if self._held.pop(mine, None) is not None:
                self._hand_on()

    async def run(self) -> None:
        """Take places from those who hold them for too long, for ever."""
        while True:
            await self._crowded.wait()
            await anyio.sleep(self._hold / 2)
            self._crowded = anyio.Event()
            if self._waiting:
                self._crowded.set()
                self._end_overdue(current_time())

    async def _take(self) -> anyio.Event:
        await checkpoint_if_cancelled()
        mine = anyio.Event()
        if self.free > 0:  # then nobody waits
            self._held[mine] = current_time()
            return mine
        self._waiting[mine] = None
        self._crowded.set()
        try:
            await mine.wait()
        except BaseException:
            self._waiting.pop(mine, None)
            if self._held.pop(mine, None) is not None:  # it was handed to us in the same moment
                self._hand_on()
            raise
        return mine

    def _hand_on(self) -> None:
        while self._waiting and self.free > 0:
            lucky, _ = self._waiting.popitem(last=False)
            self._held[lucky] = current_time()
            lucky.set()

    def _end_overdue(self, now: float) -> None:
        while self._held and now - next(iter(self._held.values())) >= self._hold:
            self._held.popitem(last=False)
        self._hand_on()
