"""A port of 127.0.0.1 that can go away and come back: the socket side of a sandbox server.

It owns the listening socket and every connection; what is said on them is the server's. While the socket is closed
the port stays reserved by a second socket that is bound and does not listen, so that connections are refused and
nobody else takes the number.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, cast

import anyio
from aiohttp import web
from aiohttp.web_request import BaseRequest

__all__ = ["MAX_BODY", "Handler", "Listener", "Server", "abort"]

Handler = Callable[[BaseRequest], Awaitable[web.StreamResponse]]

MAX_BODY = 3 * 1024 * 1024
"""Bytes that a request may bring, as --max-resource-write-bytes has it."""

CLOSING = 5.0
"""Seconds that a server may take to close."""

_HOST = "127.0.0.1"
_BACKLOG = 1024
_CLOSE_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: RST instead of FIN


class _Mute(asyncio.Protocol):
    """A peer that accepts and then does nothing at all."""

    def __init__(self, open_transports: set[asyncio.BaseTransport]) -> None:
        self._open = open_transports
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).pause_reading()  # uvloop's transports are no subclass of asyncio's
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._transport is not None:
            self._open.discard(self._transport)


class Listener:
    """One port, with or without TLS."""

    def __init__(self, handler: Handler, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._ssl = ssl_context
        self._reserve: socket.socket | None = None
        self._web: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._mute: asyncio.Server | None = None
        self._muted: set[asyncio.BaseTransport] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens, also while it does not."""
        return f"{'https' if self._ssl else 'http'}://{_HOST}:{self.port}"

    async def open(self) -> None:
        """Choose a port and listen."""
        self._reserve = _bound(0)
        self.port = self._reserve.getsockname()[1]
        # handler_cancellation: a watch of a client that left must not wait for the next event to notice
        self._web = web.Server(
            self._handler, request_factory=_request, handler_cancellation=True, access_log=None, lingering_time=0.0
        )
        await self.start()

    async def start(self) -> None:
        """Listen, if it does not."""
        await self._stop_mute()
        if self._server is None and self._web is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._web, sock=_bound(self.port), ssl=self._ssl, backlog=_BACKLOG)

    async def start_mute(self) -> None:
        """Listen, accept, and do nothing."""
        if self._mute is None:
            loop = asyncio.get_running_loop()
            self._mute = await loop.create_server(lambda: _Mute(self._muted), sock=_bound(self.port), backlog=_BACKLOG)

    async def stop(self) -> None:
        """Stop listening and close every connection abruptly."""
        await self._stop_mute()
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def _stop_mute(self) -> None:
        if self._mute is not None:
            self._mute.close()
            self._mute = None
        for transport in tuple(self._muted):
            abort(transport)
        await asyncio.sleep(0)

    def cut(self) -> int:
        """Close every connection abruptly; returns how many there were."""
        open_transports = [
            connection.transport
            for connection in (self._web.connections if self._web is not None else [])
            if connection.transport is not None
        ]
        for transport in open_transports:
            abort(transport)
        return len(open_transports)

    async def close(self) -> None:
        """Give the port back."""
        await self.stop()
        if self._web is not None:
            await self._web.shutdown(1.0)
            self._web = None
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None


class Server:
    """What stands behind one port; a context manager that listens. Every server of the sandbox is one."""

    def __init__(self, listener: Listener) -> None:
        """Build one that does not listen yet."""
        self._listener = listener

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.move_on_after(CLOSING, shield=True):
            await self.stop()

    async def start(self) -> None:
        """Listen on a port of the system's choosing."""
        await self._listener.open()

    async def stop(self) -> None:
        """Close every connection and give the port back."""
        await self._listener.close()

    @property
    def url(self) -> str:
        """Its address, the same before and after `faults.refuse`."""
        return self._listener.url


def abort(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection with a reset, dropping what was still to be sent."""
    if transport is None:
        return
    peer = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_AT_ONCE)
    cast("asyncio.Transport", transport).abort()


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setblocking(False)
    sock.bind((_HOST, port))
    return sock


def _request(message: object, payload: object, protocol: object, writer: object, task: object) -> BaseRequest:
    loop = asyncio.get_running_loop()
    return BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)  # type: ignore[arg-type]  # aiohttp's own types of these five are private
