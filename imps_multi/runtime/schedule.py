"""Which key is next: the deciding half of the queue, with the time passed in.

A key is at most once in it; the earliest time asked for and the highest lane asked for win. A key that is taken is in
flight until `done`; asked for meanwhile, it comes once more after that. It never waits and knows no clock: all times
are on the caller's monotonic one, and never go back. Fed and asked by `KeyedQueue`.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

from imps_multi.runtime.backoff import Backoff, Rand

K = TypeVar("K", bound=Hashable)

_SLACK: Final = 64  # outdated heap items that are not worth a clean-up


class Lane(IntEnum):
    """All that is URGENT goes before all that is ROUTINE; within a lane, first due, first served."""

    ROUTINE = 0
    URGENT = 1


class Wish(NamedTuple):
    """What is asked for a key: to be taken in a lane, not before a moment."""

    lane: Lane
    at: float
    retrying: bool  # the time comes from backoff, so it is void once the backoff is

    def merged(self, other: "Wish") -> "Wish":
        """Return the one wish that grants both."""
        return Wish(max(self.lane, other.lane), min(self.at, other.at), self.retrying or other.retrying)


class Taken(NamedTuple, Generic[K]):
    """A key that came up, its lane, and the seconds for which it had been due."""

    key: K
    lane: Lane
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a queue holds now, and what went through it since it was made."""

    ready_urgent: int
    ready_routine: int
    delayed: int
    in_flight: int
    adds: int
    retries: int


@dataclass(slots=True)
class _Flight:
    """A key in flight: the lane it was taken from, and what was asked for it since."""

    lane: Lane
    again: Wish | None = None


