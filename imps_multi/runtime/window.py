"""How many requests that can wait one server is given at once while there is work that cannot.

All that are allowed, as a rule: a server that writes many at once writes each of them more cheaply. But whatever cannot
wait queues behind them. So while there is such work (``Rush``), a server gets no more than it answers without letting
them queue (``Window``). As TCP Vegas does, that compares how long an answer takes with the quickest there was: far
links keep all their requests under way, busy servers get fewer. Pure; fed with answers and with what is urgent, asked
by those who send.
"""

import math
from typing import Final

QUEUED: Final = 2.0
"""An answer that takes so many times as long as the quickest (and ``SLACK`` seconds) has waited in a queue."""
SLACK: Final = 0.01
STEP: Final = 0.25
"""How much one answer changes."""
OBLIVION: Final = 1.001
"""How much each answer makes the quickest count for less, since links and servers change."""
LASTING: Final = 1.0
"""Seconds for which others hold back after work that cannot wait came up: more of it often follows."""


class Rush:
    """Whether there is work that cannot wait; times are the caller's, in seconds, on a clock that never goes back."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = -math.inf

    def begin(self, now: float) -> None:
        """Take in that such work came up."""
        self._until = now + LASTING

    def lasts(self, now: float) -> bool:
        """Say whether it did a moment ago."""
        return now < self._until


class Window:
    """Between ``least`` and ``most``; begins with all of it."""

    def __init__(self, most: int, *, least: int) -> None:
        self.most = most
        """The number of requests that may ever be."""
        self._least = float(min(least, most))
        self._size = float(most)
        self._quickest = float("inf")

    @property
    def size(self) -> int:
        """The number of requests that may be under way."""
        return int(self._size)

    def answered(self, seconds: float) -> None:
        """Take in how long an answer took."""
        self._quickest = min(seconds, self._quickest * OBLIVION)
        if seconds > QUEUED * self._quickest + SLACK:
            self._size = max(self._least, self._size - STEP)
        else:
            self._size = min(self.most, self._size + STEP)
