"""A day of token keepers, and its judge: clocks that lie, registries that fail, and what must hold all the same.

The judge looks from outside, in true time: when the registry was asked, what it answered, which token was in force. Its
numbers are its own. ``Day`` holds what happens to the process, ``Registry`` one identity's endpoint, ``Record`` what
was seen of one keeper.
"""

import math
import random
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from imps_multi.model.credential import MintedToken
from imps_multi.model.upkeep import Moment

EPOCH = 1_900_000_000.0
LENGTH = 86_400.0
SKEW = 300.0
"""A registry that gives absolute ends refuses a caller whose clock is off by more, as a signature's check does."""
LATENCY = 0.2
LOOK = 60.0
"""How soon a process looks at its clocks again."""


@dataclass
class Day:
    """Steps of the wall clock (when, by how much), and suspends (from, to, whether the steady clock stands still)."""

    steps: tuple[tuple[float, float], ...] = ()
    suspends: tuple[tuple[float, float, bool], ...] = ()

    def offset(self, true: float) -> float:
        """Return by how much the wall clock is wrong."""
        return sum([by for at, by in self.steps if at <= true])

    def moment(self, true: float) -> Moment:
        """Return what the process's clocks show."""
        stood = sum([min(true, end) - begin for begin, end, stands in self.suspends if stands and begin < true])
        return Moment(EPOCH + true + self.offset(true), 1000.0 + true - stood)

    def wake(self, true: float, pause: float) -> float:
        """Return when a process that rests for so long on its steady clock goes on."""
        end = true + pause
        for begin, until, stands in self.suspends:
            if true <= begin < end:
                end = end + until - begin if stands else max(end, until)
        return end

    def awake(self, true: float) -> float:
        """Return when the process goes on that would go on then: at the end of a suspend, if it is in one."""
        return max([until for begin, until, _ in self.suspends if begin < true < until], default=true)

    def next_trouble(self, true: float) -> float:
        """Return when the next step or suspend begins."""
        return min([at for at, *_ in (*self.steps, *self.suspends) if at > true], default=math.inf)

    def excuses(self) -> list[tuple[float, float]]:
        """Return when nobody can know better: asleep, or not yet aware of it; and at the start."""
        woken = [(begin, end + LOOK + 1) for begin, end, _ in self.suspends]
        return [(0.0, 25.0), *woken, *((at, at + LOOK + 1) for at, _ in self.steps)]


@dataclass
class Issued:
    """One token: its issue and its end in true time."""

    number: int
    issued: float
    end: float


@dataclass
class Registry:
    """Answers one identity. ``caching``: hands out the same token until so many seconds of it are left."""

    rand: random.Random
    life: float
    flaky: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    caching: float | None = None
    absolute: bool = False
    tokens: list[Issued] = field(default_factory=list)

    def ask(self, true: float, wall: float) -> tuple[Issued, MintedToken] | None:
        """Return a token as the process sees it, or None for a failure."""
        away = any(begin <= true < end for begin, end in self.outages)
        skewed = self.absolute and abs(wall - EPOCH - true) > SKEW
        if away or skewed or (self.flaky and self.rand.random() < self.flaky):
            return None
        last = self.tokens[-1] if self.tokens else None
        if last is None or self.caching is None or last.end - true <= self.caching:
            last = Issued(len(self.tokens), true, true + self.life)
            self.tokens.append(last)
        end = EPOCH + last.end if self.absolute else wall + last.end - true
        return last, MintedToken("AWS", f"token-{last.number}", wall, end)

    @property
    def latest(self) -> float:
        """Return how long before a token's end it must not be in force any more."""
        return self.life / 4 if self.caching is None else min(self.life / 4, self.caching / 4)


@dataclass
class Call:
    """When it was asked, what was in force, whether it was forced, what came; and by how much clocks misled.

    ``misled``: by so much the wall clock may be ahead of, or behind, the one by which the token in force was issued.
    """

    at: float
    in_force: Issued | None
    given: Issued | None
    forced: bool
    misled: float


