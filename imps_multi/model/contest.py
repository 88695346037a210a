"""Who keeps changing targets of ours: repaired at once at first, and ever more slowly when it goes on.

Pure; one writer, the cluster's book.
"""

from msgspec import Struct, structs

from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Line, State

CONTESTED_AFTER = 5
FORGOTTEN_SECONDS = 600.0
SLOWEST_SECONDS = 300.0
SHOWN_SECONDS = 20.0
"""A contest is shown for so long after the last repair was due."""
IMPS_WEIGHT = 3
"""What one change by a running IMPS operator counts: it comes back every five minutes."""

BY_SOMEBODY = "somebody keeps changing it; repaired more slowly"
BY_IMPS = (
    "an IMPS operator that still runs there keeps writing to it: end it, or take its policy away; repaired more slowly"
)
_CONTESTABLE = frozenset({State.PENDING, State.IN_SYNC})


class Contest(Struct, frozen=True):
    """How often somebody changed a target of ours lately, and when last; ``by_imps``: IMPS did, by its traces."""

    count: int
    at: float
    by_imps: bool = False

    @property
    def on(self) -> bool:
        """Whether it happened too often."""
        return self.count > CONTESTED_AFTER

    @property
    def pause(self) -> float:
        """For how many seconds the next repair has to wait after the last change."""
        return min(SLOWEST_SECONDS, 2.0 ** min(self.count - CONTESTED_AFTER, 16)) if self.on else 0.0

    @property
    def until(self) -> float:
        """When it counts as over, if nothing more happens."""
        return self.at + self.pause + SHOWN_SECONDS


class Contests:
    """What is remembered of targets that somebody else changed."""

    def __init__(self) -> None:
        self._known: dict[Where, Contest] = {}

    def count(self, where: Where, now: float, *, by_imps: bool = False) -> None:
        """Take in that somebody undid what was right."""
        before = self._known.get(where)
        recent = before.count if before is not None and now - before.at < FORGOTTEN_SECONDS else 0
        self._known[where] = Contest(recent + (IMPS_WEIGHT if by_imps else 1), now, by_imps)

    def end(self, where: Where, now: float) -> float | None:
        """Return when a target stops being contested; None where it is not."""
        contest = self._known.get(where) if self._known else None
        return contest.until if contest is not None and contest.on and now < contest.until else None

    def remark(self, where: Where, lines: tuple[Line, ...], now: float) -> tuple[Line, ...]:
        """Say of a target that it is contested, where it is."""
        if not self._known or self.end(where, now) is None:
            return lines
        message = BY_IMPS if self._known[where].by_imps else BY_SOMEBODY
        return tuple(
            structs.replace(line, reason="Contested", message=message) if line.state in _CONTESTABLE else line
            for line in lines
        )

    def delay(self, where: Where, now: float) -> float:
        """Return for how many seconds the next repair has to wait."""
        contest = self._known.get(where)
        if contest is None or not contest.on:
            return 0.0
        if now - contest.at >= FORGOTTEN_SECONDS:
            del self._known[where]
            return 0.0
        return max(0.0, contest.at + contest.pause - now)

    def forget(self, where: Where) -> None:
        """Forget a target that nobody has to do with any more."""
        if self._known:
            self._known.pop(where, None)

    def wheres(self) -> set[Where]:
        """Return every target of which anything is remembered."""
        return set(self._known)
