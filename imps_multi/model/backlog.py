"""The writes that are due in one cluster: in which namespaces, and what the last look there planned.

Pure. Filled by the book's looks, emptied by its workers. A plan is kept for the worker that follows soon, so that
nothing is planned twice; the book says when one may no longer be true.
"""

from msgspec import Struct

from imps_multi.model.names import NamespaceName
from imps_multi.model.target_plan import TargetPlan

PLAN_SECONDS = 5.0
"""So long a plan outlives the look that made it, if nothing but time has changed."""
PLANS_KEPT = 512
"""So many of them at once: the last of ten thousand would be too old by its turn."""


class Planned(Struct, frozen=True):
    """The plans of a namespace that have a write, as of a moment."""

    at: float
    plans: list[TargetPlan]


class Backlog:
    """Namespaces with a write that is due, and some of their plans."""

    def __init__(self) -> None:
        self.namespaces: set[NamespaceName] = set()
        """Where a write is due, or something is to be read first."""
        self._planned: dict[NamespaceName, Planned] = {}
        self.awaiting: set[NamespaceName] = set()
        """Where something is to be read before anything can be planned."""
        self._several: set[NamespaceName] = set()
        """Where one write is not all that is due."""

    @property
    def kept(self) -> int:
        """The number of namespaces whose plans are kept."""
        return len(self._planned)

    def add(self, namespace: NamespaceName, writes: list[TargetPlan], *, now: float, more: bool = False) -> None:
        """Take in what a look found due; what hangs on the brake is planned anew in any case.

        ``more``: something besides is due there later.
        """
        self.namespaces.add(namespace)
        self.awaiting.discard(namespace)
        if more or len(writes) > 1:
            self._several.add(namespace)
        elif self._several:
            self._several.discard(namespace)
        self._planned.pop(namespace, None)
        if len(self._planned) < PLANS_KEPT and not any(plan.wish for plan in writes):
            self._planned[namespace] = Planned(now, writes)

    def expect(self, namespace: NamespaceName) -> None:
        """Take in that something has to be read there before anything can be planned."""
        self.namespaces.add(namespace)
        self.awaiting.add(namespace)
        self._planned.pop(namespace, None)

    def ends_with_one(self, namespace: NamespaceName) -> bool:
        """Say whether nothing is due there once the one write that is has been answered."""
        return namespace in self.namespaces and namespace not in self._several and namespace not in self.awaiting

    def settle(self, namespace: NamespaceName) -> None:
        """Nothing is due there; what held all of a fan-out is given back at its end, since it does not shrink."""
        self.namespaces.discard(namespace)
        self.awaiting.discard(namespace)
        self._several.discard(namespace)
        self._planned.pop(namespace, None)
        if not self.namespaces:
            self.namespaces.clear()
            self.awaiting.clear()
            self._several.clear()
            self._planned.clear()

    def take(self, namespace: NamespaceName, *, now: float) -> list[TargetPlan] | None:
        """Hand out what is kept of a namespace, once; None where it has to be planned."""
        planned = self._planned.pop(namespace, None)
        return planned.plans if planned is not None and planned.at <= now <= planned.at + PLAN_SECONDS else None

    def outdate(self, namespace: NamespaceName | None = None) -> None:
        """Forget the plans of a namespace, or all: what they hang on has changed."""
        if namespace is None:
            self._planned.clear()
        else:
            self._planned.pop(namespace, None)
