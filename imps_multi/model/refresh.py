"""When a minted token is refreshed, retried or refused: decisions about its life, as pure functions.

Times are wall clock seconds, since a token's end is one; the caller passes ``now`` and looks again every minute, so
that a suspend or a stepped clock is seen. Jitter is a number in [-1, 1], drawn by the caller. Feeds the token keeper.
"""

import math
from typing import Final

import msgspec

from imps_multi.model.credential import MintedToken

RECHECK: Final = 60.0
"""How long a keeper waits at most before it looks at the wall clock again."""
MIN_LIFE: Final = 10.0
MAX_TOKEN_BYTES: Final = 64 << 10

_JITTER: Final = 0.1
_SHORTEST: Final = 5.0
_LONGEST_RETRY: Final = 300.0
_SAME_END: Final = 2.0
_CLOCK_SLACK: Final = 60.0
"""How far a token may lie in the future before the clock must have been set back."""


class Refused(msgspec.Struct, frozen=True):
    """Why a minted token is of no use. Holds nothing of it."""

    message: str


def next_refresh(issued_at: float, expires_at: float, jitter: float) -> float:
    """Return when to refresh: half of the life as issued, give or take a tenth of it.

    Never sooner than the smaller of a minute and a quarter of the life, and never under five seconds.
    """
    life = max(0.0, expires_at - issued_at)
    wanted = life / 2 * (1 + _JITTER * _clamped(jitter))
    return issued_at + max(wanted, min(RECHECK, life / 4), _SHORTEST)


def needs_refresh(now: float, *, due: float, issued_at: float) -> bool:
    """Say whether to mint now: it is due, or the clock was set back to before the token was issued."""
    return now >= due or now < issued_at - _CLOCK_SLACK


def fresh_enough(token: MintedToken, now: float) -> bool:
    """Say whether a token of an earlier process still has more than half of its life, so that nothing is minted.

    A keeper that starts from it draws its jitter from [0, 1]: half of the life is the promise here.
    """
    if token.expires_at is None:
        return False
    life = token.expires_at - token.issued_at
    return token.issued_at - _CLOCK_SLACK <= now and token.expires_at - now > life / 2 > 0


def next_look(token: MintedToken, now: float, jitter: float) -> float:
    """Return in how many seconds to ask again after a token was handed out: at half of what is left of it."""
    return next_refresh(now, now if token.expires_at is None else token.expires_at, jitter) - now


def same_token(before: MintedToken, after: MintedToken) -> bool:
    """Say whether a registry that caches handed out once more what is in force, to the same end.

    An end that is reckoned from the moment of the answer wanders by a second.
    """
    if (before.username, before.password, before.endpoint) != (after.username, after.password, after.endpoint):
        return False
    if before.expires_at is None or after.expires_at is None:
        return before.expires_at == after.expires_at
    return abs(after.expires_at - before.expires_at) <= _SAME_END


def retry_delay(failures: int, remaining: float | None, jitter: float, *, asked: float = 0.0) -> float:
    """Return how long to wait after failure number ``failures`` (from 1): a second, doubling, up to a fifth shorter.

    Capped at five minutes and at a quarter of what is left of the token in use (``remaining`` seconds, None without
    one), but never capped under five seconds. Past its end the cap grows again at the same pace: what has just been
    lost is looked after closely, a registry that stays away is not pestered. ``asked`` are the seconds that the
    registry wants to be left alone for: granted as far as the cap goes.
    """
    left = math.inf if remaining is None else abs(remaining)
    cap = max(_SHORTEST, min(_LONGEST_RETRY, left / 4))
    doubled = 2.0 ** min(max(failures, 1) - 1, 16)
    return max(min(doubled, cap) * (1 - _JITTER * (1 + _clamped(jitter))), min(asked, cap))


def accept(token: MintedToken, now: float, documented_life: float) -> MintedToken | Refused:
    """Judge a provider's answer: the token as issued now, with an end that can be believed, or why it is refused.

    Without an expiry the provider's documented life counts, and it is doubled at most. ``issued_at`` becomes ``now``.
    """
    if fault := _fault(token):
        return Refused(fault)
    expires_at = now + documented_life if token.expires_at is None else token.expires_at
    if math.isnan(expires_at) or expires_at - now < MIN_LIFE:
        return Refused(f"the token's expiry is past, or under {MIN_LIFE:.0f} seconds away; is this host's clock right?")
    return MintedToken(
        username=token.username,
        password=token.password,
        issued_at=now,
        expires_at=min(expires_at, now + 2 * documented_life),
        endpoint=token.endpoint,
    )


def _fault(token: MintedToken) -> str:
    if not token.username or not token.password or ":" in token.username:
        return "the token does not hold user:password"
    if len(token.username.encode()) + len(token.password.encode()) > MAX_TOKEN_BYTES:
        return f"the token is larger than {MAX_TOKEN_BYTES >> 10} KiB"
    return ""


def _clamped(jitter: float) -> float:
    return max(-1.0, min(1.0, jitter))
