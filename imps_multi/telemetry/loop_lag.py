"""Measures how late the event loop is, and by that whether it turns at all.

A task of its own; feeds the metrics and the liveness check.
"""

import math
from collections.abc import Callable
from typing import Final

import anyio

PERIOD: Final = 0.5
LONGEST_SILENCE: Final = 10.0


class LoopProbe:
    """Sleeps and looks at the clock, again and again. ``observe`` is told by how many seconds each sleep was late."""

    def __init__(self, observe: Callable[[float], None], *, period: float = PERIOD) -> None:
        self._observe = observe
        self._period = period
        self._beat = -math.inf

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            await self.turn()

    async def turn(self) -> None:
        """Measure once."""
        due = anyio.current_time() + self._period
        self._beat = anyio.current_time()
        await anyio.sleep_until(due)
        self._beat = anyio.current_time()
        self._observe(max(0.0, self._beat - due))

    @property
    def silence(self) -> float:
        """Seconds since the last heartbeat; endless before the first."""
        return anyio.current_time() - self._beat

    @property
    def alive(self) -> bool:
        """Whether the loop turned within the last ten seconds."""
        return self.silence < LONGEST_SILENCE
