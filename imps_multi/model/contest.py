"""Who keeps changing targets of ours: repaired at once at first, and ever more slowly when it goes on.

Pure; one writer, the cluster's book.
"""

from msgspec import Struct

from imps_multi.model.tally import Where

CONTESTED_AFTER = 5
FORGOTTEN_SECONDS = 600.0
SLOWEST_SECONDS = 300.0


class Contest(Struct, frozen=True):
    """How often somebody changed a target of ours lately, and when last."""

    count: int
    at: float


class Contests:
    """What is remembered of targets that somebody else changed."""

    def __init__(self) -> None:
        self._known: dict[Where, Contest] = {}

    def count(self, where: Where, now: float) -> None:
        """Take in that somebody undid what was right."""
        before = self._known.get(where)
        recent = before is not None and now - before.at < FORGOTTEN_SECONDS
        self._known[where] = Contest(before.count + 1 if before is not None and recent else 1, now)

    def contested(self, where: Where) -> bool:
        """Say whether that happened too often."""
        return bool(self._known) and where in self._known and self._known[where].count > CONTESTED_AFTER

    def delay(self, where: Where, now: float) -> float:
        """Return for how many seconds the next repair has to wait."""
        contest = self._known.get(where)
        if contest is None or contest.count <= CONTESTED_AFTER:
            return 0.0
        if now - contest.at >= FORGOTTEN_SECONDS:
            del self._known[where]
            return 0.0
        pause = min(SLOWEST_SECONDS, 2.0 ** min(contest.count - CONTESTED_AFTER, 16))
        return max(0.0, contest.at + pause - now)

    def forget(self, where: Where) -> None:
        """Forget a target that nobody has to do with any more."""
        if self._known:
            self._known.pop(where, None)

    def wheres(self) -> set[Where]:
        """Return every target of which anything is remembered."""
        return set(self._known)
