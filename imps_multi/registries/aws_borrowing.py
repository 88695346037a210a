"""The process's own AWS keys, looked up for a mint: whatever botocore finds, by one lookup at a time of each kind.

botocore reads files for them, runs a profile's command, asks STS or a metadata service: any of it may hang. So each
lookup has a thread and a loop of its own, ends by its own time limit with what it started, and holds up nobody: who
waits may leave, nothing is locked, and the threads are not those that the rest of the process shares. Mints that want
the same at the same time share a lookup, so that a thousand of them are not a thousand threads. Fed and asked by the
ECR provider.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from imps_multi.model.discreet import Discreet

LOOKUP_SECONDS: Final = 20.0
"""Less than a mint has, so that a mint does not give up on what would have said why."""

_LOOK_SECONDS: Final = 0.01

Lookup = Callable[[], Awaitable["Keys | None"]]


class Keys(Discreet, frozen=True):
    """What signs a call. Never shown."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Show nothing."""
        return "Keys()"


class Borrowing:
    """Lookups under way, by what they look for. Use one for the process, on asyncio."""

    def __init__(self, seconds: float = LOOKUP_SECONDS) -> None:
        self._seconds = seconds
        self._flights: dict[Hashable, Future[Keys | None]] = {}

    async def keys(self, kind: Hashable, lookup: Lookup) -> Keys | None:
        """Return the keys of this moment; ``lookup`` is called in a thread, unless one of this kind is under way.

        Raises:
            TimeoutError: nothing was found in time.
            Exception: whatever the lookup raises.
        """
        flight = self._flights.get(kind)
        if flight is None:
            flight = self._flights[kind] = self._start(lookup)
            flight.add_done_callback(lambda _: self._flights.pop(kind, None))
        return await asyncio.wrap_future(flight)  # to be cancelled alone: what runs cannot be

    def _start(self, lookup: Lookup) -> Future[Keys | None]:
        flight: Future[Keys | None] = Future()
        flight.set_running_or_notify_cancel()
        # As a daemon, since the end of the process does not wait for it.
        threading.Thread(target=_look_up, args=(lookup, self._seconds, flight), daemon=True, name="AWS keys").start()
        return flight


class _OwnLoop(asyncio.SelectorEventLoop):
    """A loop that knows which commands were started on it: a profile's may hang, and nobody else would end it."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[asyncio.SubprocessTransport] = []

    async def subprocess_exec(self, *given: Any, **more: Any) -> Any:
        """Start a command in a group of its own, with all that it starts, and remember it."""
        transport, protocol = await super().subprocess_exec(*given, **{**more, "start_new_session": True})
        self._started.append(transport)
        return transport, protocol

    async def end_commands(self) -> None:
        """Kill what still runs with what it started, close its pipes, and see it end."""
        for transport in self._started:
            if transport.get_returncode() is None:
                with suppress(ProcessLookupError):
                    os.killpg(transport.get_pid(), signal.SIGKILL)
            transport.close()
        while any(transport.get_returncode() is None for transport in self._started):  # noqa: ASYNC110  # no public event says it
            await asyncio.sleep(_LOOK_SECONDS)


def _look_up(lookup: Lookup, seconds: float, flight: Future[Keys | None]) -> None:
    try:
        with asyncio.Runner(loop_factory=_OwnLoop) as runner:
            found = runner.run(_within(lookup, seconds))
    except BaseException as error:  # noqa: BLE001, ASYNC103  # those who wait are told, in another thread
        flight.set_exception(error)
    else:
        flight.set_result(found)


async def _within(lookup: Lookup, seconds: float) -> "Keys | None":
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            return await lookup()
    finally:
        if isinstance(loop, _OwnLoop):
            await loop.end_commands()
