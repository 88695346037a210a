"""List and watch, as one stream of events: a whole picture first, then every change, then where to go on.

Modelled on client-go's reflector (tools/cache/reflector.go) and kube-rs' watcher: a union of phases and one ``step``,
which decides; ``Reflector`` only moves bytes. It asks for a WatchList (KEP-3157) where the server has it, else for
pages and a watch. It never retries, waits or sleeps; a list that did not end properly is never announced.
kubernetes_asyncio's Watch is not used: it retries a 410 with the same version, hangs on a dead peer, and fails on long
lines.
"""

import random
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Generic, NoReturn
from urllib.parse import quote

import anyio.lowlevel
import msgspec
from aiohttp import ClientSession
from msgspec import Struct

from imps_multi.kube.excerpt import excerpt
from imps_multi.kube.frames import Bookmark, Change, E, Fault, Lost, Page, Reader, Seen
from imps_multi.kube.lines import Lines, LineTooLongError
from imps_multi.kube.transport import Call, FellSilent, OversizedAnswer, Stream, Transport
from imps_multi.ports import Gone, Invalid, Resume, Transient

SILENCE: Final = 150.0
"""Seconds without a byte after which a watch is dead: bookmarks come about every 60 s."""
SERVER_LIMITS: Final = (300, 600)
"""Seconds that the server is asked to keep a watch open, at random, so that a fleet's watches do not end together."""
PAGE: Final = 500
SMALL_PAGE: Final = 50
LARGEST_PAGE: Final = 128 << 20
LARGE_LIST: Final = 64 << 10
"""Bytes of a list that are felt: uvloop and OpenSSL keep up to 600 KB per connection once their buffers are filled."""
SLICE: Final = 0.002
"""Seconds of decoding after which others get a turn."""

Emit = Callable[[E], None]


class Collecting(Struct, Generic[E], frozen=True):
    """The initial events of a WatchList are coming in."""

    found: dict[Hashable, E] = msgspec.field(default_factory=dict)


class Following(Struct, frozen=True):
    """The picture is complete up to this version; changes are passed on."""

    version: int


class Ended(Struct, frozen=True):
    """The server closed the stream properly; another may go on from this version."""

    version: int


class Adrift(Struct, frozen=True):
    """Nothing can be gone on from: the stream fell silent, or named an older version after a newer one."""


Phase = Collecting[E] | Following | Ended | Adrift


@dataclass
class History(Generic[E]):
    """What is remembered of one watched kind between streams: how far it came, and whether it went back."""

    reader: Reader[E]
    highest: int = 0
    went_back: bool = False

    def replaced(self, found: Mapping[Hashable, E], version: int) -> E:
        """Return the event for a whole list, and remember it."""
        reset = self.went_back or version < self.highest
        self.highest, self.went_back = version, False
        self.reader.forget()
        return self.reader.replaced(found.values(), version, reset=reset)


@dataclass
class Support:
    """What a server was found to have."""

    watch_list: bool = True


@dataclass
class Turns:
    """Gives others a turn when a batch takes long."""

    began: float = field(default_factory=time.perf_counter)

    async def taken(self) -> None:
        """Let the loop go round if the slice is used up."""
        if time.perf_counter() - self.began > SLICE:
            await anyio.lowlevel.checkpoint()
            self.began = time.perf_counter()


class NoWatchListError(Exception):
    """The server does not answer a WatchList as one: no end of the initial events."""


def step(phase: Phase[E], frame: Change[E], history: History[E]) -> tuple[Phase[E], E | None]:
    """Take one frame in: return the next phase, and the event that it makes known."""
    match phase:
        case Collecting(found=found):
            return _collect(phase, found, frame, history)
        case Following(version=version) if frame.version < version:
            history.went_back = True
            return Adrift(), None
        case Following():
            history.highest = max(history.highest, frame.version)
            return Following(frame.version), None if isinstance(frame, Bookmark) else frame.event
        case Ended() | Adrift():
            return phase, None