class Schedule(Generic[K]):
    """Keys by lane and time, each at most once queued and at most once in flight."""

    def __init__(self, *, backoff: Backoff, rand: Rand) -> None:
        self._backoff = backoff
        self._rand = rand
        self._wishes: dict[K, Wish] = {}  # every queued key, ready or delayed
        self._ready: tuple[OrderedDict[K, None], ...] = tuple(OrderedDict() for _ in Lane)  # by lane
        self._heap: list[tuple[float, int, K]] = []  # when delayed keys are due, and outdated items
        self._items: dict[K, int] = {}  # every delayed key: the number of its item in the heap
        self._numbers = count()
        self._flights: dict[K, _Flight] = {}
        self._failures: dict[K, int] = {}
        self._adds = 0
        self._retries = 0

    def __len__(self) -> int:
        """The number of queued keys, ready or delayed; a key in flight is not among them."""
        return len(self._wishes)

    def add(self, key: K, *, now: float, lane: Lane = Lane.ROUTINE, at: float | None = None) -> None:
        """Ask for a key: now, or not before `at`."""
        self._adds += 1
        self._ask(key, Wish(lane, now if at is None else max(now, at), retrying=False), now)

    def retry(self, key: K, *, now: float) -> float:
        """Ask for a key again after its next backoff delay, in the lane it has; return the delay."""
        self._retries += 1
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = self._backoff.delay(failures, self._rand)
        self._ask(key, Wish(self._lane(key), now + delay, retrying=True), now)
        return delay

    def failures(self, key: K) -> int:
        """Return how often a key was retried since it was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Let the next retry of a key begin with the initial delay: it worked. What is queued stays as it is."""
        self._failures.pop(key, None)

    def reset_backoff(self, *, now: float) -> None:
        """Forget every key's failures, and make due now what only waits for its backoff."""
        self._failures.clear()
        for flight in self._flights.values():
            if flight.again is not None and flight.again.retrying:
                flight.again = flight.again._replace(at=min(flight.again.at, now), retrying=False)
        held = [(key, wish) for key, wish in self._wishes.items() if wish.retrying]
        for key, wish in held:
            self._ask(key, Wish(wish.lane, now, retrying=False), now)

    def discard(self, key: K) -> bool:
        """Drop what is asked for a key, and its failures; tell whether anything was. In flight, it stays so."""
        self._failures.pop(key, None)
        flight = self._flights.get(key)
        if flight is not None:
            dropped, flight.again = flight.again, None
            return dropped is not None
        wish = self._wishes.pop(key, None)
        if wish is None:
            return False
        self._unlist(key, wish)
        return True

    def pop(self, *, now: float, least: Lane = Lane.ROUTINE) -> Taken[K] | None:
        """Take the next key that is due in that lane or a higher one, if any: it is in flight until `done`."""
        if self._heap:
            self._promote(now)
        for lane in (Lane.URGENT, Lane.ROUTINE)[: 2 - least]:
            if ready := self._ready[lane]:
                key, _ = ready.popitem(last=False)
                self._flights[key] = _Flight(lane)
                wish = self._wishes.pop(key)
                if not self._wishes:
                    self._shrink()
                return Taken(key, lane, now - wish.at)
        return None

    def _shrink(self) -> None:
        """Nothing is queued: give back what a great many keys needed, since that does not shrink by itself."""
        self._wishes.clear()
        for ready in self._ready:
            ready.clear()

    def done(self, key: K, *, now: float) -> bool:
        """End a key's flight; what was asked for it meanwhile is queued. Tell whether anything was.

        Raises:
            KeyError: the key is not in flight.
        """
        again = self._flights.pop(key).again
        if again is not None:
            self._ask(key, again, now)
        return again is not None

    def next_time(self) -> float | None:
        """Return when the next key is due: None is never, and minus infinity that one is ready."""
        routine, urgent = self._ready
        if urgent or routine:
            return -math.inf
        while self._heap and not self._current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def in_flight(self) -> int:
        """The number of keys that were taken and are not done."""
        return len(self._flights)

    def ready(self, *, now: float, least: Lane = Lane.ROUTINE) -> bool:
        """Tell whether there is a key to take, in that lane or a higher one."""
        if self._heap:
            self._promote(now)
        routine, urgent = self._ready
        return bool(urgent) or (least is Lane.ROUTINE and bool(routine))

    def counts(self, *, now: float) -> Counts:
        """Return the depth of each lane and the totals."""
        self._promote(now)
        return Counts(
            ready_urgent=len(self._ready[Lane.URGENT]),
            ready_routine=len(self._ready[Lane.ROUTINE]),
            delayed=len(self._items),
            in_flight=len(self._flights),
            adds=self._adds,
            retries=self._retries,
        )

    def _lane(self, key: K) -> Lane:
        flight, wish = self._flights.get(key), self._wishes.get(key)
        return flight.lane if flight is not None else wish.lane if wish is not None else Lane.ROUTINE

    def _ask(self, key: K, wish: Wish, now: float) -> None:
        if self._heap:
            self._promote(now)
        flight = self._flights.get(key)
        if flight is not None:
            flight.again = wish if flight.again is None else flight.again.merged(wish)
            return
        old = self._wishes.get(key)
        new = wish if old is None else old.merged(wish)
        self._wishes[key] = new
        if old is None:
            self._list(key, new, now)
        elif new.at != old.at or new.lane != old.lane:
            self._unlist(key, old)
            self._list(key, new, now)

    def _list(self, key: K, wish: Wish, now: float) -> None:
        if wish.at <= now:
            self._ready[wish.lane][key] = None
            return
        self._items[key] = next(self._numbers)
        heapq.heappush(self._heap, (wish.at, self._items[key], key))
        self._compact()

    def _unlist(self, key: K, wish: Wish) -> None:
        if self._items.pop(key, None) is None:
            del self._ready[wish.lane][key]

    def _promote(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            item = heapq.heappop(self._heap)
            key = item[2]
            if self._current(item):
                del self._items[key]
                self._ready[self._wishes[key].lane][key] = None

    def _current(self, item: tuple[float, int, K]) -> bool:
        """Whether a heap item still says when its key is due; if not, the key left, or is due earlier."""
        return self._items.get(item[2]) == item[1]

    def _compact(self) -> None:
        """Rebuild the heap when most of it is outdated, so that it does not grow with the number of calls."""
        if len(self._heap) > _SLACK + 2 * len(self._items):
            self._heap = [item for item in self._heap if self._current(item)]
            heapq.heapify(self._heap)
