"""Bounded waiting for a condition of the world outside: the only place of the room that looks at a clock and sleeps.

Feeds every test that has to wait for another process.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN = 60.0  # of a machine that has more to do than this
POLL = 0.03


class TooLateError(AssertionError):
    """A condition did not come true in time."""


def until(condition: Callable[[], T | None], what: str, *, within: float = WITHIN, poll: float = POLL) -> T:
    """Look again and again until the condition gives something true, and return that.

    Raises:
        TooLateError: it did not within the bound; names what was waited for and what was seen last.
    """
    deadline = time.monotonic() + within
    while not (seen := condition()):
        if time.monotonic() > deadline:
            raise TooLateError(f"not within {within:.0f} s: {what}; last seen: {seen!r}")
        time.sleep(poll)
    return seen


class Watch:
    """A stopwatch that starts when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return how long it has been."""
        return time.monotonic() - self._began
