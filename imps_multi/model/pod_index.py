"""The pods that one watch shows: by namespace and name, which of its rules each matches.

Filled by ``pods_fold`` alone. One short text and one small number per pod that matches; an event that changes nothing
costs two look-ups. Events of one watch come in order, so one version for all of it tells which are late.
"""

from collections.abc import Mapping

from imps_multi.model.names import NamespaceName
from imps_multi.model.pods import PodsAsked, PodsReplaced


class PodIndex:
    """One watch's pods. ``masks``: which rules hold in a namespace, where any does."""

    def __init__(self, asked: PodsAsked) -> None:
        self.asked = asked
        self.listed = False
        """A whole list came in at some time."""
        self.synced = False
        """The watch goes on since."""
        self.masks: dict[NamespaceName, int] = {}
        self._pods: dict[NamespaceName, dict[str, int]] = {}
        self._version = 0
        self._seen = [0] * len(asked.rules)
        """The version up to which each rule's pods were seen."""

    def put(self, namespace: NamespaceName, name: str, matches: int, version: int) -> int:
        """Set what a pod matches, 0 for one that is gone; return the rules that flipped for its namespace."""
        if not self.listed or version < self._version:
            return 0
        self._version = version
        pods = self._pods.get(namespace)
        before = pods.get(name, 0) if pods else 0
        if matches | before:
            self._date(matches | before, version)
        if matches == before:
            return 0
        if matches:
            self._pods.setdefault(namespace, {})[name] = matches
        elif pods is not None:
            del pods[name]
            if not pods:
                del self._pods[namespace]
        return self._combine(namespace, gained=matches & ~before, lost=before & ~matches)

    def replace(self, event: PodsReplaced) -> Mapping[NamespaceName, int]:
        """Swap everything in one move; return what flipped by namespace."""
        before = self.masks
        self.clear()
        for namespace, name, matches in event.pods:
            self._pods.setdefault(namespace, {})[name] = matches
            self.masks[namespace] = self.masks.get(namespace, 0) | matches
        self.listed = self.synced = True
        self._version = event.resource_version
        self._seen = [event.resource_version] * len(self.asked.rules)
        both = before.keys() | self.masks.keys()
        flips = {namespace: before.get(namespace, 0) ^ self.masks.get(namespace, 0) for namespace in both}
        return {namespace: flipped for namespace, flipped in flips.items() if flipped}

    def clear(self) -> None:
        """Forget everything."""
        self.listed = self.synced = False
        self.masks, self._pods = {}, {}

    def seen(self, bit: int) -> int:
        """Return the version up to which the pods of a rule were seen."""
        return self._seen[bit.bit_length() - 1]

    def where(self, bit: int) -> set[NamespaceName]:
        """Return the namespaces in which a rule holds."""
        return {namespace for namespace, mask in self.masks.items() if mask & bit}

    def example(self, namespace: NamespaceName, bit: int) -> str | None:
        """Name a pod that matches a rule."""
        return next((name for name, mask in self._pods.get(namespace, {}).items() if mask & bit), None)

    def _date(self, rules: int, version: int) -> None:
        while rules:
            self._seen[rules.bit_length() - 1] = version
            rules &= ~(1 << (rules.bit_length() - 1))

    def _combine(self, namespace: NamespaceName, *, gained: int, lost: int) -> int:
        before = self.masks.get(namespace, 0)
        mask = before | gained
        if lost:
            most, mask = mask, 0
            for matches in self._pods.get(namespace, {}).values():
                mask |= matches
                if mask == most:
                    break
        if mask:
            self.masks[namespace] = mask
        else:
            self.masks.pop(namespace, None)
        return before ^ mask
