"""Equal values made one object: the labels of ten thousand namespaces are a handful of tuples.

One per watched kind, emptied when a whole list is complete and when it grows large, so that it never keeps what nobody
else holds for long.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, TypeVar

from imps_multi.model.observed import Pairs

H = TypeVar("H", bound=Hashable)
M = TypeVar("M")

LARGEST: Final = 10_000


class Interner:
    """Hands back the first of equals."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Hashable] = {}
        self._made: dict[Hashable, object] = {}

    def one(self, value: H) -> H:
        """Return the object that stands for all that equal this one."""
        if len(self._kept) >= LARGEST:
            self._kept.clear()
        return self._kept.setdefault(value, value)  # type: ignore[return-value]  # equals of these kinds share a type

    def made(self, key: Hashable, make: Callable[[], M]) -> M:
        """Return what was made for an equal key before, or make it. A key tells what it is for, and no secret."""
        known = self._made.get(key)
        if known is None:
            if len(self._made) >= LARGEST:
                self._made.clear()
            known = self._made[key] = make()
        return known  # type: ignore[return-value]  # a key is only ever used for one type

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._made.clear()

    def pairs(self, mapping: Mapping[str, str] | None, *, without: Iterable[str] = ()) -> Pairs:
        """Return the sorted pairs of a mapping, less some keys."""
        if not mapping:
            return ()
        kept = sorted(item for item in mapping.items() if item[0] not in without)
        return self.one(tuple(self.one((self.one(key), self.one(value))) for key, value in kept))
