"""Host names to addresses, in daemon threads of their own.

A name server that does not answer holds a thread for many seconds. asyncio's own pool has a handful of threads, shared
with everything else, and is waited for at exit; these are bounded apart, and the process may end without them. Used for
API servers and for registries.
"""

import asyncio
import errno
import socket
import threading
from contextlib import suppress
from typing import Final

import anyio
from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUPS: Final = 16
FLAGS: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """Asks the system, so that /etc/hosts and nsswitch hold. ``lookups`` bounds the threads of all who share it."""

    def __init__(self, lookups: anyio.Semaphore) -> None:
        self._lookups = lookups

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raises OSError (socket.gaierror) where there is none."""
        await self._lookups.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def settle(found: list[ResolveResult] | OSError) -> None:
            self._lookups.release()
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: list[ResolveResult] | OSError
            try:
                found = addresses(host, port, family)
            except OSError as error:
                found = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, found)

        try:
            threading.Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError as error:  # no more threads
            self._lookups.release()
            raise OSError(errno.EAGAIN, "no thread for a name look-up") from error
        return await answer

    async def close(self) -> None:
        """Nothing is held."""


def addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    """Look a host up; blocks."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(hostname=host, host=_numeric(address), port=port, family=kind, proto=protocol, flags=FLAGS)
        for kind, _, protocol, _, address in found
    ]


def _numeric(address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """Return an address's host as text, with its scope where it is link-local."""
    return socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
