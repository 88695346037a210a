"""Counts of targets by policy and state, kept up as plans come in.

One writer (the cluster's book). Pure: what is counted is what was last said of each namespace and Secret name.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TypeVar

from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.report import PolicyTally, Trouble
from imps_multi.model.target_plan import Line, State

Where = tuple[NamespaceName, SecretName]
SHOWN_TROUBLES = 5
Key = TypeVar("Key")
TROUBLED = frozenset({State.FAILED, State.CONFLICT})
_REASONED = frozenset({State.PENDING, State.IN_SYNC})
"""States that are trouble where there is a reason to say."""
_NO_LINE = Line(PolicyName(""), State.PENDING, desired=False)
"""Stands for none where two are compared."""


class Tally:
    """The last lines of every target, and their sums."""

    def __init__(self) -> None:
        self._lines: dict[SecretName, dict[NamespaceName, tuple[Line, ...]]] = {}
        self._sums: dict[PolicyName, _Sum] = {}
        self._interned: dict[tuple[Line, ...], tuple[Line, ...]] = {}
        self._targets = 0
        self.changes = 0
        """Grows whenever a sum may have changed."""
        self.owned_changes = 0
        """Grows whenever the number of targets of ours changed."""

    def lines(self, where: Where) -> tuple[Line, ...]:
        """Return what was last said of a target."""
        namespace, name = where
        there = self._lines.get(name)
        return there.get(namespace, ()) if there is not None else ()

    def record(self, where: Where, lines: tuple[Line, ...]) -> None:
        """Take in what is said of a target now; nothing at all forgets it."""
        before = self.lines(where)
        if before == lines:
            return
        self.changes += 1
        self._count(where, before, lines)
        namespace, name = where
        if lines:
            self._lines.setdefault(name, {})[namespace] = self._interned.setdefault(lines, lines)
        else:
            self._lines[name].pop(namespace)
        self._targets += bool(lines) - bool(before)
        if len(self._interned) > 2 * self._targets + 1024:
            self._interned = {kept: kept for there in self._lines.values() for kept in there.values()}

    def forget(self, name: SecretName) -> None:
        """Drop everything that was said of a Secret name."""
        for namespace in list(self._lines.get(name, ())):
            self.record((namespace, name), ())
        self._lines.pop(name, None)

    def places(self) -> Iterator[tuple[Where, tuple[Line, ...]]]:
        """Walk over every target."""
        for name, there in self._lines.items():
            for namespace, lines in there.items():
                yield (namespace, name), lines

    def of_policies(self, names: frozenset[PolicyName]) -> set[NamespaceName]:
        """Return the namespaces in which anything was said of these policies."""
        return {place for name in names if name in self._sums for place in self._sums[name].places}

    def owned(self) -> Mapping[PolicyName, int]:
        """Return how many targets lie there by policy, wanted or not."""
        return {name: one.owned for name, one in self._sums.items() if one.owned}

    def sums(self) -> Mapping[PolicyName, PolicyTally]:
        """Return the counts by policy."""
        return {name: one.tally() for name, one in self._sums.items() if one.places}

    def _count(self, where: Where, before: tuple[Line, ...], after: tuple[Line, ...]) -> None:
        if len(before) == len(after) == 1 and before[0].policy == after[0].policy:  # as nearly always
            self.owned_changes += self._sums[after[0].policy].change(where, before[0], after[0])
            return
        old = {line.policy: line for line in before}
        for line in after:
            total = self._sums.get(line.policy)
            if total is None:
                total = self._sums[line.policy] = _Sum()
            self.owned_changes += total.change(where, old.pop(line.policy, None), line)
        for policy, line in old.items():
            self.owned_changes += self._sums[policy].change(where, line, None)


class _Sum:
    """One policy's running counts; the frozen form is remembered until something changes."""

    def __init__(self) -> None:
        self.places: dict[NamespaceName, int] = {}
        """How many of its lines there are in a namespace."""
        self.owned = 0
        self._unwanted: dict[NamespaceName, int] = {}
        """How many of those are not desired."""
        self._desired = 0
        self._states: dict[State, int] = {}
        self._expiries: dict[float, int] = {}
        self._reasons: dict[str, int] = {}
        self._troubled: dict[Where, Line] = {}
        self._namespaces: frozenset[NamespaceName] | None = None
        self._known: PolicyTally | None = None

    def change(self, where: Where, old: Line | None, new: Line | None) -> bool:
        """Count a target's new line instead of its old one; say whether a target of ours came or went."""
        self._known = None
        if old is None or new is None or old.desired != new.desired:
            self._move(where[0], old, new)
        was, now = old or _NO_LINE, new or _NO_LINE
        _shift(self._states, None if old is None else old.state, None if new is None else new.state)
        _shift(self._expiries, was.expires_at, now.expires_at)
        _shift(self._reasons, was.reason or None, now.reason or None)
        self.owned += now.there - was.there
        if new is not None and _is_trouble(new):
            self._troubled[where] = new
        elif self._troubled:
            self._troubled.pop(where, None)
        return now.there != was.there

    def _move(self, namespace: NamespaceName, old: Line | None, new: Line | None) -> None:
        """Count where lines are, and which of them are desired."""
        wanted_before = self._wanted(namespace)
        for line, by in ((new, 1), (old, -1)):
            if line is not None:
                _bump(self.places, namespace, by)
                self._desired += by * line.desired
                if not line.desired:
                    _bump(self._unwanted, namespace, by)
        if wanted_before != self._wanted(namespace):
            self._namespaces = None

    def _wanted(self, namespace: NamespaceName) -> bool:
        return self.places.get(namespace, 0) > self._unwanted.get(namespace, 0)

    def tally(self) -> PolicyTally:
        """Return the counts as they stand."""
        if self._known is None:
            self._known = self._frozen()
        return self._known

    def _frozen(self) -> PolicyTally:
        if self._namespaces is None:
            self._namespaces = frozenset(filter(self._wanted, self.places))
        troubles = tuple(
            Trouble(where[0], where[1], line.reason or line.state.value, line.message)
            for where, line in islice(self._troubled.items(), SHOWN_TROUBLES)
        )
        count = self._states.get
        return PolicyTally(
            desired=self._desired,
            in_sync=count(State.IN_SYNC, 0),
            pending=count(State.PENDING, 0),
            failed=count(State.FAILED, 0),
            conflict=count(State.CONFLICT, 0),
            lingering=count(State.LINGERING, 0),
            held=count(State.HELD, 0),
            expires_at=min(self._expiries, default=None),
            reasons=dict(self._reasons),
            troubles=troubles,
            namespaces=self._namespaces,
        )


def _is_trouble(line: Line) -> bool:
    return line.state in TROUBLED or (line.reason != "" and line.state in _REASONED)


def _shift(counter: dict[Key, int], old: Key | None, new: Key | None) -> None:
    """Count one thing instead of another; None is not counted."""
    if old == new:
        return
    if new is not None:
        _bump(counter, new, 1)
    if old is not None:
        _bump(counter, old, -1)


def _bump(counter: dict[Key, int], key: Key, by: int) -> None:
    count = counter.get(key, 0) + by
    if count:
        counter[key] = count
    else:
        del counter[key]
