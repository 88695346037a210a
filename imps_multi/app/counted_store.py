"""The state store, with every write counted: what lies in it decides what a restart mints and what it remembers.

Whoever writes goes on without the store and tries again, so that nothing else would show that it is full or away. Built
by the assembly around the hub's store; feeds the metrics.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from imps_multi.ports import PortError, Section, StateStore


class Count(Protocol):
    """Takes in how a write of state ended."""

    def __call__(self, *, ok: bool) -> None:
        """Count it."""


class CountedStore:
    """A store whose writes and deletions are counted."""

    def __init__(self, store: StateStore, count: Count) -> None:
        self._store = store
        self._count = count

    async def load(self, section: Section) -> Mapping[str, bytes]:
        """Return what the store has."""
        return await self._store.load(section)

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Write one item. Raises as the store does."""
        await self._counted(lambda: self._store.save(section, key, content))

    async def delete(self, section: Section, key: str) -> None:
        """Take one item away. Raises as the store does."""
        await self._counted(lambda: self._store.delete(section, key))

    async def _counted(self, write: Callable[[], Awaitable[None]]) -> None:
        try:
            await write()
        except PortError:
            self._count(ok=False)
            raise
        self._count(ok=True)
