"""What an HTTP call to a token endpoint came to, as one of the ports' errors.

Pure. A message carries the call, the status code, and an error code only where it is one of the well-known ones below.
It never carries a body's own words (a server may quote what it was sent) nor a URL (which may hold a login).
"""

import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from imps_multi.ports import Forbidden, Invalid, PortError, Reason, Throttled, Transient, Unauthorized

FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""Everything that aiohttp raises for a request that failed; ssl.SSLError is an OSError."""
LONGEST_WAIT: Final = 3600.0
_LATER: Final = "retry-after"
OAUTH: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target", "invalid_token"),
        *("unauthorized_client", "unsupported_grant_type", "insufficient_scope", "access_denied", "server_error"),
        *("slow_down", "temporarily_unavailable", "interaction_required"),
    }
)
"""RFC 6749 §4.1.2.1 and §5.2, RFC 6750, RFC 8628, RFC 8707, OpenID Connect."""
REGISTRY: Final = frozenset(
    {"UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "NAME_UNKNOWN", "NAME_INVALID"}
)
"""The distribution specification's."""
RPC: Final = frozenset(
    {
        *("UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"),
        *("RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED"),
    }
)
"""Google's, as ``error.status``."""
KNOWN_CODES: Final = OAUTH | REGISTRY | RPC
NO_HINTS: Final[Mapping[int, str]] = {}
_IDENTITY: Final = frozenset({"invalid_client", "invalid_grant", "invalid_token", "UNAUTHENTICATED"})
"""Who asks is refused, whatever status that comes with."""
_PERMISSION: Final = frozenset({"unauthorized_client", "access_denied", "PERMISSION_DENIED"})


def answered(
    call: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    known: frozenset[str] = KNOWN_CODES,
    hints: Mapping[int, str] = NO_HINTS,
) -> PortError:
    """Return the error for an answer that is no success. ``headers`` in lower case."""
    code = error_code(body, known)
    message = f"{call}: {code or _bare(status)} (HTTP {status}){f': {hints[status]}' if status in hints else ''}"
    if _asks_for_patience(status, headers):
        return Throttled(message, retry_after=_retry_after(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Transient(message, answered=True)
    if status == HTTPStatus.UNAUTHORIZED or code in _IDENTITY:
        return Unauthorized(message)
    if status == HTTPStatus.FORBIDDEN or code in _PERMISSION:
        return Forbidden(message)
    if status < HTTPStatus.BAD_REQUEST:
        return Invalid(f"{message}: redirects are not followed; name the URL that it leads to")
    return Invalid(message)


def _bare(status: int) -> str:
    """Say what an answer without a known code is."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "the server failed"
    return "refused" if status >= HTTPStatus.BAD_REQUEST else "redirected"


def error_code(body: bytes, known: frozenset[str]) -> str:
    """Return the well-known error code that a body holds where RFC 6749, Google or a registry put it, or nothing."""
    try:
        content: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    if not isinstance(content, dict):
        return ""
    said = content.get("error")
    listed = content.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else None
    places = (said, _field(said, "status"), _field(first, "code"))
    return next((place for place in places if isinstance(place, str) and place in known), "")


def _field(content: object, name: str) -> object:
    return content.get(name) if isinstance(content, dict) else None


def _asks_for_patience(status: int, headers: Mapping[str, str]) -> bool:
    """Say whether a refusal is only about how often."""
    spent = status == HTTPStatus.FORBIDDEN and headers.get("x-ratelimit-remaining") == "0"  # GitHub's way
    return status == HTTPStatus.TOO_MANY_REQUESTS or spent or (status >= HTTPStatus.BAD_REQUEST and _LATER in headers)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return how many seconds are asked for; a date counts from the answer's own."""
    value = headers.get(_LATER, "60" if headers.get("x-ratelimit-remaining") == "0" else "")
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return 1.0
    return min(max(wait.total_seconds(), 1.0), LONGEST_WAIT)


def unanswered(call: str, error: Exception) -> PortError:
    """Return the error for a request that failed on the way."""
    reason, words = _meaning(error)
    return Transient(f"{call}: {words}", reason=reason)


def _meaning(error: Exception) -> tuple[Reason, str]:
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT, "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Reason.TLS, f"TLS: {_tls_words(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        late = isinstance(error.os_error, TimeoutError)
        reason = Reason.TLS if isinstance(error, aiohttp.ClientSSLError) else Reason.UNREACHABLE
        return Reason.TIMEOUT if late else reason, _no_connection(error)
    if isinstance(error, ssl.SSLError):
        return Reason.TLS, f"TLS: {_tls_words(error)}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Reason.UNREACHABLE, f"the proxy refused with {error.status}"
    bad_proxy = isinstance(error, aiohttp.InvalidURL)  # the endpoint's own URL was looked at
    failed = f"the connection failed ({type(error).__name__})"
    return Reason.UNREACHABLE, "the proxy that the environment names is no URL" if bad_proxy else failed


def _no_connection(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return f"TLS: {_tls_words(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name cannot be resolved"
    proxy = " to the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    return f"no connection{proxy} ({type(error.os_error).__name__})"


def _tls_words(error: BaseException) -> str:
    """Return what OpenSSL says is wrong."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message[:200]}"
    return str(getattr(error, "reason", None) or type(error).__name__)[:200]
