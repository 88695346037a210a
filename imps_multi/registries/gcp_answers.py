"""What Google answered: an access token, or one of the ports' errors with a word on what to do.

Pure. A message carries the call, and of the answer its status and an error code that is known; never its text, which
may quote what was sent. Fed by the Google provider.
"""

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from imps_multi.model.discreet import Discreet
from imps_multi.model.instant import parse_instant
from imps_multi.ports import Invalid, PortError
from imps_multi.registries.outbound import Reply
from imps_multi.registries.outbound_failures import KNOWN_CODES, answered, error_code

_SKEW: Final = 120.0
"""From how many seconds on a clock that differs is worth a word."""
_CODES: Final = KNOWN_CODES | {"disabled_client", "internal_failure"}
_ADVICE: Final = {
    "disabled_client": "the account is disabled",
    "invalid_grant": "was the key deleted, or the account disabled, or is this host's clock wrong?",
    "invalid_target": "the audience is refused",
    "FAILED_PRECONDITION": "is the account disabled?",
    "NOT_FOUND": "there is no such service account",
    "PERMISSION_DENIED": "it takes roles/iam.serviceAccountTokenCreator on the account, and the IAM Credentials API",
}
_PHRASES: Final = {
    "account not found": "there is no such account",
    "account disabled": "the account is disabled",
    "invalid jwt signature": "the key is none of the account's; was it deleted?",
    "reasonable timeframe": "its times are refused; is this host's clock right?",
}
"""What Google's longer words on an identity that it refuses hold, in small letters, and what they mean."""


class AccessToken(Discreet, frozen=True):
    """A token and its end, seconds since the epoch; None where the answer does not say."""

    token: str
    expires_at: float | None

    def __repr__(self) -> str:
        """Show the end only."""
        return f"AccessToken(expires_at={self.expires_at})"


def oauth_token(reply: Reply, call: str, now: float) -> AccessToken:
    """Read the answer of a token endpoint, the token exchange or the metadata server, asked at ``now``.

    Raises:
        PortError: it is none, or of no use.
    """
    fields = _fields(reply, call, now)
    expires_in = fields.get("expires_in")
    try:
        expires_at = None if expires_in is None else now + float(str(expires_in))
    except ValueError:
        raise Invalid(f"{call}: the answer's expires_in cannot be read") from None
    return AccessToken(_token(fields.get("access_token"), call), expires_at)


def impersonated_token(reply: Reply, call: str, now: float) -> AccessToken:
    """Read the answer of generateAccessToken.

    Raises:
        PortError: it is none, or of no use.
    """
    fields = _fields(reply, call, now)
    told = fields.get("expireTime")
    expires_at = parse_instant(told) if isinstance(told, str) else None
    if told is not None and expires_at is None:
        raise Invalid(f"{call}: the answer's expireTime cannot be read")
    return AccessToken(_token(fields.get("accessToken"), call), expires_at)


def answered_subject(reply: Reply, field: str, call: str, now: float) -> str:
    """Read the token to exchange from what an address answered.

    Raises:
        PortError: it is none, or of no use.
    """
    if reply.status != HTTPStatus.OK:
        raise failure(reply, call, now)
    return subject_token(reply.body, field, call)


def subject_token(content: bytes, field: str, call: str) -> str:
    """Read the token to exchange: the whole text, or a field of the JSON object.

    Raises:
        Invalid: there is none.
    """
    return _token(_object(content).get(field) if field else _text(content).strip(), call)


def failure(reply: Reply, call: str, now: float) -> PortError:
    """Say what to do about an answer that is no success."""
    error = answered(call, reply.status, reply.headers, reply.body, _CODES)
    code = error_code(reply.body, _CODES)
    advice = _ADVICE.get(code, "")
    if code == "invalid_grant":
        words = str(_object(reply.body).get("error_description", "")).lower()
        advice = next((meaning for phrase, meaning in _PHRASES.items() if phrase in words), advice)
        advice += _skew(reply, now)
    if advice:
        error.args = (f"{error}; {advice}",)
    return error


def _fields(reply: Reply, call: str, now: float) -> dict[str, Any]:
    if reply.status != HTTPStatus.OK:
        raise failure(reply, call, now)
    fields = _object(reply.body)
    if not fields:
        raise Invalid(f"{call}: the answer is no JSON object")
    return fields


def _object(content: bytes) -> dict[str, Any]:
    """Return what is no JSON object as an empty one."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""


def _token(token: object, call: str) -> str:
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token or " " in token:
        raise Invalid(f"{call}: the answer holds no token")
    return token


def _skew(reply: Reply, now: float) -> str:
    """Say how far this host's clock is off, by the answer's date."""
    try:
        ahead = now - parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return ""
    if abs(ahead) < _SKEW:
        return ""
    return f"; this host's clock is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} Google's"
