"""What a connection to a token endpoint trusts: the system's certificates, or those of SSL_CERT_FILE, SSL_CERT_DIR.

Read in a thread, and again only when the files changed: a bundle costs some 20 ms. As with API servers, a certificate
in the bundle is trusted, root or not, and so are private CAs of older make. One for the process; feeds ``outbound``.
"""

import ssl
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from imps_multi.file_signature import signature

_STRICT: Final = 0x20
"""X509_V_FLAG_X509_STRICT, on by default from Python 3.13: it refuses what many private CAs sign."""


class Trust:
    """Hands out the TLS context of this moment."""

    def __init__(self) -> None:
        self._reading = anyio.Lock()
        self._known: tuple[object, ssl.SSLContext] | None = None

    async def context(self) -> ssl.SSLContext:
        """Return it. Raises OSError (ssl.SSLError) where a bundle cannot be read."""
        async with self._reading:
            return await anyio.to_thread.run_sync(self._current)

    def _current(self) -> ssl.SSLContext:
        version = _version()
        if self._known is None or self._known[0] != version:
            self._known = version, _context()
        return self._known[1]


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~_STRICT
    context.load_default_certs()
    return context


def _version() -> object:
    """Say which files are there now, and in which state."""
    paths = ssl.get_default_verify_paths()
    return tuple((path, signature(Path(path).stat())) for path in (paths.cafile, paths.capath) if path)
