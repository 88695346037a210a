"""WATCH: what a stream begins with, what it says next, and when it ends.

A `Watch` collects in memory, synchronously, whatever the store tells it; `run` sends it, and is the only part that
waits. A slow or a silenced client therefore never holds up a write. Fed by the store's history; feeds one response.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

import msgspec

from imps_multi.sandbox.history import Event
from imps_multi.sandbox.listing import parse_version, too_large_version
from imps_multi.sandbox.negotiation import View
from imps_multi.sandbox.objects import Entry
from imps_multi.sandbox.routes import flag
from imps_multi.sandbox.selection import Selection, line
from imps_multi.sandbox.status import ApiError, bad_request, field_error, invalid
from imps_multi.sandbox.store import Store

__all__ = ["Watch", "WatchOptions", "read_options", "run"]

_CHUNK = 128 * 1024
_SHORTEST, _LONGEST = 1800.0, 3600.0  # when nobody asked for a time limit, as --min-request-timeout has it


class WatchOptions(msgspec.Struct, frozen=True):
    """What the query of a watch asks for."""

    since: int
    initial: bool
    """Whether every object is sent first."""
    marked: bool
    """Whether a bookmark tells where the initial objects end."""
    bookmarks: bool
    seconds: float


def read_options(query: Mapping[str, str], *, watch_list: bool) -> WatchOptions:
    """Read the query; `watch_list` says whether this server knows sendInitialEvents.

    Raises:
        ApiError: 400, 422.
    """
    _check(query, watch_list=watch_list)
    since = parse_version(query.get("resourceVersion", ""))
    asked = "sendInitialEvents" in query
    streaming = flag(query, "sendInitialEvents")
    bookmarks = flag(query, "allowWatchBookmarks")
    return WatchOptions(
        since=since,
        initial=streaming or (since == 0 and not asked),
        marked=streaming and bookmarks,
        bookmarks=bookmarks,
        seconds=_seconds(query),
    )


def _check(query: Mapping[str, str], *, watch_list: bool) -> None:
    match, asked = query.get("resourceVersionMatch", ""), "sendInitialEvents" in query
    causes = []
    if asked and match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(field_error("resourceVersionMatch", "Forbidden", detail))
    if asked and not watch_list:
        detail = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        causes.append(field_error("sendInitialEvents", "Forbidden", detail))
    if match and not asked:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(field_error("resourceVersionMatch", "Forbidden", detail))
    if causes:
        raise invalid("ListOptions", "", causes, group="meta.k8s.io")


def _seconds(query: Mapping[str, str]) -> float:
    asked = query.get("timeoutSeconds", "")
    if asked and not asked.isdecimal():
        raise bad_request(f"timeoutSeconds: {asked!r} is no number")
    return float(asked) if asked and int(asked) else random.uniform(_SHORTEST, _LONGEST)  # noqa: S311, no secret


class Watch:
    """One open watch: what it has still to say."""

    def __init__(self, store: Store, selection: Selection, options: WatchOptions) -> None:
        self.selection = selection
        self.options = options
        self.wake = asyncio.Event()
        self._store = store
        self._pending: deque[bytes] = deque()
        self._first: Iterator[bytes] = iter(())
        self._stop: Callable[[], object] = lambda: None

    def open(self) -> None:
        """Take the state of this moment and listen from it on.

        Raises:
            ApiError: 410 and 504, said as an ERROR event by servers with a watch cache.
        """
        history, options = self._store.history(self.selection.resource), self.options
        if options.initial:
            if options.since > self._store.version:
                raise too_large_version(options.since, self._store.version)
            entries = self._store.entries(self.selection.resource, self.selection.namespace)
            self._first = self._initial(self.selection.narrow(entries), self._store.version)
        elif options.since:
            self._first = filter(None, map(self.selection.frame, history.since(options.since)))
        self._stop = history.listen(self._hear)
        self.wake.set()

    def close(self) -> None:
        """Stop listening."""
        self._stop()

    def _initial(self, entries: list[Entry], version: int) -> Iterator[bytes]:
        for entry in entries:
            yield line("ADDED", self.selection.show(entry))
        if self.options.marked:
            yield self._bookmark(version, b',"annotations":{"k8s.io/initial-events-end":"true"}')

    def _hear(self, event: Event) -> None:
        if event.version > self.options.since and (frame := self.selection.frame(event)):
            self._pending.append(frame)
            self.wake.set()

    def mark(self) -> None:
        """Say a bookmark, if the client takes them."""
        if self.options.bookmarks:
            self._pending.append(self._bookmark(self._store.version))
            self.wake.set()

    def _bookmark(self, version: int, annotations: bytes = b"") -> bytes:
        if self.selection.view is View.FULL:
            header = self.selection.resource.header
        else:
            header = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'
        meta = b'"metadata":{"resourceVersion":"%d","creationTimestamp":null%b}}' % (version, annotations)
        return line("BOOKMARK", header + meta)

    def take(self) -> bytes:
        """Return the next bytes to send, nothing when all is said."""
        parts: list[bytes] = []
        size = 0
        for part in self._first:
            parts.append(part)
            size += len(part)
            if size >= _CHUNK:
                return b"".join(parts)
        while self._pending and size < _CHUNK:
            part = self._pending.popleft()
            parts.append(part)
            size += len(part)
        if not self._pending:
            self.wake.clear()
        return b"".join(parts)


class Outlet(Protocol):
    """Where a stream goes."""

    async def write(self, data: bytes) -> None:
        """Send some bytes."""


async def run(watch: Watch, outlet: Outlet, *, passage: Callable[[], Awaitable[None]], bookmark_seconds: float) -> None:
    """Send a watch until its time is up; `passage` holds it while the server plays dead."""
    loop = asyncio.get_running_loop()
    end = loop.time() + watch.options.seconds
    next_mark = loop.time() + bookmark_seconds
    while True:
        due = await _until(watch.wake, min(end, next_mark))
        await passage()
        if due:
            watch.mark()
            next_mark = loop.time() + bookmark_seconds
        while data := watch.take():
            await outlet.write(data)
            await passage()
        if loop.time() >= end:
            return


async def _until(wake: asyncio.Event, moment: float) -> bool:
    """Wait for an event; returns whether the moment came first."""
    try:
        async with asyncio.timeout_at(moment):
            await wake.wait()
    except TimeoutError:
        return True
    return False


def error_line(error: ApiError) -> bytes:
    """Return the ERROR event that ends a stream."""
    return line("ERROR", error.status.encode())
