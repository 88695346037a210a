"""One connection: aiohttp's, with a short way for the answer that comes whole, and an abrupt end.

Nearly every write is answered by a few hundred bytes in one piece. ``whole_answer`` reads those; whatever
else comes goes to aiohttp's parser, from its first byte. Made by ``connector``, asked and kept by ``exchange``.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import TimerNoop
from msgspec import Struct

from imps_multi.kube.resuming import learn_from

_PLAIN: Final = re.compile(rb"HTTP/1\.1 (20[01])[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n[^ \t])", re.IGNORECASE)
_SPECIAL: Final = re.compile(rb"\r\n(?:connection|transfer-encoding|content-encoding|upgrade):", re.IGNORECASE)
"""Headers that change how an answer is read, or what follows it."""
_HEAD_END: Final = b"\r\n\r\n"
_NO_TIMER: Final = TimerNoop()


class Whole(Struct, frozen=True, gc=False):
    """An answer that came in one piece."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        """Show all but the body."""
        return f"Whole({self.status})"


def whole_answer(data: bytes) -> Whole | None:
    """Read a 200 or 201 with one Content-Length, all of its body and nothing after it; None for anything else."""
    start = _PLAIN.match(data)
    end = data.find(_HEAD_END)
    if start is None or end < 0:
        return None
    head, body = data[: end + len(_HEAD_END)], data[end + len(_HEAD_END) :]
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or len(body) != int(lengths[0]) or _SPECIAL.search(head):
        return None
    return Whole(int(start[1]), body)


class Handler(ResponseHandler):
    """A connection that is dropped when it is closed.

    Closing TLS in order means waiting for the peer, up to 30 s for one that is gone, in a transport that nobody can
    reach any more; such leftovers keep uvloop from closing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._expected: asyncio.Future[Whole | None] | None = None
        self._silent = True
        self.on_lost: Callable[[Handler], None] | None = None
        """Told when the connection is no more."""

    def close(self) -> None:
        """Begin to close in order, and do not wait for it.

        Not aborted at once: this may be called from inside uvloop's own reading, which then writes to what is closed.
        """
        transport = self.transport
        super().close()
        if transport is not None:
            self._loop.call_soon(transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever waits, and whoever keeps count."""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost(self)

    def send(self, request: bytes) -> "asyncio.Future[Whole | None]":
        """Send a request. The future gives its answer if that comes whole; with None, ``read`` gives it.

        Raises:
            ServerDisconnectedError: there is no connection, or something came on it that nobody had asked for.
        """
        if self.transport is None or self._tail or self._exception is not None:
            raise aiohttp.ServerDisconnectedError
        self._parser = None
        self._expected = self._loop.create_future()
        self.transport.write(request)
        return self._expected

    def expire(self) -> None:
        """Fail what is still being read: its time is over."""
        self._on_read_timeout()

    def data_received(self, data: bytes) -> None:
        """Take in an answer at once, or have it parsed."""
        if self._silent and self.transport is not None:
            self._silent = False
            learn_from(self.transport)
        expected, self._expected = self._expected, None
        if expected is not None and not expected.done():
            whole = whole_answer(data)
            if whole is None:
                self.set_response_params(timer=_NO_TIMER, read_until_eof=True)
            expected.set_result(whole)
            if whole is not None:
                return
        super().data_received(data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell whoever waits that nothing will come."""
        super().set_exception(exc, *cause)
        expected, self._expected = self._expected, None
        if expected is not None and not expected.done():
            expected.set_exception(exc)
