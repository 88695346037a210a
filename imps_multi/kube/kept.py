"""Idle connections to one server, kept for the next request; the one that was used last goes out first.

aiohttp's own pool serves any number of servers, proxies and limits, at the price of a small write's head and body
together. Nothing is read or sent here. Owned by ``exchange``.
"""

import asyncio
from typing import Final

from imps_multi.kube.handler import Handler

IDLE_SECONDS: Final = 15.0
"""As aiohttp has it: shorter than what servers and their load balancers allow."""


class Kept:
    """Connections that nobody uses now. ``closed``: none is kept any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: list[tuple[float, Handler]] = []  # since when, the longest first
        self._sweep: asyncio.TimerHandle | None = None
        self.closed = False

    def take(self) -> Handler | None:
        """Return one that is still open, if there is one."""
        while self._idle:
            since, handler = self._idle.pop()
            if handler.is_connected() and self._loop.time() - since <= IDLE_SECONDS:
                return handler
            handler.close()
        return None

    def put(self, handler: Handler) -> None:
        """Keep one, unless it is of no further use."""
        if self.closed or handler.should_close:
            handler.close()
            return
        self._idle.append((self._loop.time(), handler))
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._drop_old)

    def drop(self) -> None:
        """Close all of them."""
        idle, self._idle = self._idle, []
        for _, handler in idle:
            handler.close()

    def close(self) -> None:
        """Close all of them, and whatever is put here later."""
        self.closed = True
        self.drop()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _drop_old(self) -> None:
        self._sweep = None
        oldest = self._loop.time() - IDLE_SECONDS
        idle, self._idle = self._idle, []
        for since, handler in idle:
            if since > oldest and handler.is_connected():
                self._idle.append((since, handler))
            else:
                handler.close()
        if self._idle:
            self._sweep = self._loop.call_at(self._idle[0][0] + IDLE_SECONDS, self._drop_old)
