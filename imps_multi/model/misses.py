"""Names in a policy's selection that no namespace of a cluster has, with the nearest that there is.

Pure, one writer (the cluster's reports). Looked up again only when the policies or the names changed: at rest it costs
one hash over the names.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from imps_multi.model.matching import glob_match, is_glob, nearest_name
from imps_multi.model.names import NamespaceName, PolicyName
from imps_multi.model.view import View
from imps_multi.model.world import Standing

COMPARED: Final = 500
"""So many namespaces are compared with a name that none has."""


class Miss(Struct, frozen=True):
    """A name or glob that matches nothing in a cluster."""

    pattern: str
    nearest: str | None = None


class Misses:
    """What was found last, and for what."""

    def __init__(self) -> None:
        self._of = (-1, 0)
        self._found: Mapping[PolicyName, tuple[Miss, ...]] = {}
        self._nearest: dict[str, str | None] = {}

    def of(self, view: View, namespaces: Mapping[NamespaceName, object]) -> Mapping[PolicyName, tuple[Miss, ...]]:
        """Return what misses, by policy."""
        asked = (view.version, hash(frozenset(namespaces)))
        if asked != self._of:
            if asked[1] != self._of[1]:
                self._nearest = {}
            self._of, self._found = asked, dict(self._find(view, namespaces))
        return self._found

    def _find(
        self, view: View, namespaces: Mapping[NamespaceName, object]
    ) -> Iterator[tuple[PolicyName, tuple[Miss, ...]]]:
        for name, candidate in view.policies.items():
            if candidate.reaches and candidate.resolved.standing is not Standing.DELETED:
                patterns = candidate.policy.namespaces.names
                missed = [pattern for pattern in patterns if not _matches(pattern, namespaces)]
                if missed:
                    yield name, tuple(Miss(pattern, self._near(pattern, namespaces)) for pattern in missed)

    def _near(self, pattern: str, namespaces: Iterable[NamespaceName]) -> str | None:
        if pattern not in self._nearest:
            self._nearest[pattern] = nearest_name(pattern, islice(namespaces, COMPARED))
        return self._nearest[pattern]


def _matches(pattern: str, namespaces: Mapping[NamespaceName, object]) -> bool:
    return any(glob_match(pattern, name) for name in namespaces) if is_glob(pattern) else pattern in namespaces