def _collect(
    phase: Collecting[E], found: dict[Hashable, E], frame: Change[E], history: History[E]
) -> tuple[Phase[E], E | None]:
    match frame:
        case Seen(key=key, event=event):
            found[key] = event
        case Lost(key=key):
            found.pop(key, None)
        case Bookmark(ends_list=True, version=version):
            whole = history.replaced(found, version)
            found.clear()  # the stream goes on for minutes, and its frames would keep the list
            return Following(version), whole
        case Bookmark():
            pass
    return phase, None


class Reflector(Generic[E]):
    """One watched kind of one cluster; one ``run`` is one stream."""

    def __init__(self, transport: Transport, history: History[E], support: Support) -> None:
        self._transport = transport
        self._history = history
        self._reader = history.reader
        self._support = support

    async def run(self, resume: Resume | None, emit: Emit[E]) -> Resume | None:
        """Run a stream to its end; see ``ports.ClusterClient.watch``."""
        phase: Phase[E] = await self._listed(emit) if resume is None else Following(resume.resource_version)
        while isinstance(phase, Following):
            phase = await self._watch(phase, emit)
        return Resume(phase.version) if isinstance(phase, Ended) else None

    async def _listed(self, emit: Emit[E]) -> Phase[E]:
        """Announce a whole list, and whatever else its stream brings; return where that leaves us."""
        if self._support.watch_list:
            with suppress(NoWatchListError):
                return await self._watch(Collecting[E](), emit)
        version = await self._list(emit)
        self._support.watch_list = False  # learned only now: a server that merely hangs does not answer a list either
        return Following(version)

    async def _watch(self, phase: Phase[E], emit: Emit[E]) -> Phase[E]:
        """Run one stream from this phase on; return the phase that its end leaves us in."""
        call = self._watch_call(phase)
        try:
            stream = await self._transport.stream(call, silence=SILENCE)
        except Invalid as refused:
            if isinstance(phase, Collecting):  # 422 where the feature is off, 400 from what never heard of it
                raise NoWatchListError from refused
            raise
        try:
            return await self._pump(call, stream, phase, emit)
        finally:
            stream.close()

    async def _pump(self, call: Call, stream: Stream, phase: Phase[E], emit: Emit[E]) -> Phase[E]:
        """Read until the stream ends, one way or another."""
        lines, size = Lines(), 0
        while isinstance(phase, (Collecting, Following)):
            chunk = await self._read(stream, phase)
            if not chunk:
                return Adrift() if chunk is None else self._ended(call, lines, phase)
            was_collecting, size = isinstance(phase, Collecting), size + len(chunk)
            phase = await self._absorb(call, self._split(call, lines, chunk), phase, emit)
            del chunk  # an idle watch keeps nothing
            if was_collecting and isinstance(phase, Following) and self._goes_on_anew(size, lines):
                break
        return phase

    def _goes_on_anew(self, size: int, lines: Lines) -> bool:
        """Say whether the changes are asked for apart from a list of so many bytes.

        In another form (half an event here comes whole there), or over a connection whose buffers no list has filled.
        """
        in_another_form = self._reader.initial_accept != self._reader.watch_accept
        return in_another_form or (size > LARGE_LIST and not lines.unfinished)

    async def _absorb(self, call: Call, lines: list[bytes], phase: Phase[E], emit: Emit[E]) -> Phase[E]:
        """Take in the lines of one chunk, giving others a turn in between."""
        turns = Turns()
        for line in lines:
            phase, event = step(phase, self._frame(call, line, phase), self._history)
            if event is not None:
                emit(event)
            await turns.taken()
        return phase

    def _ended(self, call: Call, lines: Lines, phase: Phase[E]) -> Phase[E]:
        """Return the phase after a proper end."""
        if lines.unfinished:
            raise self._broken(call, "the stream ended inside an event")
        match phase:
            case Following(version=version):
                return Ended(version)
            case Collecting():
                raise NoWatchListError
            case Ended() | Adrift():
                return phase

    async def _read(self, stream: Stream, phase: Phase[E]) -> bytes | None:
        """Return the next chunk; empty at the proper end, None after a silence that a fresh list answers."""
        collecting = isinstance(phase, Collecting)
        try:
            return await stream.read(within=self._transport.request_timeout if collecting else None)
        except FellSilent as silent:
            if collecting:
                raise NoWatchListError from silent
            return None

    def _split(self, call: Call, lines: Lines, chunk: bytes) -> list[bytes]:
        try:
            return lines.feed(chunk)
        except LineTooLongError as error:
            raise self._broken(call, "an event is larger than any object can be") from error

    def _frame(self, call: Call, line: bytes, phase: Phase[E]) -> Change[E]:
        try:
            frame = self._reader.frame(line, live=isinstance(phase, Following))
        except msgspec.DecodeError as error:
            raise self._broken(call, f"not a Kubernetes watch: {excerpt(str(error))}") from None
        if isinstance(frame, Fault):
            self._fail(call, frame)
        return frame

    def _fail(self, call: Call, fault: Fault) -> NoReturn:
        error = self._transport.refusal(call, fault.status)
        if fault.status.reason in {"Expired", "Gone"} and fault.status.code != HTTPStatus.GONE:
            raise Gone(str(error))
        raise error

    async def _list(self, emit: Emit[E]) -> int:
        """List in pages, announce the whole, and return its version."""
        found: dict[Hashable, E] = {}
        turns, version, token = Turns(), 0, ""
        async with self._transport.own_connection() as session:  # closed with the buffers that the pages have filled
            while not version or token:
                page = await self._page(session, token)
                for seen in page.items:
                    if seen is not None:
                        found[seen.key] = seen.event
                    await turns.taken()
                version = version or page.version  # every page of one list shows the state of the first
                token = page.token
        emit(self._history.replaced(found, version))
        return version

    async def _page(self, session: ClientSession, token: str) -> Page[E]:
        """Ask for a page, and for a smaller one where that is too large."""
        try:
            return await self._sized_page(session, token, PAGE)
        except OversizedAnswer:
            return await self._sized_page(session, token, SMALL_PAGE)

    async def _sized_page(self, session: ClientSession, token: str, limit: int) -> Page[E]:
        call = self._list_call(token, limit)
        body = await self._transport.call(call, largest=LARGEST_PAGE, session=session)
        try:
            page = self._reader.page(body)
        except msgspec.DecodeError as error:
            raise self._broken(call, f"not a Kubernetes list: {excerpt(str(error))}") from None
        if not page.version:
            raise self._broken(call, "the list names no resourceVersion")
        return page

    def _broken(self, call: Call, words: str) -> Transient:
        return Transient(f"{call.what} on {self._transport.server}: {words}", answered=True)

    def _list_call(self, token: str, limit: int) -> Call:
        parts = [self._reader.query, f"limit={limit}", f"continue={quote(token, safe='')}" if token else ""]
        path = f"{self._reader.path}?{'&'.join(part for part in parts if part)}"
        return Call(f"list {self._reader.words}", "GET", path, self._reader.list_accept)

    def _watch_call(self, phase: Phase[E]) -> Call:
        start = (
            f"resourceVersion={phase.version}"
            if isinstance(phase, Following)
            else "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        )
        limit = f"timeoutSeconds={random.randint(*SERVER_LIMITS)}"  # noqa: S311 - spreads load, guards nothing
        parts = [self._reader.query, "watch=true", "allowWatchBookmarks=true", start, limit]
        path = f"{self._reader.path}?{'&'.join(part for part in parts if part)}"
        accept = self._reader.watch_accept if isinstance(phase, Following) else self._reader.initial_accept
        return Call(f"watch {self._reader.words}", "GET", path, accept)
