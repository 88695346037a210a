"""Sockets to API servers: kept alive, watched by the kernel, opened through the fleet's gate.

A peer that is gone without a word shows within 30 s, also on a connection that only reads. Used by ``transport``.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Coroutine
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler

from imps_multi.kube.gate import Gate
from imps_multi.kube.handler import Handler
from imps_multi.kube.resuming import Sessions

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

KEEPALIVE_IDLE: Final = 10
KEEPALIVE_INTERVAL: Final = 5
KEEPALIVE_COUNT: Final = 3
UNACKNOWLEDGED: Final = 30.0
"""Seconds that sent data may stay unacknowledged (TCP_USER_TIMEOUT)."""
DNS_CACHE: Final = 30
GRACE: Final = 0.1
"""Seconds that connection attempts get to end when their pool closes."""


def open_socket(
    address: tuple[int, int, int, str, tuple[str, int]] | tuple[int, int, int, str, tuple[str, int, int, int]],
) -> socket.socket:
    """Make the socket of one connection attempt."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED * 1000))
    return made


class Connector(aiohttp.TCPConnector):
    """The pool of one cluster, without a limit: the actor has one. ``gate`` None opens at once, for probes.

    ``sessions`` None makes every handshake a full one: over a proxy there may be two kinds of peer.
    """

    def __init__(
        self, *, resolver: AbstractResolver, gate: Gate | None, sessions: Sessions | None, single_use: bool = False
    ) -> None:
        super().__init__(
            limit=0,
            resolver=resolver,
            ttl_dns_cache=DNS_CACHE,
            force_close=single_use,
            socket_factory=open_socket,
        )
        self._gate = gate
        self._sessions = sessions
        self._attempts: set[asyncio.Task[ResponseHandler]] = set()
        handler: type[ResponseHandler] = Handler
        self._factory = partial(handler, loop=self._loop)

    async def open(
        self,
        req: "ClientRequest",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's word
        *,
        gated: bool,
    ) -> Handler:
        """Make a connection that is not of this pool, and is the caller's to close."""
        made = await self._shielded(self._attempt(req, [], timeout, self._gate if gated else None))
        assert isinstance(made, Handler)  # there is no other kind here
        return made

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close everything; an attempt that nobody waits for any more gets a moment to end."""
        try:
            if self._attempts:
                await asyncio.wait(self._attempts, timeout=GRACE)
        finally:
            for attempt in self._attempts:
                attempt.cancel()
            await super().close(abort_ssl=abort_ssl)

    async def _create_connection(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's name
    ) -> ResponseHandler:
        return await self._shielded(self._attempt(req, traces, timeout, self._gate))

    async def _shielded(self, attempting: Coroutine[None, None, ResponseHandler]) -> ResponseHandler:
        """Connect in a task of its own, which a cancellation of the request leaves alone.

        Cancelling a TLS handshake makes uvloop write to a socket that it has closed, and report that as fatal. The
        attempt ends by itself (``sock_connect``), and what comes of it is dropped.
        """
        attempt = asyncio.create_task(attempting)
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            attempt.add_done_callback(_drop)
            raise

    async def _attempt(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's name
        gate: Gate | None,
    ) -> ResponseHandler:
        try:
            async with gate.passing() if gate is not None else nullcontext():
                return await super()._create_connection(req, traces, timeout)
        except BaseException:
            if self._sessions is not None:
                self._sessions.forget()
            raise

    def _get_ssl_context(self, req: "ClientRequest") -> ssl.SSLContext | None:
        """Return the context of a request, so wrapped that its handshake may go on from a session."""
        context = super()._get_ssl_context(req)
        if context is None or self._sessions is None:
            return context
        return cast("ssl.SSLContext", self._sessions.over(context))


def _drop(attempt: asyncio.Task[ResponseHandler]) -> None:
    """Let go of what nobody asked for any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
