"""A gate that lets so many through at a time, for bursts of work that one process shares.

TLS handshakes of a whole fleet at start and exec plugins pass one each. It must not let a cluster that hangs hold up
the others: whoever stays longer than ``hold`` seconds gives the place back and goes on uncounted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Gate:
    """``slots`` places, each given back after ``hold`` seconds at the latest."""

    def __init__(self, slots: int, *, hold: float) -> None:
        self._places = anyio.Semaphore(slots, fast_acquire=True)
        self._hold = hold

    @property
    def free(self) -> int:
        """Return how many could pass at once."""
        return self._places.value

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait for a place and hold it inside the block, as long as the gate allows."""
        await self._places.acquire()
        counted = True

        def give_back() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._places.release()

        timer = asyncio.get_running_loop().call_later(self._hold, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()
