"""Why the last write of a target failed, until one works or nothing is left to write. Pure; the book writes it."""

from msgspec import Struct, structs

from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Line, State

_WRITTEN = frozenset({State.PENDING, State.LINGERING, State.HELD})
"""States of targets whose write may fail."""


class Failure(Struct, frozen=True):
    """Why the last write of a target failed."""

    reason: str
    message: str


class Failures:
    """What failed, by target."""

    def __init__(self) -> None:
        self._known: dict[Where, Failure] = {}

    def note(self, where: Where, failure: Failure) -> None:
        """Take in that a write failed."""
        self._known[where] = failure

    def forget(self, where: Where) -> None:
        """Take in that it worked, or that there is nothing to write any more."""
        if self._known:
            self._known.pop(where, None)

    def clear(self) -> None:
        """Forget what failed."""
        self._known.clear()

    def remark(self, where: Where, lines: tuple[Line, ...]) -> tuple[Line, ...] | None:
        """Say of a target what its plan does not know: that its write failed; None where it did not."""
        failure = self._known.get(where) if self._known else None
        return None if failure is None else tuple(_failed(line, failure) for line in lines)

    def wheres(self) -> set[Where]:
        """Return every target whose last write failed."""
        return set(self._known)


def _failed(line: Line, failure: Failure) -> Line:
    if line.state not in _WRITTEN:
        return line
    return structs.replace(line, state=State.FAILED, reason=failure.reason, message=failure.message)
