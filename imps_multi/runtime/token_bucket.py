"""A token bucket whose rate gives way under pressure: halved when the other side asks, slowly back to the full rate.

`TokenBucket` decides, with the time passed in; `RateLimiter` waits, on the monotonic clock. Fed by those who send
requests to one place and by what the answers say (429, 503, Retry-After, latency). How many requests may be in flight
is not its business: that is an `anyio.CapacityLimiter`.
"""

import math
from typing import Final

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from imps_multi.runtime.monotonic import current_time

_WHOLE: Final = 1 - 1e-9  # a token, but for rounding
_SHORTEST_WAIT: Final = 0.001  # added to an old clock, much less would be lost to rounding, and waited for in vain


class TokenBucket:
    """`rate` tokens per second, at most `burst` saved up; starts full.

    `halve` is multiplicative decrease, at most once per `settle` seconds, so that one refused burst counts once;
    the rate then grows back in a straight line, from nothing to full in `recovery` seconds. Never under `floor`.
    Times are on the caller's monotonic clock; one that is older than the last counts as the last.
    """

    __slots__ = ("_burst", "_floor", "_full", "_halved", "_now", "_paused", "_rate", "_settle", "_slope", "_tokens")

    def __init__(
        self,
        *,
        rate: float,
        burst: float,
        floor: float = 1.0,
        recovery: float = 60.0,
        settle: float = 1.0,
    ) -> None:
        if not (0 < rate < math.inf and 1 <= burst < math.inf and floor > 0 and recovery > 0 and settle >= 0):
            raise ValueError("a bucket needs rate > 0, burst >= 1, floor > 0, recovery > 0 and settle >= 0")
        self._full = rate
        self._rate = rate
        self._burst = burst
        self._floor = min(floor, rate)
        self._slope = rate / recovery
        self._settle = settle
        self._tokens = burst
        self._now = -math.inf
        self._halved = -math.inf
        self._paused = -math.inf

    def rate(self, now: float) -> float:
        """Return the tokens per second at `now`."""
        self._advance(now)
        return self._rate

    def take(self, now: float) -> bool:
        """Take one token if there is one and no pause; tell whether it was taken."""
        if self.wait_time(now) > 0:
            return False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        """Put a token back that was taken for nothing."""
        self._tokens = min(self._burst, self._tokens + 1)

    def wait_time(self, now: float) -> float:
        """Return the seconds after which a token is surely there, if nobody else takes it: 0 is now."""
        self._advance(now)
        missing = 0.0 if self._tokens >= _WHOLE else (1 - self._tokens) / self._rate
        wait = max(missing, self._paused - self._now)
        return max(wait, _SHORTEST_WAIT) if wait > 0 else 0.0

    def halve(self, now: float) -> None:
        """Go on at half the rate, with nothing saved up: the other side is overloaded."""
        self._advance(now)
        if self._now - self._halved < self._settle:
            return
        self._halved = self._now
        self._rate = max(self._floor, self._rate / 2)
        self._tokens = min(self._tokens, 0.0)

    def pause_until(self, moment: float) -> None:
        """Give out nothing before `moment` (Retry-After). A pause is never made shorter."""
        self._paused = max(self._paused, moment)

    def _advance(self, now: float) -> None:
        if now <= self._now:
            return
        elapsed = 0.0 if math.isinf(self._now) else now - self._now  # at the start it is full anyway
        self._now = now
        growing = min(elapsed, (self._full - self._rate) / self._slope)
        grown = min(self._full, self._rate + self._slope * growing)
        gained = growing * (self._rate + grown) / 2 + (elapsed - growing) * self._full
        self._tokens = min(self._burst, self._tokens + gained)
        self._rate = grown


class RateLimiter:
    """A token bucket to wait at: first come, first served; one who is cancelled while waiting takes nothing."""

    __slots__ = ("_bucket", "_turn")

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._turn = anyio.Lock(fast_acquire=True)

    @property
    def rate(self) -> float:
        """The tokens per second as of now."""
        return self._bucket.rate(current_time())

    def take_nowait(self) -> bool:
        """Take a token if there is one and nobody waits; tell whether it was taken."""
        return not self._turn.locked() and self._bucket.take(current_time())

    async def take(self) -> None:
        """Wait for a token and take it."""
        await checkpoint_if_cancelled()
        if self.take_nowait():
            return
        async with self._turn:  # only the first in line sleeps for a token
            while not self._bucket.take(now := current_time()):  # noqa: ASYNC110  # tokens come with time
                await anyio.sleep(self._bucket.wait_time(now))

    def give_back(self) -> None:
        """Put a token back that was taken for nothing."""
        self._bucket.give_back()

    def halve(self) -> None:
        """Go on at half the rate, as `TokenBucket.halve`."""
        self._bucket.halve(current_time())

    def pause_for(self, seconds: float) -> None:
        """Give out nothing for so long (Retry-After)."""
        self._bucket.pause_until(current_time() + seconds)
