"""The unfinished pods of a fake cluster, and what a watch of them would show."""

from collections.abc import Mapping

from imps_multi.model.choosing import rules_matched
from imps_multi.model.names import NamespaceName
from imps_multi.model.observed import WatchEvent
from imps_multi.model.pods import PodGone, PodsAsked, PodSeen, PodsReplaced

Pod = tuple[Mapping[str, str], Mapping[str, str]]
"""Labels and annotations."""


class FakePods:
    """By namespace and name."""

    def __init__(self) -> None:
        self.there: dict[tuple[str, str], Pod] = {}

    def put(self, namespace: str, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        """Create or change one."""
        self.there[namespace, name] = labels, annotations

    def remove(self, namespace: str, name: str) -> None:
        """Take one away."""
        del self.there[namespace, name]

    def picture(self, asked: PodsAsked, version: int) -> WatchEvent:
        """Return everything that matches."""
        found = ((NamespaceName(space), name, rules_matched(asked, *pod)) for (space, name), pod in self.there.items())
        return PodsReplaced(asked, tuple(one for one in found if one[2]), version)

    def event(self, asked: PodsAsked, namespace: str, name: str, version: int) -> WatchEvent:
        """Return what a watch tells of a pod that changed."""
        pod = self.there.get((namespace, name))
        matches = rules_matched(asked, *pod) if pod is not None else 0
        if matches:
            return PodSeen(asked, NamespaceName(namespace), name, matches, version)
        return PodGone(asked, NamespaceName(namespace), name, version)
