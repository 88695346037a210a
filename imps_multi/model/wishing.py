"""What is wished away in one cluster, for the brake, and when a lingering target may be looked at again.

Pure; one writer, the cluster's book.
"""

from collections.abc import Iterable

from imps_multi.model.removing import LOOK_AT_MOST
from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Wish

FIRST_LOOK = 30.0
"""Seconds that double with every look."""


class Wishing:
    """The wishes by target. ``looks``: from when on it may be looked whether somebody names a target."""

    def __init__(self) -> None:
        self.looks: dict[Where, float] = {}
        self.changes = 0
        """A number that grows whenever a wish comes, goes or is marked."""
        self._wishes: dict[Where, Wish] = {}
        self._marked: set[Where] = set()
        self._delays: dict[Where, float] = {}

    def note(self, where: Where, wish: Wish | None, *, marked: bool = False) -> None:
        """Take in what is wished of a target; ``marked``: it lies there marked as unwanted."""
        if self._wishes.get(where) == wish and marked == (where in self._marked):
            return
        self.changes += 1
        if wish is None:
            self._wishes.pop(where, None)
            self.forget_looks(where)
        else:
            self._wishes[where] = wish
        if marked and wish is not None:
            self._marked.add(where)
        else:
            self._marked.discard(where)

    def put_off(self, where: Where, now: float) -> None:
        """Look again after 1 min … 1 h: somebody names the target."""
        delay = min(2 * self._delays.get(where, FIRST_LOOK), LOOK_AT_MOST)
        self._delays[where] = delay
        self.looks[where] = now + delay

    def forget_looks(self, where: Where) -> None:
        """Let the next look be the first."""
        if self.looks:
            self.looks.pop(where, None)
            self._delays.pop(where, None)

    def all(self) -> frozenset[Wish]:
        """Return every wish."""
        return frozenset(self._wishes.values())

    def marked(self) -> frozenset[Wish]:
        """Return those whose target is marked already."""
        return frozenset(self._wishes[where] for where in self._marked)

    def wheres(self) -> Iterable[Where]:
        """Return every target that is wished away."""
        return self._wishes.keys()
