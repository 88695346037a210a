"""How AWS calls connect and what is read: the CA bundle once for all, no redirect, of an answer what a login needs.

To read the bundle for each client was four fifths of a mint's CPU; it is read again when the file is another one or was
changed. A client certificate, or a proxy with settings of its own, gets a context of its own as ever. A redirect would
take a signed request, and the session token in it, wherever an endpoint says. Feeds the ECR provider's session alone;
imported with aiobotocore, at the first mint.
"""

import asyncio
import ssl
from contextlib import AsyncExitStack
from copy import copy
from pathlib import Path
from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from botocore.httpsession import get_cert_path
from msgspec import Struct

from imps_multi.file_signature import signature
from imps_multi.registries.aws_failures import MAX_ANSWER_BYTES, OversizedAnswerError, RedirectedError


class Staying(Struct, frozen=True):
    """A session that takes a redirect for a failure."""

    session: aiohttp.ClientSession

    async def request(self, method: str, **how: Any) -> aiohttp.ClientResponse:
        """Send a request. Raises RedirectedError."""
        response = await self.session.request(method, **how, allow_redirects=False)
        if 300 <= response.status < 400:  # noqa: PLR2004  # the HTTP statuses
            response.close()
            raise RedirectedError(response.status)
        return response


def sharing_sessions() -> type[AIOHTTPSession]:
    """Return a kind of HTTP session that all share what they trust; each call returns another one."""
    known: dict[object, ssl.SSLContext] = {}

    class SharingSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is not typed
        """A client's HTTP session."""

        async def send(self, request: Any) -> Any:
            """Send a request over a connection of its own and read the answer, as far as one goes.

            botocore would read it whole, and keep connections for a client that is not closed.
            """
            request.stream_output = True
            async with self._anew() as once:
                response = await AIOHTTPSession.send(once, request)
                response._content = await _read(response.raw)  # noqa: SLF001  # where botocore keeps what it has read
            return response

        def _anew(self) -> "SharingSession":
            """Return one like this that nobody has opened yet."""
            once = copy(self)
            once.__dict__.update(_sessions=None, _exit_stack=AsyncExitStack(), _sessions_lock=asyncio.Lock())
            return once

        def _build_ssl_contexts(self, proxy_url: str | None) -> Any:
            """Return the context for the endpoint, and that for a proxy; blocks."""
            if self._cert_file or proxy_url or not self._verify:
                return super()._build_ssl_contexts(proxy_url)
            version = _version(get_cert_path(self._verify))
            if version not in known:
                known.clear()
                known[version], _ = super()._build_ssl_contexts(proxy_url)
            return known[version], None

        async def _create_connector(self, proxy_url: str | None) -> Any:
            """Return what connects; to a proxy, without what bounds the addresses of an endpoint."""
            if proxy_url:
                self._connector_args: dict[str, object] = {**self._connector_args, "socket_factory": None}
            return await super()._create_connector(proxy_url)

        async def _get_session(self, proxy_url: str | None) -> Staying:
            return Staying(await super()._get_session(proxy_url))

    return SharingSession


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for part in answer.content.iter_any():
        content += part
        if len(content) > MAX_ANSWER_BYTES:
            answer.close()
            raise OversizedAnswerError
    return bytes(content)


def _version(path: str) -> object:
    """Say which file is there now, and in which state."""
    return path, signature(Path(path).stat())
