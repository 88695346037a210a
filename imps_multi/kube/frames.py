"""What a list or a watch says, one frame at a time, whatever kind of object it is about.

``decode`` and ``hub_objects`` read bytes into these, each with events of its own; ``reflector`` makes one stream of
events of them and never looks into an event.
"""

from collections.abc import Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from imps_multi.kube.answers import Status

E = TypeVar("E")


class Seen(Struct, Generic[E], frozen=True):
    """An object is there."""

    key: Hashable
    version: int
    event: E


class Lost(Struct, Generic[E], frozen=True):
    """An object went."""

    key: Hashable
    version: int
    event: E


class Bookmark(Struct, frozen=True, gc=False):
    """Nothing changed up to this version. ``ends_list``: everything that was there has been sent."""

    version: int
    ends_list: bool = False


class Fault(Struct, frozen=True):
    """The server ends the watch, and says why."""

    status: Status


Change = Seen[E] | Lost[E] | Bookmark
Frame = Seen[E] | Lost[E] | Bookmark | Fault


class Page(Struct, Generic[E], frozen=True):
    """One page of a list, whose items are read one by one (None: not asked for), and where the list goes on."""

    items: Iterable[Seen[E] | None]
    version: int
    token: str


class Reader(Protocol[E]):
    """One watched kind. ``query`` narrows every request; ``words`` names the kind in messages.

    ``initial_accept``: the form in which a WatchList sends what is there; ``watch_accept``: that of the changes.
    """

    words: str
    path: str
    query: str
    initial_accept: str
    watch_accept: str
    list_accept: str

    def frame(self, line: bytes, *, live: bool) -> Frame[E]:
        """Read a line of a watch; ``live`` once the initial list is complete. Raises msgspec.DecodeError."""

    def page(self, body: bytes) -> Page[E]:
        """Read a page of a list. Raises msgspec.DecodeError."""

    def replaced(self, seen: Iterable[E], version: int, *, reset: bool) -> E:
        """Return the event for a whole list."""

    def forget(self) -> None:
        """Let go of what only served a whole list."""
