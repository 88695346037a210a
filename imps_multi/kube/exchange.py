"""One request and its answer over a kept connection, past aiohttp's session.

A session's own request path costs a small write as much again as everything else that is done for it: two URLs, five
header mappings, a task per body. Here the head is one string, made once per log-in; the handshake and the parser stay
aiohttp's. It knows nothing of Kubernetes, and of no proxy: what needs one goes through a session. Used by
``transport``.
"""

import asyncio
import enum
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from imps_multi.kube.connector import Connector
from imps_multi.kube.handler import Handler, Whole
from imps_multi.kube.kept import Kept

if TYPE_CHECKING:
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})
"""Sent once more where the server closed a kept connection, as RFC 9110 has it (9.2.2) and aiohttp's session does."""
KEPT_HEADS: Final = 16
"""A log-in has one for each way to ask; former log-ins need not be remembered."""
INTERIM: Final = range(100, 200)
SWITCHING: Final = 101

Headers = tuple[tuple[str, str], ...]


class Over(enum.Enum):
    """Which connection a request goes over."""

    KEPT = "kept"
    """One that was kept, or else a new one, which passes the gate; kept for the next request."""
    FRESH = "fresh"
    """A new one, past the gate, which is closed after the answer."""
    ANEW = "anew"
    """As ``FRESH``; but those that were kept are closed, and this one is kept in their place."""


class Answer:
    """An answer whose head has come; ``content`` gives the body. Ended by ``release`` or ``close``."""

    def __init__(
        self,
        handler: Handler,
        keep: Callable[[Handler], None],
        message: "RawResponseMessage",
        content: "StreamReader",
        deadline: asyncio.TimerHandle,
    ) -> None:
        self._handler = handler
        self._keep = keep
        self._deadline = deadline
        self.status = message.code
        self.headers = message.headers
        self.content = content

    def release(self) -> None:
        """Give the connection back for the next request."""
        self._deadline.cancel()
        self._keep(self._handler)

    def close(self) -> None:
        """Drop the connection; who reads on hears of it."""
        self._deadline.cancel()
        if self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))
        self._handler.close()


class Template(NamedTuple):
    """The request by which aiohttp knows where to connect."""

    tls: ssl.SSLContext | None
    request: ClientRequest


class Exchange:
    """Requests to one server. ``headers`` go with each of them; ``connect_within``, in seconds, bounds a connecting."""

    def __init__(
        self,
        connector: Connector,
        server: str,
        *,
        headers: Headers,
        server_name: str,
        connect_within: float,
    ) -> None:
        self._connector = connector
        self._loop = asyncio.get_running_loop()
        self._kept = Kept(self._loop)
        self._open: set[Handler] = set()
        self._url = URL(server)
        self._root = self._url.raw_path.rstrip("/")
        self._headers = headers
        self._server_name = server_name
        self._limits = aiohttp.ClientTimeout(sock_connect=connect_within)
        self._heads: dict[Headers, bytes] = {}
        self._template: Template | None = None

    async def ask(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes | None,
        *,
        tls: ssl.SSLContext | None,
        within: float,
        over: Over = Over.KEPT,
    ) -> Answer | Whole:
        """Send a request and return its answer; ``path`` is encoded, ``within`` bounds all until the body is read.

        Raises what aiohttp's session does: ClientError, OSError, TimeoutError.
        """
        request = self._request(method, path, headers, body)
        template = self._to_connect(tls)
        until = self._loop.time() + within
        if over is Over.ANEW:
            self._kept.drop()
        again = method in REPEATABLE
        while True:
            handler = self._kept.take() if over is Over.KEPT else None
            if handler is None:
                handler = await self._connected(template, until, gated=over is Over.KEPT)
            try:
                return await self._answer(handler, request, template.request, until, over)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                if not again:
                    raise
                again = False

    def close(self) -> None:
        """Drop every connection, the busy ones too; who reads on hears of it."""
        self._kept.close()
        for handler in tuple(self._open):
            handler.close()

    async def _connected(self, template: Template, until: float, *, gated: bool) -> Handler:
        """Make a connection; it is known until it is lost."""
        async with asyncio.timeout_at(until):
            handler = await self._connector.open(template.request, self._limits, gated=gated)
        if self._kept.closed:
            handler.close()
            raise aiohttp.ClientConnectionError("the client is closed")
        self._open.add(handler)
        handler.on_lost = self._open.discard
        return handler

    async def _answer(
        self, handler: Handler, request: bytes, template: ClientRequest, until: float, over: Over
    ) -> Answer | Whole:
        """Send, and wait for the answer's head; the connection is kept or closed here unless there is an Answer."""
        keep = Handler.close if over is Over.FRESH else self._kept.put
        deadline = self._loop.call_at(until, handler.expire)
        try:
            whole = await handler.send(request)
            if whole is None:
                message, content = await _parsed(handler, template)
                return Answer(handler, keep, message, content, deadline)
        except BaseException:
            deadline.cancel()
            handler.close()
            raise
        deadline.cancel()
        keep(handler)
        return whole

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
            request = ClientRequest(
                "GET", self._url, loop=self._loop, ssl=tls or True, server_hostname=self._server_name or None
            )
            self._template = Template(tls, request)
            self._kept.drop()  # they were made with another context
        return self._template


async def _parsed(handler: Handler, template: ClientRequest) -> "tuple[RawResponseMessage, StreamReader]":
    """Read an answer's head with aiohttp's parser."""
    try:
        message, content = await handler.read()
        while message.code in INTERIM and message.code != SWITCHING:
            message, content = await handler.read()
    except HttpProcessingError as error:
        raise aiohttp.ClientResponseError(template.request_info, (), status=error.code) from error
    return message, content
