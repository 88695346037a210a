"""So many places for work that can wait, shared by everybody who does such work; first come, first served.

It bounds how much the process has begun at once, so that work that cannot wait, which needs no place, finds the loop
free. It must not let a peer that hangs hold up the others: a place that is held for longer than ``hold`` seconds goes
to the next, and whoever had it goes on uncounted. ``run`` sees to that.
"""

import math
from collections import OrderedDict

import anyio

from imps_multi.runtime.monotonic import current_time


class Place:
    """A place to wait for and to hold: ``async with``, once."""

    __slots__ = ("_given", "_places")

    def __init__(self, places: "Places") -> None:
        self._places = places
        self._given: anyio.Event | None = None

    async def __aenter__(self) -> None:
        if self._places.take(self):
            return
        self._given = anyio.Event()
        try:
            await self._given.wait()
        except BaseException:
            self._places.leave(self)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._places.leave(self)

    def give(self) -> None:
        """Wake whoever waits for it."""
        if self._given is not None:
            self._given.set()


class Places:
    """``count`` places, each given back after ``hold`` seconds at the latest."""

    def __init__(self, count: int, *, hold: float) -> None:
        if count < 1 or hold <= 0:
            raise ValueError("there must be a place, and some time to hold it")
        self._count = count
        self._hold = hold
        self._held: OrderedDict[Place, float] = OrderedDict()  # since when, the longest first
        self._waiting: OrderedDict[Place, None] = OrderedDict()
        self._crowded = anyio.Event()

    @property
    def free(self) -> int:
        """How many could be taken at once."""
        return self._count - len(self._held)

    def resize(self, count: int) -> None:
        """Have another number of places; where there are fewer, nobody has to leave for it."""
        if count != self._count:
            self._count = max(1, count)
            self._hand_on()

    def place(self) -> Place:
        """Return a place to wait for and to hold inside a block, as long as that is allowed."""
        return Place(self)

    async def run(self) -> None:
        """Take places from those who hold them for too long, for ever."""
        while True:
            await self._crowded.wait()
            await anyio.sleep(self._hold / 2)
            self._crowded = anyio.Event()
            if self._waiting:
                self._crowded.set()
                self._end_overdue(current_time())

    def take(self, place: Place) -> bool:
        """Give a place at once, or put it at the end of the line; tell which."""
        if len(self._held) < self._count:  # then nobody waits
            self._held[place] = self._now()
            return True
        self._waiting[place] = None
        self._crowded.set()
        return False

    def leave(self, place: Place) -> None:
        """Take a place back, or out of the line."""
        if self._held.pop(place, None) is None:
            self._waiting.pop(place, None)
        elif self._waiting:
            self._hand_on()

    def _now(self) -> float:
        """Return the time, if anybody asks for how long a place was held."""
        return 0.0 if self._hold == math.inf else current_time()

    def _hand_on(self) -> None:
        while self._waiting and self.free > 0:
            lucky, _ = self._waiting.popitem(last=False)
            self._held[lucky] = self._now()
            lucky.give()

    def _end_overdue(self, now: float) -> None:
        while self._held and now - next(iter(self._held.values())) >= self._hold:
            self._held.popitem(last=False)
        self._hand_on()
