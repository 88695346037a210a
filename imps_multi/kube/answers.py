"""An API server's refusals, translated once into the closed set of port errors.

Pure. Knows HTTP codes and the Status object; nobody above the ports does. Used by ``transport`` for answers and by
``reflector`` for the ERROR events of a watch. A message holds the server's own words, cut, and nothing that was sent.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from imps_multi.kube.excerpt import excerpt
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NamespaceTerminating,
    NotFound,
    PortError,
    Reason,
    Throttled,
    Transient,
    Unauthorized,
)

LONGEST_WAIT: Final = 600.0
"""A Retry-After beyond this is taken as this, in seconds."""
SHORTEST_WAIT: Final = 1.0


class StatusCause(Struct, frozen=True):
    """One of the causes in a Status."""

    reason: str = ""


class StatusDetails(Struct, frozen=True, rename="camel"):
    """What a Status says beyond its message."""

    causes: list[StatusCause] | None = None
    retry_after_seconds: int = 0


class Status(Struct, frozen=True):
    """The Status object of a refusal, or of a watch's ERROR event."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None

    def has_cause(self, reason: str) -> bool:
        """Tell whether a cause of this reason is given."""
        causes = self.details.causes if self.details is not None else None
        return any(cause.reason == reason for cause in causes or ())


_STATUS: Final = msgspec.json.Decoder(Status)


def read_status(code: int, body: bytes) -> Status:
    """Read a refusal's body; where it is none of Kubernetes' own (a proxy's page) only the code is left."""
    try:
        status = _STATUS.decode(body)
    except msgspec.DecodeError:
        status = Status()
    return msgspec.structs.replace(status, code=code)


def refusal(what: str, server: str, status: Status, headers: Mapping[str, str] | None = None) -> PortError:
    """Return the error that says what to do about a refusal. ``what`` was tried on ``server``."""
    message = _message(what, server, status)
    if status.code == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(message, retry_after=_wait(status, headers) or SHORTEST_WAIT)
    if status.has_cause("ResourceVersionTooLarge"):  # answered as a 504: the server's history is behind ours
        return Gone(message)
    if status.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _server_side(message, status, headers)
    if status.code < HTTPStatus.BAD_REQUEST:
        return Transient(message, answered=True)  # a redirect; following it would take the credential elsewhere
    return _client_side(message, status)


def _client_side(message: str, status: Status) -> PortError:
    match status.code:
        case HTTPStatus.FORBIDDEN if status.has_cause("NamespaceTerminating"):
            return NamespaceTerminating(message)
        case HTTPStatus.CONFLICT if status.reason == "AlreadyExists":
            return AlreadyExists(message)
        case HTTPStatus.REQUEST_TIMEOUT:
            return Transient(message, reason=Reason.TIMEOUT, answered=True)
    return _PLAIN.get(status.code, Invalid)(message)


_PLAIN: Final[Mapping[int, type[PortError]]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Gone,
}
"""Codes whose meaning needs no look at anything else. Every other 4xx is ``Invalid``."""


def _server_side(message: str, status: Status, headers: Mapping[str, str] | None) -> PortError:
    wait = _wait(status, headers)
    if status.code == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None:
        return Throttled(message, retry_after=wait)
    late = status.code == HTTPStatus.GATEWAY_TIMEOUT
    return Transient(message, reason=Reason.TIMEOUT if late else Reason.UNREACHABLE, answered=True)


def _message(what: str, server: str, status: Status) -> str:
    words = f"{what} on {server}: {status.code} {excerpt(status.reason) or _phrase(status.code)}"
    return f"{words}: {excerpt(status.message)}" if status.message not in ("", status.reason) else words


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "of no known meaning"


def _wait(status: Status, headers: Mapping[str, str] | None) -> float | None:
    """Return the seconds of Retry-After, from the header or the Status; a date there is not looked at."""
    told = (headers or {}).get("Retry-After", "")
    if told.isascii() and told.isdigit():
        return min(max(float(told[:9]), SHORTEST_WAIT), LONGEST_WAIT)
    details = status.details
    if details is not None and details.retry_after_seconds > 0:
        return min(float(details.retry_after_seconds), LONGEST_WAIT)
    return None
