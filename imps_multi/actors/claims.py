"""Which configured name holds which cluster: one identity, one holder.

Shared by the clusters' actors on one event loop. The entry that first proved an identity holds it until it leaves the
configuration; at a tie the one that stands earlier in the file.
"""

from collections.abc import Iterable

import anyio

from imps_multi.model.names import ClusterName, Uid

TIE_SECONDS = 0.5


class Claims:
    """Holders by identity. ``order``: the configured names as they stand in the file."""

    def __init__(self) -> None:
        self._holders: dict[Uid, ClusterName] = {}
        self._order: dict[ClusterName, int] = {}
        self._unproven: set[ClusterName] = set()
        self._moved = anyio.Event()

    def configure(self, order: Iterable[ClusterName]) -> None:
        """Set the fleet; what a cluster that left had held is free again."""
        names = list(order)
        new = set(names) - self._order.keys()
        self._order = {name: place for place, name in enumerate(names)}
        self._holders = {uid: name for uid, name in self._holders.items() if name in self._order}
        self._unproven = (self._unproven | new) & set(names)
        self._move()

    def tried(self, name: ClusterName) -> None:
        """Record that a cluster answered, or failed to, for the first time."""
        self._unproven.discard(name)
        self._move()

    async def claim(self, uid: Uid, name: ClusterName) -> ClusterName | None:
        """Take an identity; return None when it is ours now, else who holds it.

        Waits a moment for entries that stand earlier in the file and have not proved anything yet. Whatever else the
        name held is free again: it is another cluster now.
        """
        self._holders = {held: holder for held, holder in self._holders.items() if holder != name or held == uid}
        with anyio.move_on_after(TIE_SECONDS):
            while uid not in self._holders and self._earlier_unproven(name):
                await self._moved.wait()
        holder = self._holders.setdefault(uid, name)
        self.tried(name)
        return None if holder == name else holder

    def _earlier_unproven(self, name: ClusterName) -> bool:
        mine = self._order.get(name, 0)
        return any(self._order[other] < mine for other in self._unproven)

    def _move(self) -> None:
        moved, self._moved = self._moved, anyio.Event()
        moved.set()
