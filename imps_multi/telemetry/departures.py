"""Remembers who left, so that their series stay for a while and then go.

Pure book-keeping over names; told at each scrape who is there.
"""

from collections.abc import Iterable
from typing import Final

KEPT: Final = 600.0
"""Seconds for which a removed cluster's series stay, so that their last change is scraped."""


class Departures:
    """Names that were seen and are not there any more. One writer: the scrape."""

    def __init__(self, kept: float = KEPT) -> None:
        self._kept = kept
        self._left: dict[str, float] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the name left, not longer ago than its series stay."""
        return name in self._left

    def settle(self, present: Iterable[str], remembered: Iterable[str], *, now: float) -> frozenset[str]:
        """Take note of who is there, and return whose series go now.

        ``remembered`` are the names that have series. ``now`` in seconds, on any clock that does not stand still.
        """
        here = frozenset(present)
        away = frozenset(remembered) - here
        self._left = {name: self._left.get(name, now) for name in away}
        gone = frozenset(name for name, at in self._left.items() if now - at >= self._kept)
        for name in gone:
            del self._left[name]
        return gone
