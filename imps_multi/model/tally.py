"""Counts of targets by policy and state, kept up as plans come in.

One writer (the cluster's book). Pure: what is counted is what was last said of each namespace and Secret name.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.report import PolicyTally, Trouble
from imps_multi.model.target_plan import Line, State

Where = tuple[NamespaceName, SecretName]
SHOWN_TROUBLES = 5
TROUBLED = frozenset({State.FAILED, State.CONFLICT})


class Tally:
    """The last lines of every target, and their sums."""

    def __init__(self) -> None:
        self._lines: dict[Where, tuple[Line, ...]] = {}
        self._sums: dict[PolicyName, _Sum] = {}
        self._interned: dict[tuple[Line, ...], tuple[Line, ...]] = {}
        self.changes = 0
        """Grows whenever a sum may have changed."""

    def lines(self, where: Where) -> tuple[Line, ...]:
        """Return what was last said of a target."""
        return self._lines.get(where, ())

    def record(self, where: Where, lines: tuple[Line, ...]) -> None:
        """Take in what is said of a target now; nothing at all forgets it."""
        before = self._lines.get(where, ())
        if before == lines:
            return
        self.changes += 1
        for line in before:
            self._sums[line.policy].take_away(where, line)
        for line in lines:
            self._sums.setdefault(line.policy, _Sum()).add(where, line)
        if lines:
            self._lines[where] = self._interned.setdefault(lines, lines)
        else:
            self._lines.pop(where, None)
        if len(self._interned) > 2 * len(self._lines) + 1024:
            self._interned = {kept: kept for kept in self._lines.values()}

    def places(self) -> Iterator[tuple[Where, tuple[Line, ...]]]:
        """Walk over every target."""
        yield from self._lines.items()

    def of_policies(self, names: frozenset[PolicyName]) -> set[NamespaceName]:
        """Return the namespaces in which anything was said of these policies."""
        return {place[0] for name in names if name in self._sums for place in self._sums[name].places}

    def sums(self) -> Mapping[PolicyName, PolicyTally]:
        """Return the counts by policy."""
        return {name: one.tally() for name, one in self._sums.items() if one.places}


class _Sum:
    """One policy's running counts; the frozen form is remembered until something changes."""

    def __init__(self) -> None:
        self.places: dict[Where, Line] = {}
        self._states: Counter[State] = Counter()
        self._desired: Counter[NamespaceName] = Counter()
        self._expiries: Counter[float] = Counter()
        self._reasons: Counter[str] = Counter()
        self._troubled: dict[Where, Line] = {}
        self._namespaces: frozenset[NamespaceName] | None = None
        self._known: PolicyTally | None = None

    def add(self, where: Where, line: Line) -> None:
        self.places[where] = line
        self._count(where, line, 1)
        if line.state in TROUBLED or line.reason:
            self._troubled[where] = line

    def take_away(self, where: Where, line: Line) -> None:
        self.places.pop(where, None)
        self._troubled.pop(where, None)
        self._count(where, line, -1)

    def _count(self, where: Where, line: Line, by: int) -> None:
        self._known = None
        _bump(self._states, line.state, by)
        if line.desired:
            if (where[0] in self._desired) != (by > 0) or self._desired[where[0]] + by == 0:
                self._namespaces = None
            _bump(self._desired, where[0], by)
        if line.expires_at is not None:
            _bump(self._expiries, line.expires_at, by)
        if line.reason:
            _bump(self._reasons, line.reason, by)

    def tally(self) -> PolicyTally:
        if self._known is None:
            self._known = self._frozen()
        return self._known

    def _frozen(self) -> PolicyTally:
        if self._namespaces is None:
            self._namespaces = frozenset(self._desired)
        troubles = tuple(
            Trouble(where[0], where[1], line.reason or line.state.value, line.message)
            for where, line in zip(self._troubled, self._troubled.values(), strict=True)
        )[:SHOWN_TROUBLES]
        return PolicyTally(
            desired=self._desired.total(),
            in_sync=self._states[State.IN_SYNC],
            pending=self._states[State.PENDING],
            failed=self._states[State.FAILED],
            conflict=self._states[State.CONFLICT],
            lingering=self._states[State.LINGERING],
            held=self._states[State.HELD],
            expires_at=min(self._expiries, default=None),
            reasons=dict(self._reasons),
            troubles=troubles,
            namespaces=self._namespaces,
        )


def _bump(counter: Counter, key: object, by: int) -> None:  # type: ignore[type-arg]  # one function for every key type
    counter[key] += by
    if not counter[key]:
        del counter[key]
