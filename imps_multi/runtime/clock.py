"""Waiting for a moment of the wall clock.

Timers run on the monotonic clock, which may stand still while a machine sleeps and knows nothing of clock steps; expiry
times are wall times. So the wall clock is passed in and looked at again and again. Used for expiry alone: durations
belong to `anyio.current_time()`.
"""

from collections.abc import Callable
from typing import TypeAlias

import anyio
from anyio.lowlevel import checkpoint

Clock: TypeAlias = Callable[[], float]
"""A wall clock: seconds since the epoch, such as `time.time`."""


async def wait_until(deadline: float, clock: Clock, *, recheck: float = 60.0) -> None:
    """Return once `clock()` has reached `deadline` (seconds since the epoch).

    The clock is read at least every `recheck` seconds, so a suspend or a step is noticed that soon. A step backwards
    makes the wait longer, as it should.
    """
    await checkpoint()
    while (left := deadline - clock()) > 0:  # noqa: ASYNC110  # nobody tells us when a wall clock moves
        await anyio.sleep(min(left, recheck))
