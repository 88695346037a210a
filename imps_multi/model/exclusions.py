"""Which policies are kept out of which namespaces by an exclusion alone: counted for the status. Pure, one writer."""

from collections import Counter
from collections.abc import Mapping

from imps_multi.model.names import NamespaceName, PolicyName

_NOBODY: frozenset[PolicyName] = frozenset()


class Exclusions:
    """What was last said of each namespace, and the sums by policy."""

    def __init__(self) -> None:
        self._excluded: dict[NamespaceName, frozenset[PolicyName]] = {}
        self._sums: Counter[PolicyName] = Counter()

    def note(self, namespace: NamespaceName, excluded: frozenset[PolicyName]) -> None:
        """Take in who is kept out of a namespace now."""
        before = self._excluded.get(namespace, _NOBODY)
        if excluded == before:
            return
        self._sums.update(excluded - before)
        self._sums.subtract(before - excluded)
        self._sums = +self._sums
        if excluded:
            self._excluded[namespace] = excluded
        else:
            del self._excluded[namespace]

    def of_policies(self, names: frozenset[PolicyName]) -> set[NamespaceName]:
        """Return the namespaces out of which any of these policies is kept."""
        return {namespace for namespace, excluded in self._excluded.items() if not excluded.isdisjoint(names)}

    def sums(self) -> Mapping[PolicyName, int]:
        """Return the counts by policy."""
        return self._sums
