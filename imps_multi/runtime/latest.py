"""`Latest`: a mailbox of one slot, for states of which only the newest counts.

`set` is synchronous and never blocks, however many readers there are and however slow: a reader that was away sees the
newest value and none of those between. Written by one owner, read by anyone on the same event loop. Not for things
that must each be counted, and not for use from another thread.
"""

from typing import Generic, TypeVar, overload

import anyio
from anyio.lowlevel import checkpoint

T = TypeVar("T")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)


class _Empty:
    """The type of the slot's content before the first `set`."""


_EMPTY = _Empty()


class Latest(Generic[T]):
    """One slot and a version: 0 while nothing was set, then one higher with each `set`."""

    __slots__ = ("_also", "_changed", "_value", "_version")

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, initial: T) -> None: ...
    def __init__(self, initial: T | _Empty = _EMPTY) -> None:
        self._value = initial
        self._version = 0 if isinstance(initial, _Empty) else 1
        self._changed: anyio.Event | None = None  # shared by all who wait for this cell alone
        self._also: set[anyio.Event] = set()  # those who wait for other cells too

    @property
    def version(self) -> int:
        """The number of values that were set so far."""
        return self._version

    @property
    def value(self) -> T:
        """The newest value.

        Raises:
            LookupError: nothing was set yet.
        """
        if isinstance(self._value, _Empty):
            raise LookupError("nothing was set yet")  # noqa: TRY004  # it is empty; no caller passed a wrong type
        return self._value

    @overload
    def get(self) -> T | None: ...
    @overload
    def get(self, default: D) -> T | D: ...
    def get(self, default: D | None = None) -> T | D | None:
        """Return the newest value, or `default` while nothing was set."""
        return default if isinstance(self._value, _Empty) else self._value

    def set(self, value: T) -> None:
        """Put a new value in place of the old one and wake every waiting reader."""
        self._value = value
        self._version += 1
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()
        for event in self._also:
            event.set()

    def set_if_changed(self, value: T) -> bool:
        """Set the value unless it equals the newest one; tell whether it was set."""
        if not isinstance(self._value, _Empty) and self._value == value:
            return False
        self.set(value)
        return True

    async def wait_newer(self, than: int) -> tuple[int, T]:
        """Wait for a version above `than`; return the newest version and its value."""
        if self._version > than:
            await checkpoint()
        while self._version <= than:
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()
        return self._version, self.value

    def reader(self) -> "Reader[T]":
        """Return a cursor that has seen nothing yet: its first `next` is the current value, if there is one."""
        return Reader(self)


class Reader(Generic[T_co]):
    """One reader's place in a `Latest`: what it has seen."""

    __slots__ = ("_cell", "_seen")

    def __init__(self, cell: Latest[T_co]) -> None:
        self._cell = cell
        self._seen = 0

    @property
    def seen(self) -> int:
        """The version that this reader has seen; 0 is none."""
        return self._seen

    @property
    def fresh(self) -> bool:
        """Whether there is a value that this reader has not seen."""
        return self._cell.version > self._seen

    def take(self) -> T_co:
        """Return the newest value and count it as seen, without waiting.

        Raises:
            LookupError: nothing was set yet.
        """
        value = self._cell.value
        self._seen = self._cell.version
        return value

    async def next(self) -> T_co:
        """Wait until there is a value not seen yet; return the newest."""
        self._seen, value = await self._cell.wait_newer(self._seen)
        return value


async def wait_any(*readers: Reader[object]) -> None:
    """Wait until at least one of the readers is fresh; `take` from those that are. Nothing counts as seen by this."""
    if not readers:
        raise ValueError("waiting for no reader at all would never end")
    if any(reader.fresh for reader in readers):
        await checkpoint()
        return
    event = anyio.Event()
    for reader in readers:
        reader._cell._also.add(event)  # noqa: SLF001  # one module, one mechanism
    try:
        await event.wait()
    finally:
        for reader in readers:
            reader._cell._also.discard(event)  # noqa: SLF001  # as above