@dataclass
class Record:
    """One keeper's day, and its judge."""

    registry: Registry
    day: Day
    calls: list[Call] = field(default_factory=list)

    @property
    def taken(self) -> list[tuple[float, Issued]]:
        """Return when which token came into force."""
        found: list[tuple[float, Issued]] = []
        for call in self.calls:
            if call.given is not None and (not found or found[-1][1] is not call.given):
                found.append((call.at + LATENCY, call.given))
        return found

    def late(self, until: float = LENGTH) -> list[tuple[float, float]]:
        """Return when a token was in force too near its end without an excuse: from, to."""
        excuses = sorted([*self.day.excuses(), *self._failures()])
        taken = self.taken
        ends = [at for at, _ in taken[1:]] + [until]
        spans = [(one.end - self.registry.latest, end) for (_, one), end in zip(taken, ends, strict=True)]
        first = [(0.0, taken[0][0] if taken else until)]
        return [found for begin, end in first + spans for found in _uncovered(begin, min(end, until), excuses)]

    def _failures(self) -> list[tuple[float, float]]:
        """Return from when to when each failed call is an excuse: until the next try is due."""
        found, count = [], 0
        for call in self.calls:
            count = self._in_a_row(call, count)
            if count:
                found.append((call.at, call.at + LATENCY + self._longest_rest(call, count) + 0.1))
        return found

    def _in_a_row(self, call: Call, before: int) -> int:
        """Return which failure in a row a call is; one in which the machine fell asleep begins a new row."""
        asleep = any(call.at < begin < call.at + LATENCY for begin, _, _ in self.day.suspends)
        return 0 if call.given is not None else 1 if asleep else before + 1

    def _longest_rest(self, call: Call, count: int) -> float:
        left = math.inf
        if call.in_force is not None and call.misled <= LOOK:
            left = abs(call.in_force.end - call.at) + call.misled
        return float(min(300.0, 2.0 ** min(count - 1, 20), max(5.0, left / 3)))

    def rested(self) -> list[str]:
        """Return where two calls were too near to one another, or two tries too far apart."""
        found, count = [], 0
        for call, after in pairwise(self.calls):
            count = self._in_a_row(call, count)
            gap = after.at - call.at - LATENCY
            troubled = self.day.next_trouble(call.at - 2 * LOOK) <= after.at
            if after.forced or troubled:
                continue
            if call.given is not None:
                left = call.given.end - call.at
                least, most = max(5.0, min(60.0, left / 4)), math.inf
            else:
                most = self._longest_rest(call, count)
                left = math.inf if call.in_force is None else max(0.0, abs(call.in_force.end - after.at) - call.misled)
                left = 0.0 if self._slept_in(call) else left
                least = 0.8 * min(300.0, 2.0 ** min(count - 1, 20), max(5.0, left / 4))
            if not least - 0.5 <= gap <= most + 0.5:
                found.append(f"{call.at:.1f}: {gap:.1f} s of rest, not {least:.1f} … {most:.1f} (failure {count})")
        return found

    def _slept_in(self, call: Call) -> bool:
        """Say whether the steady clock stood still in the life of what is in force: by that, more is left of it."""
        issued = math.inf if call.in_force is None else call.in_force.issued
        return any(issued < end <= call.at for _, end, stands in self.day.suspends if stands)

    def too_many(self, until: float = LENGTH) -> str:
        """Return what is too much about the number of tokens, if anything."""
        forced = sum(call.forced for call in self.calls)
        jumps = len(self.day.steps) + len(self.day.suspends)
        shortest = self.registry.life - (SKEW if self.registry.absolute and self.day.steps else 0.0)
        most = 1.12 * until / (shortest / 2) + 1 + forced + jumps
        got = len(self.taken) - 1
        return "" if got <= most else f"{got} refreshes, at most {most:.1f}"


def _uncovered(begin: float, end: float, excuses: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the parts of a span that no excuse covers."""
    found = []
    at = begin
    for start, stop in excuses[: bisect_right(excuses, (end, math.inf))]:
        if stop <= at:
            continue
        if start > at:
            found.append((at, start))
        at = max(at, stop)
        if at >= end:
            break
    if at < end:
        found.append((at, end))
    return [(one, two) for one, two in found if two - one > 2 * LATENCY]
