"""Requests that got no answer, translated once into ``Transient`` with the reason that a status shows.

Pure. Looks at what aiohttp, ssl and the system raise. Takes no text from them that could hold a URL with a password:
aiohttp names the request in its messages, so only the system's own words and OpenSSL's are repeated.
"""

import errno
import os
import ssl
from typing import Final

import aiohttp

from imps_multi.kube.excerpt import excerpt
from imps_multi.ports import Reason, Transient


def failure(what: str, server: str, error: Exception, *, answered: bool = False) -> Transient:
    """Return the error for a request that failed on the way. ``answered``: the head of the answer had come."""
    reason, words = _meaning(error)
    return Transient(f"{what} on {server}: {words}", reason=reason, answered=answered)


def _meaning(error: Exception) -> tuple[Reason, str]:
    if isinstance(error, aiohttp.ClientConnectorError):
        return _no_connection(error)
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT, "no answer in time"
    if isinstance(error, ssl.SSLError):
        return Reason.TLS, f"TLS: {tls_words(error)}"
    return Reason.UNREACHABLE, _interruption(error)


def _interruption(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused with {error.status}"
    for kind, words in _INTERRUPTIONS:
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError) and error.strerror:
        return excerpt(error.strerror)
    return f"the connection failed ({type(error).__name__})"


_INTERRUPTIONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientPayloadError, "the answer was cut off"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
    (aiohttp.ClientConnectionResetError, "the connection was reset"),
    (aiohttp.ClientResponseError, "what came is not HTTP"),
)


def _no_connection(error: aiohttp.ClientConnectorError) -> tuple[Reason, str]:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Reason.TLS, f"TLS: {tls_words(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientSSLError):
        return Reason.TLS, f"TLS: {tls_words(error.os_error)}"
    cause = error.os_error
    words = excerpt(_system_words(cause))
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Reason.UNREACHABLE, f"no connection to the proxy: {words}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Reason.UNREACHABLE, f"the server's name cannot be resolved: {words}"
    late = isinstance(cause, TimeoutError)
    return (Reason.TIMEOUT if late else Reason.UNREACHABLE), f"no connection: {words}"


def _system_words(error: OSError) -> str:
    """Return what the system says; asyncio puts a text of its own there, which says where and not why."""
    code = error.errno or 0
    return os.strerror(code) if code in errno.errorcode else error.strerror or type(error).__name__


def tls_words(error: BaseException) -> str:
    """Return what OpenSSL says is wrong."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return excerpt(f"the certificate is not accepted: {error.verify_message}")
    return excerpt(str(getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__))
