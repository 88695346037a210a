"""What a token keeper goes by: the token in force, when the next one is due, what failed; and each step between.

Pure. Time comes in on two clocks, since neither can be trusted alone: a wall clock may be set forward and back, a
steady one may stand still while the machine sleeps. What either calls due is due. Draws are numbers in [0, 1), made by
the caller. Fed and asked by the token keeper; ``refresh`` has the arithmetic.
"""

from typing import Final

from msgspec import Struct, structs

from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken
from imps_multi.model.refresh import (
    RECHECK,
    fresh_enough,
    needs_refresh,
    next_look,
    next_refresh,
    retry_delay,
    same_token,
)

_LEAST_PAUSE: Final = 0.001
"""A rest that is shorter may be lost to rounding, and no time would pass."""
_CLOCK_MOVED: Final = 5.0
_LONGEST_TRY: Final = 120.0
"""A keeper gives up a try after a minute, if it is awake."""


class Moment(Struct, frozen=True):
    """Now, on both clocks, in seconds."""

    wall: float
    steady: float

    def after(self, seconds: float) -> "Moment":
        """Return the moment so much later."""
        return Moment(self.wall + seconds, self.steady + seconds)


class Failure(Struct, frozen=True):
    """The last of ``count`` failures in a row. ``asked``: seconds of rest that the registry wants (Retry-After)."""

    message: str
    at: Moment
    count: int
    draw: float
    asked: float = 0.0


class Upkeep(Struct, frozen=True):
    """Where a keeper stands. ``tried``: it has asked at least once, or its stored token is young enough."""

    token: MintedToken | None = None
    due: Moment | None = None
    ends: Moment | None = None
    failure: Failure | None = None
    tried: bool = False
    stored: bool = True
    """Whether the store has this token."""


def adopted(stored: MintedToken, now: Moment, draw: float) -> Upkeep:
    """Start from the token of an earlier process: due at half of its life or somewhat later, at once if that is past.

    Its jitter is drawn from one side: half of the life is the promise here.
    """
    ends = _ends(stored, now)
    if stored.expires_at is None or not fresh_enough(stored, now.wall):
        return Upkeep(token=stored, due=now, ends=ends)
    due = next_refresh(stored.issued_at, stored.expires_at, draw)
    return Upkeep(token=stored, due=now.after(due - now.wall), ends=ends, tried=True)


def resumed(state: KeeperState, now: Moment, draw: float) -> Upkeep:
    """Go on where a keeper that failed in a way nobody foresaw had been."""
    failure = Failure(state.failure, now, 1, draw) if state.failure else None
    token = state.token
    if token is None:
        return Upkeep(failure=failure, tried=state.tried)
    due = now if state.next_refresh is None else now.after(state.next_refresh - now.wall)
    return Upkeep(token=token, due=due, ends=_ends(token, now), failure=failure, tried=state.tried)


def minted(before: Upkeep, token: MintedToken, now: Moment, draw: float) -> Upkeep:
    """Take a token that was accepted just now.

    A registry that caches may hand out the one that is in force: that is no new one, and keeps the moment of its issue.
    It is then looked at again at half of what is left.
    """
    stored = False
    if before.token is not None and same_token(before.token, token):
        token = structs.replace(token, issued_at=min(before.token.issued_at, now.wall))
        stored = before.stored
    due = now.after(next_look(token, now.wall, 2 * draw - 1))
    return Upkeep(token=token, due=due, ends=_ends(token, now), tried=True, stored=stored)


def failed(
    before: Upkeep, message: str, now: Moment, draw: float, *, asked: float = 0.0, began: Moment | None = None
) -> Upkeep:
    """Take a failure: what is there stays in force. A try that ``began`` before a sleep tells nothing."""
    slept = began is not None and clock_moved(began, now)
    count = before.failure.count + 1 if before.failure is not None and not slept else 1
    return structs.replace(before, failure=Failure(message, now, count, draw, asked), tried=True)


def wants(upkeep: Upkeep, now: Moment) -> bool:
    """Say whether to ask the registry now."""
    if upkeep.failure is not None:
        return _retry_in(upkeep, upkeep.failure, now) <= 0
    if upkeep.token is None or upkeep.due is None:
        return True
    issued_at = upkeep.token.issued_at
    return now.steady >= upkeep.due.steady or needs_refresh(now.wall, due=upkeep.due.wall, issued_at=issued_at)


def pause(upkeep: Upkeep, now: Moment, draw: float) -> float:
    """Return how long to rest before looking at the clocks again, in seconds.

    A minute at most, often less: keepers that began together then see a suspend one after the other.
    """
    longest = RECHECK * (1 - draw / 2)
    if upkeep.failure is not None:
        rest = _retry_in(upkeep, upkeep.failure, now)
    elif upkeep.due is not None:
        rest = min(upkeep.due.steady - now.steady, upkeep.due.wall - now.wall)
    else:
        rest = longest
    return max(_LEAST_PAUSE, min(longest, rest))


def clock_moved(before: Moment, after: Moment) -> bool:
    """Say whether the wall clock was set, or the machine slept, between the two ends of a try.

    A token that was asked for meanwhile may have been given an end by the one time and be judged by the other.
    """
    steady = after.steady - before.steady
    return abs(after.wall - before.wall - steady) > _CLOCK_MOVED or steady > _LONGEST_TRY


def shown(upkeep: Upkeep) -> KeeperState:
    """Return what everybody else sees of it."""
    return KeeperState(
        token=upkeep.token,
        next_refresh=upkeep.due.wall if upkeep.due is not None else None,
        failure=upkeep.failure.message if upkeep.failure is not None else "",
        tried=upkeep.tried,
    )


def is_over(token: MintedToken, now: Moment) -> bool:
    """Say whether a token has expired."""
    return token.expires_at is not None and token.expires_at <= now.wall


def _ends(token: MintedToken, now: Moment) -> Moment | None:
    return None if token.expires_at is None else now.after(token.expires_at - now.wall)


def _retry_in(upkeep: Upkeep, failure: Failure, now: Moment) -> float:
    """Return the seconds until the next try. What is left of the token is judged anew each time, and so is the rest.

    Of two clocks the one counts by which the end is nearer, whether before or behind.
    """
    ends = upkeep.ends
    remaining = None if ends is None else min(ends.wall - now.wall, ends.steady - now.steady, key=abs)
    delay = retry_delay(failure.count, remaining, 2 * failure.draw - 1, asked=failure.asked)
    return delay - max(now.steady - failure.at.steady, now.wall - failure.at.wall)
