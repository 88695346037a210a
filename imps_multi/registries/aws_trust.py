"""The CA bundle of AWS calls, read once instead of once for each client: that alone was four fifths of a mint's CPU.

Read again when the file is another one or was changed. A client certificate, or a proxy with settings of its own, gets
a context of its own as ever. Feeds the ECR provider's session alone; imported with aiobotocore, at the first mint.
"""

import ssl
from pathlib import Path
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from botocore.httpsession import get_cert_path


def sharing_sessions() -> type[AIOHTTPSession]:
    """Return a kind of HTTP session that all share what they trust; each call returns another one."""
    known: dict[object, ssl.SSLContext] = {}

    class SharingSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is not typed
        """A client's HTTP session."""

        def _build_ssl_contexts(self, proxy_url: str | None) -> Any:
            """Return the context for the endpoint, and that for a proxy; blocks."""
            if self._cert_file or proxy_url or not self._verify:
                return super()._build_ssl_contexts(proxy_url)
            version = _version(get_cert_path(self._verify))
            if version not in known:
                known.clear()
                known[version], _ = super()._build_ssl_contexts(proxy_url)
            return known[version], None

    return SharingSession


def _version(path: str) -> object:
    """Say which file is there now, and in which state."""
    found = Path(path).stat()
    return path, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
