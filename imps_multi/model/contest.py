"""Who keeps changing targets of ours: repaired at once at first, and ever more slowly when it goes on.

Pure; one writer, the cluster's book.
"""

import enum

from msgspec import Struct, structs

from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Create, Delete, Line, State, TargetPlan, Update

CONTESTED_AFTER = 5
FORGOTTEN_SECONDS = 600.0
SLOWEST_SECONDS = 300.0
SLOWEST_ADMISSION_SECONDS = 3600.0
"""Admission does to the next write what it did to the last: we try it again to see whether somebody mended it."""
SHOWN_SECONDS = 20.0
"""A contest is shown for so long after the last repair was due."""
IMPS_WEIGHT = 3
"""What one change by a running IMPS operator counts: it comes back every five minutes."""
ADMISSION_WEIGHT = CONTESTED_AFTER + 1
"""What one change on its way in counts: there is no use in a repair at once."""

BY_SOMEBODY = "somebody keeps changing it; repaired more slowly"
BY_IMPS = (
    "an IMPS operator that still runs there keeps writing to it: end it, or take its policy away; repaired more slowly"
)
BY_ADMISSION = (
    "admission there, a mutating webhook or policy, changes what is written to it: exempt it; repaired more slowly"
)
_CONTESTABLE = frozenset({State.PENDING, State.IN_SYNC})


class Author(enum.Enum):
    """Who changed a target, as far as that can be told."""

    SOMEBODY = (1, SLOWEST_SECONDS, BY_SOMEBODY)
    IMPS = (IMPS_WEIGHT, SLOWEST_SECONDS, BY_IMPS)
    ADMISSION = (ADMISSION_WEIGHT, SLOWEST_ADMISSION_SECONDS, BY_ADMISSION)

    def __init__(self, weight: int, slowest: float, message: str) -> None:
        self.weight = weight
        self.slowest = slowest
        self.message = message


class Contest(Struct, frozen=True):
    """How often a target of ours was changed lately, when last, by whom; ``sent``: the content that was undone."""

    count: int
    at: float
    author: Author = Author.SOMEBODY
    sent: bytes = b""

    @property
    def on(self) -> bool:
        """Whether it happened too often."""
        return self.count > CONTESTED_AFTER

    @property
    def pause(self) -> float:
        """For how many seconds the next repair has to wait after the last change."""
        return min(self.author.slowest, 2.0 ** min(self.count - CONTESTED_AFTER, 16)) if self.on else 0.0

    @property
    def until(self) -> float:
        """When it counts as over, if nothing more happens."""
        return self.at + self.pause + SHOWN_SECONDS

    def forgotten(self, now: float) -> bool:
        """Say whether it was so long ago that the next change is the first."""
        return now - self.at >= max(FORGOTTEN_SECONDS, 2 * self.pause)


class Contests:
    """What is remembered of targets that somebody else changed."""

    def __init__(self) -> None:
        self._known: dict[Where, Contest] = {}

    def count(self, where: Where, now: float, author: Author = Author.SOMEBODY, sent: bytes = b"") -> None:
        """Take in that somebody undid what was right."""
        before = self._known.get(where)
        recent = before.count if before is not None and not before.forgotten(now) else 0
        self._known[where] = Contest(recent + author.weight, now, author, sent)

    def end(self, where: Where, now: float) -> float | None:
        """Return when a target stops being contested; None where it is not."""
        contest = self._known.get(where) if self._known else None
        return contest.until if contest is not None and contest.on and now < contest.until else None

    def remark(self, where: Where, lines: tuple[Line, ...], now: float) -> tuple[Line, ...]:
        """Say of a target that it is contested, where it is."""
        if not self._known or self.end(where, now) is None:
            return lines
        message = self._known[where].author.message
        return tuple(
            structs.replace(line, reason="Contested", message=message) if line.state in _CONTESTABLE else line
            for line in lines
        )

    def delay(self, plan: TargetPlan, now: float) -> float:
        """Return for how many seconds the next write has to wait; no news waits for what becomes of a repair."""
        where = (plan.namespace, plan.name)
        contest = self._known.get(where) if self._known else None
        if contest is None or not contest.on:
            return 0.0
        if contest.forgotten(now):
            del self._known[where]
            return 0.0
        return 0.0 if _is_news(plan, contest) else max(0.0, contest.at + contest.pause - now)

    def forget(self, where: Where) -> None:
        """Forget a target that nobody has to do with any more."""
        if self._known:
            self._known.pop(where, None)

    def wheres(self) -> set[Where]:
        """Return every target of which anything is remembered."""
        return set(self._known)


def _is_news(plan: TargetPlan, contest: Contest) -> bool:
    """Say whether admission has not seen yet what is to be done: a renewed token, say, or a deletion."""
    if contest.author is not Author.ADMISSION:
        return False
    match plan.write:
        case Delete():
            return True
        case Create(wanted=wanted) | Update(wanted=wanted) if wanted is not None:
            return wanted.payload.digest != contest.sent
        case _:
            return False
