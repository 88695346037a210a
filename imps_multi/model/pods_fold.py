"""The fold over pods: which rules hold in which namespace of one cluster.

One writer (the cluster's book). Each watch has an index of its own. When the rules change, new indexes are filled
beside the old ones; an old one answers a rule until the new one is complete and has caught up with it, so that no pod
is lost sight of in between. A rule that no index answers yet is unknown, which is not the same as no.
"""

from collections.abc import Collection, Mapping
from typing import assert_never

from msgspec import Struct

from imps_multi.model.names import NamespaceName
from imps_multi.model.pod_index import PodIndex
from imps_multi.model.pods import PodEvent, PodGone, PodsAsked, PodSeen, PodsReplaced, pod_watches
from imps_multi.model.selection import PodRule


class Shift(Struct, frozen=True):
    """What became different: namespaces in which a rule holds or does not, rules that are known now or not any more."""

    namespaces: frozenset[NamespaceName] = frozenset()
    rules: frozenset[PodRule] = frozenset()


NO_SHIFT = Shift()


class Pods:
    """What is known of the pods of one cluster."""

    def __init__(self) -> None:
        self.watches: Mapping[PodsAsked, int] = {}
        """The watches to run, each with a number of its own; another object whenever they are others."""
        self.forbidden: dict[PodsAsked, str] = {}
        """Watches that are not allowed, with what was refused."""
        self._rules: frozenset[PodRule] = frozenset()
        self._wanted: dict[PodRule, PodsAsked] = {}
        """By which watch each rule in force is to be answered."""
        self._indexes: dict[PodsAsked, PodIndex] = {}
        self._serving: dict[PodRule, tuple[PodIndex, int]] = {}
        """Which index answers a rule, and its bit there."""
        self._settled = True
        """Every rule is answered by the index that is to."""
        self._started = 0

    def ask(self, rules: frozenset[PodRule]) -> Shift:
        """Set the rules in force."""
        if rules == self._rules:
            return NO_SHIFT
        self._rules = rules
        wanted = pod_watches(rules)
        self._wanted = {rule: asked for asked in wanted for rule in asked.rules}
        self._serving = {rule: served for rule, served in self._serving.items() if rule in rules}
        for asked in wanted - self._indexes.keys():
            self._indexes[asked] = PodIndex(asked)
        return self._settle()

    def apply(self, event: PodEvent) -> Shift:
        """Take one event in."""
        index = self._indexes.get(event.asked)
        if index is None:
            return NO_SHIFT
        match event:
            case PodSeen(namespace=namespace, name=name, matches=matches, resource_version=version):
                return self._after(index, namespace, index.put(namespace, name, matches, version))
            case PodGone(namespace=namespace, name=name, resource_version=version):
                return self._after(index, namespace, index.put(namespace, name, 0, version))
            case PodsReplaced():
                return self._replace(index, event)
            case _:
                assert_never(event)

    def holds(self, rule: PodRule, namespace: NamespaceName) -> bool | None:
        """Say whether an unfinished pod there matches a rule; None where that is not known."""
        served = self._serving.get(rule)
        if served is None:
            return None
        index, bit = served
        return bool(index.masks.get(namespace, 0) & bit)

    def example(self, rule: PodRule, namespace: NamespaceName) -> str | None:
        """Name one pod that matches."""
        served = self._serving.get(rule)
        return None if served is None else served[0].example(namespace, served[1])

    @property
    def listed(self) -> bool:
        """Whether every rule in force is answered by a watch that is whole now, or that is not allowed."""
        return all(asked in self.forbidden or self._complete(rule, asked) for rule, asked in self._wanted.items())

    def refusal(self, rules: Collection[PodRule]) -> str:
        """Return why some of these rules cannot be answered; empty where they can, or are only waited for."""
        refused = (self.forbidden.get(self._wanted[rule], "") for rule in rules if rule in self._wanted)
        return next(filter(None, refused), "")

    def unsync(self) -> None:
        """Contact was lost: what is known stays as the last known, and is not whole any more."""
        for index in self._indexes.values():
            index.synced = False

    def unsync_watch(self, asked: PodsAsked) -> None:
        """One watch broke."""
        if asked in self._indexes:
            self._indexes[asked].synced = False

    def forbid(self, asked: PodsAsked, message: str) -> Shift:
        """Take in that a watch is not allowed: nobody will say when pods come and go, so nothing is known of them."""
        index = self._indexes.get(asked)
        if index is None:
            return NO_SHIFT
        if asked in self._wanted.values():
            self.forbidden[asked] = message
        lost = frozenset(rule for rule, (serving, _) in self._serving.items() if serving is index)
        for rule in lost:
            del self._serving[rule]
        index.clear()
        shift = self._settle()
        return Shift(shift.namespaces, shift.rules | lost)

    def _complete(self, rule: PodRule, asked: PodsAsked) -> bool:
        return self._answered(rule, asked) and self._indexes[asked].synced

    def _answered(self, rule: PodRule, asked: PodsAsked) -> bool:
        served = self._serving.get(rule)
        return served is not None and served[0] is self._indexes[asked]

    def _after(self, index: PodIndex, namespace: NamespaceName, flipped: int) -> Shift:
        touched = frozenset((namespace,)) if flipped & self._served_by(index) else NO_SHIFT.namespaces
        if not self._settled:
            return self._with_settled(touched)
        return Shift(touched) if touched else NO_SHIFT

    def _replace(self, index: PodIndex, event: PodsReplaced) -> Shift:
        if self._outrun(index):
            return NO_SHIFT
        self.forbidden.pop(event.asked, None)
        flipped, bits = index.replace(event), self._served_by(index)
        return self._with_settled(frozenset(namespace for namespace, flips in flipped.items() if flips & bits))

    def _with_settled(self, touched: frozenset[NamespaceName]) -> Shift:
        shift = self._settle()
        return Shift(shift.namespaces | touched, shift.rules)

    def _served_by(self, index: PodIndex) -> int:
        return sum(bit for serving, bit in self._serving.values() if serving is index)

    def _outrun(self, index: PodIndex) -> bool:
        """Say whether an old index has successors that were listed, and wait for no more than their own streams."""
        mine = [rule for rule, (serving, _) in self._serving.items() if serving is index]
        return index.asked not in self._wanted.values() and all(
            self._indexes[self._wanted[rule]].listed for rule in mine
        )

    def _settle(self) -> Shift:
        """Let new indexes answer that have caught up, and drop what nobody needs any more."""
        touched: set[NamespaceName] = set()
        learnt: set[PodRule] = set()
        for rule, asked in self._wanted.items():
            before, index = self._serving.get(rule), self._indexes[asked]
            if not index.listed or (before is not None and before[0] is index):
                continue
            bit = 1 << asked.rules.index(rule)
            there = index.where(bit)
            if before is None:
                learnt.add(rule)
                touched |= there
            elif index.seen(bit) < before[0].seen(before[1]):
                continue  # the list was made before what the old watch has shown since; the stream will bring it
            else:
                touched |= there ^ before[0].where(before[1])
            self._serving[rule] = index, bit
        self._sweep()
        self._settled = all(self._answered(rule, asked) for rule, asked in self._wanted.items())
        return Shift(frozenset(touched), frozenset(learnt))

    def _sweep(self) -> None:
        needed = {*self._wanted.values(), *(index.asked for index, _ in self._serving.values())}
        self._indexes = {asked: index for asked, index in self._indexes.items() if asked in needed}
        wanted = set(self._wanted.values())
        self.forbidden = {asked: message for asked, message in self.forbidden.items() if asked in wanted}
        if self.watches.keys() != needed:
            self.watches = {asked: self.watches.get(asked) or self._number() for asked in needed}

    def _number(self) -> int:
        self._started += 1
        return self._started
