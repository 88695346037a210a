"""Exponential backoff as a value: how long to wait before the n-th retry.

Decides, never waits. Fed by whoever retries (the queue per key, the supervisor per child, an actor per endpoint); the
random source is passed in, so that the same seed gives the same delays.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Rand: TypeAlias = Callable[[], float]
"""A random source: numbers in [0, 1), such as `random.random`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`initial * factor ** attempt` seconds, at most `cap`, shortened at random by up to the share `jitter`.

    Jitter only shortens, so `cap` is a promise: 0 is none, 1 is full jitter (anything from zero up).
    """

    initial: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not (0 < self.initial <= self.cap < math.inf and 1 <= self.factor < math.inf and 0 <= self.jitter <= 1):
            raise ValueError(
                f"backoff needs 0 < initial <= cap, factor >= 1, 0 <= jitter <= 1, all finite; this is {self}"
            )

    def delay(self, attempt: int, rand: Rand) -> float:
        """Return the seconds to wait after failure number `attempt`, counted from 0."""
        return self._full(attempt) * (1 - self.jitter * rand())

    def start(self, rand: Rand) -> "Retries":
        """Begin one series of attempts."""
        return Retries(self, rand)

    def _full(self, attempt: int) -> float:
        try:
            return min(self.cap, self.initial * self.factor**attempt)
        except OverflowError:  # a failure that has lasted for a thousand attempts
            return self.cap


class Retries:
    """One series of attempts: counts the failures since the last `reset`."""

    __slots__ = ("_attempts", "_backoff", "_rand")

    def __init__(self, backoff: Backoff, rand: Rand) -> None:
        self._backoff = backoff
        self._rand = rand
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """How many delays were handed out since the last reset."""
        return self._attempts

    def next(self) -> float:
        """Count one more failure and return the seconds to wait."""
        delay = self._backoff.delay(self._attempts, self._rand)
        self._attempts += 1
        return delay

    def reset(self) -> None:
        """Start from the initial delay again: the thing works."""
        self._attempts = 0
