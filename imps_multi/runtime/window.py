"""How many requests one server is given at once: as many as it answers without letting them queue.

More than that make no server faster, and whatever cannot wait queues behind them. As TCP Vegas does, it compares how
long an answer takes with the quickest there was: far links keep all their requests under way, busy servers get fewer.
Pure; fed with answers, asked by those who send.
"""

from typing import Final

QUEUED: Final = 2.0
"""An answer that takes so many times as long as the quickest (and ``SLACK`` seconds) has waited in a queue."""
SLACK: Final = 0.01
STEP: Final = 0.25
"""How much one answer changes."""
OBLIVION: Final = 1.001
"""How much each answer makes the quickest count for less, since links and servers change."""


class Window:
    """Between ``least`` and ``most``; begins with all of it."""

    def __init__(self, most: int, *, least: int) -> None:
        self._most = float(most)
        self._least = float(min(least, most))
        self._size = self._most
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
            self._size = min(self._most, self._size + STEP)
