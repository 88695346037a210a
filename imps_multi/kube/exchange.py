"""One request and its answer over a pooled connection, past aiohttp's session.

A session's own request path costs a small write as much again as everything else that is done for it: two URLs, five
header mappings, a task per body. Here the head is one string, made once per log-in; the pool, the handshake and the
parser stay aiohttp's. It knows nothing of Kubernetes, and of no proxy: what needs one goes through a session. Used by
``transport``.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from imps_multi.kube.connector import Connector
from imps_multi.kube.handler import Handler, Whole

if TYPE_CHECKING:
    from aiohttp.connector import Connection as Pooled
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})
"""Sent once more where the server closed a kept connection, as RFC 9110 has it (9.2.2) and aiohttp's session does."""
KEPT_HEADS: Final = 16
"""A log-in has one for each way to ask; former log-ins need not be remembered."""
INTERIM: Final = range(100, 200)
SWITCHING: Final = 101

Headers = tuple[tuple[str, str], ...]


class Answer:
    """An answer whose head has come; ``content`` gives the body. Ended by ``release`` or ``close``."""

    def __init__(
        self,
        connection: "Pooled",
        message: "RawResponseMessage",
        content: "StreamReader",
        deadline: asyncio.TimerHandle,
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self.status = message.code
        self.headers = message.headers
        self.content = content

    def release(self) -> None:
        """Give the connection back for the next request."""
        self._deadline.cancel()
        self._connection.release()

    def close(self) -> None:
        """Drop the connection; who reads on hears of it."""
        self._deadline.cancel()
        if self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))
        self._connection.close()


class Template(NamedTuple):
    """The request by which aiohttp knows where to connect, and which pooled connections will do."""

    tls: ssl.SSLContext | None
    request: ClientRequest
    key: ConnectionKey


class Exchange:
    """Requests to one server by one pool. ``headers`` go with each of them.

    ``connect_within`` and ``within``, in seconds, bound an attempt to connect, and the whole until the body is read.
    """

    def __init__(
        self,
        connector: Connector,
        server: str,
        *,
        headers: Headers,
        server_name: str,
        connect_within: float,
        within: float,
    ) -> None:
        self._connector = connector
        self._url = URL(server)
        self._root = self._url.raw_path.rstrip("/")
        self._headers = headers
        self._server_name = server_name
        self._limits = aiohttp.ClientTimeout(sock_connect=connect_within)
        self._within = within
        self._heads: dict[Headers, bytes] = {}
        self._template: Template | None = None

    async def ask(
        self, method: str, path: str, headers: Headers, body: bytes | None, *, tls: ssl.SSLContext | None
    ) -> Answer | Whole:
        """Send a request and return its answer; ``path`` is encoded.

        Raises what aiohttp's session does: ClientError, OSError, TimeoutError.
        """
        request = self._request(method, path, headers, body)
        template = self._to_connect(tls)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._within
        again = method in REPEATABLE
        while True:
            connection = await self._connected(template, until)
            try:
                return await _answer(connection, request, template.request, until, loop)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                if not again:
                    raise
                again = False

    async def _connected(self, template: "Template", until: float) -> "Pooled":
        """Take a connection from the pool, or make one."""
        if (kept := await self._connector.kept(template.key)) is not None:
            return kept
        async with asyncio.timeout_at(until):
            return await self._connector.connect(template.request, [], self._limits)

    def _request(self, method: str, path: str, headers: Headers, body: bytes | None) -> bytes:
        start = f"{method} {self._root}{path} HTTP/1.1\r\n".encode()
        head = self._heads.get(headers)
        if head is None:
            if len(self._heads) >= KEPT_HEADS:
                self._heads.clear()
            head = self._heads[headers] = self._head(headers)
        if body is None:
            return b"%s%s\r\n" % (start, head)
        return b"%s%sContent-Length: %d\r\n\r\n%s" % (start, head, len(body), body)

    def _head(self, headers: Headers) -> bytes:
        """Return the lines of all headers.

        Raises:
            ValueError: one of them would become two.
        """
        host = self._url.host_subcomponent or ""
        port = "" if self._url.is_default_port() else f":{self._url.port}"
        lines = [f"{name}: {value}" for name, value in (("Host", host + port), *self._headers, *headers)]
        if any(sign in line for line in lines for sign in "\r\n\0"):
            raise ValueError("a line break or null byte in a header")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _to_connect(self, tls: ssl.SSLContext | None) -> "Template":
        if self._template is None or self._template.tls is not tls:
            loop = asyncio.get_running_loop()
            request = ClientRequest(
                "GET", self._url, loop=loop, ssl=tls or True, server_hostname=self._server_name or None
            )
            self._template = Template(tls, request, request.connection_key)
        return self._template


async def _answer(
    connection: "Pooled", request: bytes, template: ClientRequest, until: float, loop: asyncio.AbstractEventLoop
) -> Answer | Whole:
    """Send, and wait for the answer's head; the connection is given back or closed here unless there is an Answer."""
    handler = connection.protocol
    assert isinstance(handler, Handler)  # the connector makes no others
    deadline = loop.call_at(until, handler.expire)
    try:
        whole = await handler.send(request)
        if whole is None:
            return await _parsed(connection, handler, template, deadline)
    except BaseException:
        deadline.cancel()
        connection.close()
        raise
    deadline.cancel()
    connection.release()
    return whole


async def _parsed(
    connection: "Pooled", handler: Handler, template: ClientRequest, deadline: asyncio.TimerHandle
) -> Answer:
    try:
        message, content = await handler.read()
        while message.code in INTERIM and message.code != SWITCHING:
            message, content = await handler.read()
    except HttpProcessingError as error:
        raise aiohttp.ClientResponseError(template.request_info, (), status=error.code) from error
    return Answer(connection, message, content, deadline)
