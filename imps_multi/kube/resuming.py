"""TLS sessions that are gone on from: the handshakes after a server's first cost much less, on both sides.

A cluster opens several connections at once when its Secrets are written, and one for every probe. Nothing is trusted
that a full handshake would not have allowed: a session belongs to one server, one trust and one client certificate, and
after ``FULL_AGAIN`` seconds the server proves itself by its certificate again. A server that knows a session no more
makes a full handshake of it. asyncio has no parameter for a session, so the context is wrapped. Owned by ``transport``,
used by ``connector``; ``handler`` says when there is a session to learn of.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Final

FULL_AGAIN: Final = 600.0


class ResumingContext:
    """Stands for a context where asyncio and uvloop begin a client's handshake; they ask for nothing but this."""

    def __init__(self, context: ssl.SSLContext, clock: Callable[[], float]) -> None:
        self.context = context
        self._clock = clock
        self._session: ssl.SSLSession | None = None
        self._until = 0.0

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # the signature of ssl.SSLContext
        server_hostname: str | None = None,
    ) -> ssl.SSLObject:
        """Begin a handshake, from the last session while it may be used."""
        if self._clock() >= self._until:
            self._session = None
        return self.context.wrap_bio(
            incoming, outgoing, server_side=server_side, server_hostname=server_hostname, session=self._session
        )

    def learn(self, connected: ssl.SSLObject) -> None:
        """Keep the session of a full handshake. TLS 1.3 sends it after that, with the first answer at the latest."""
        if connected.session_reused or (session := connected.session) is None:
            return
        self._session, self._until = session, self._clock() + FULL_AGAIN

    def forget(self) -> None:
        """Let the next handshake be a full one."""
        self._session = None


class Sessions:
    """The sessions with one server: with the context that was used last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: ResumingContext | None = None

    def over(self, context: ssl.SSLContext) -> ResumingContext:
        """Return what to connect with, in place of a context."""
        if self._last is None or self._last.context is not context:
            self._last = ResumingContext(context, self._clock)
        return self._last

    def forget(self) -> None:
        """Let the next handshake be a full one: the last came to nothing."""
        if self._last is not None:
            self._last.forget()


def learn_from(transport: asyncio.BaseTransport) -> None:
    """Let the context that a connection was made with learn of its session."""
    context = transport.get_extra_info("sslcontext")
    if isinstance(context, ResumingContext):
        context.learn(transport.get_extra_info("ssl_object"))
