"""Pods as far as they select namespaces: which watches are needed, and what these tell.

Values and one pure function. Of a pod nothing is kept but its name and which rules it matches; one that matches none is
not kept at all. Finished pods (Succeeded, Failed) are never told of. Made by the adapter, folded by ``pods_fold``.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from imps_multi.model.names import NamespaceName
from imps_multi.model.selection import PodField, PodRule, Selector

MOST_SELECTIVE_WATCHES: Final = 8
"""So many label rules have a watch each, which the server narrows; more share one over all unfinished pods."""


class PodsAsked(Struct, frozen=True, cache_hash=True):
    """One watch over pods: the rules that it answers. A pod's matches are a number, bit N for ``rules[N]``."""

    rules: tuple[PodRule, ...]

    @property
    def selector(self) -> Selector | None:
        """The label selector by which the server may narrow this watch."""
        alone = self.rules[0] if len(self.rules) == 1 else None
        narrow = alone is not None and alone.field is PodField.LABELS and bool(alone.selector.requirements)
        return alone.selector if alone is not None and narrow else None


class PodSeen(Struct, frozen=True, gc=False):
    """A pod is there; ``matches`` is not 0."""

    asked: PodsAsked
    namespace: NamespaceName
    name: str
    matches: int
    resource_version: int


class PodGone(Struct, frozen=True, gc=False):
    """A pod was deleted, finished, or matches nothing (any more)."""

    asked: PodsAsked
    namespace: NamespaceName
    name: str
    resource_version: int


class PodsReplaced(Struct, frozen=True):
    """A whole list: namespace, name and matches of each pod that matches anything."""

    asked: PodsAsked
    pods: tuple[tuple[NamespaceName, str, int], ...]
    resource_version: int


PodEvent = PodSeen | PodGone | PodsReplaced


def pod_watches(rules: Iterable[PodRule]) -> frozenset[PodsAsked]:
    """Return the watches that answer these rules: one per label rule while all can be narrowed, else one for all."""
    asked = sorted(frozenset(rules), key=_order)
    alone = frozenset(PodsAsked((rule,)) for rule in asked)
    if len(alone) <= MOST_SELECTIVE_WATCHES and all(one.selector is not None for one in alone):
        return alone
    return frozenset((PodsAsked(tuple(asked)),))


def _order(rule: PodRule) -> tuple[object, ...]:
    terms = ((one.key, one.operator.value, tuple(sorted(one.values))) for one in rule.selector.requirements)
    return rule.field.value, tuple(terms)
