"""What happened to one kind, for the watches: a bounded memory of events, and who listens for the next one.

The store feeds it in one synchronous call per write; watches read it. It awaits nothing: a listener is a plain
callback that must not block.
"""

import bisect
from collections import deque
from collections.abc import Callable
from itertools import islice
from operator import attrgetter

import msgspec

from imps_multi.sandbox.objects import Entry
from imps_multi.sandbox.status import expired

__all__ = ["Event", "History"]

Listener = Callable[["Event"], None]


class Event(msgspec.Struct, frozen=True, eq=False):
    """One change of one object. After a deletion `entry` is the last state, at the version of the deletion."""

    entry: Entry
    previous: Entry | None = None
    deleted: bool = False

    @property
    def version(self) -> int:
        """The resourceVersion at which it happened."""
        return self.entry.version


class History:
    """The events of one kind, newest last."""

    def __init__(self, *, length: int, version: int) -> None:
        self._events: deque[Event] = deque()
        self._length = length
        self._floor = version
        self._listeners: dict[Listener, None] = {}

    def append(self, event: Event) -> None:
        """Remember an event and tell every listener."""
        self._events.append(event)
        while len(self._events) > self._length:
            self._floor = self._events.popleft().version
        for listener in tuple(self._listeners):
            listener(event)

    def since(self, version: int) -> list[Event]:
        """Return the events after a version.

        Raises:
            ApiError: 410, some of them are forgotten.
        """
        if version < self._floor:
            raise expired(f"too old resource version: {version} ({self._floor})")
        start = bisect.bisect_right(self._events, version, key=attrgetter("version"))
        return list(islice(self._events, start, None))

    def forget(self, version: int) -> None:
        """Drop every event up to a version, as a compaction does."""
        self._floor = max(self._floor, version)
        while self._events and self._events[0].version <= version:
            self._events.popleft()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for every event from now on; the returned function ends that."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)
