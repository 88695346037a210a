"""What the parts of one cluster's actor share: its book, queue, client and limits.

One event loop, no locks; nobody outside the cluster's own tasks touches it. It decides nothing: the book does.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

import anyio
import anyio.lowlevel

from imps_multi.actors.setting import Setting, Verdict
from imps_multi.model.book import Book, Due
from imps_multi.model.misses import Misses
from imps_multi.model.names import ClusterName, NamespaceName, SecretName
from imps_multi.model.report import Contact
from imps_multi.model.view import View, view
from imps_multi.ports import ClusterClient, FleetMember
from imps_multi.runtime.backoff import Backoff
from imps_multi.runtime.keyed_queue import KeyedQueue, Lane
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.monotonic import current_time
from imps_multi.runtime.places import Places
from imps_multi.runtime.token_bucket import RateLimiter, TokenBucket
from imps_multi.runtime.window import Window

LOOKS_PER_BREATH = 8
"""So many namespaces are planned between two looks at the network: a third of a millisecond, as one write takes."""
FURTHEST_ALARM = 300.0
SLOW_SECONDS = 1.0
LEAST_AT_ONCE = 4
"""Routine writes that every cluster is given at once in a rush, however slowly it answers."""
RETRY = Backoff(initial=0.25, factor=2.0, cap=60.0, jitter=0.3)


def hire_nobody() -> None:
    """Leave work until there is contact."""


@dataclass(slots=True, kw_only=True)
class Station:
    """One cluster's working state."""

    member: FleetMember
    setting: Setting
    client: ClusterClient
    book: Book
    queue: KeyedQueue[NamespaceName]
    limiter: RateLimiter
    window: Window
    """How many routine requests the cluster answers at once without letting them queue."""
    slots: Places
    """For those requests."""
    contact: Latest[Contact] = field(default_factory=lambda: Latest(Contact()))
    names: Latest[int] = field(default_factory=lambda: Latest(0))
    """Set when other names, or other pods, may have to be watched."""
    changed: Latest[None] = field(default_factory=lambda: Latest(None))
    """Set when there is something new to report."""
    stirred: anyio.Event = field(default_factory=anyio.Event)
    """Set to make whoever listens for silence look again."""
    hire: Callable[[], None] = hire_nobody
    """Called when there is work, and nobody waits for it."""
    doubted: bool = False
    """Whether somebody wants a probe now."""
    rights_doubted: bool = False
    """Whether the next probe is to see, too, that namespaces may still be read."""
    sending: int = 0
    """How many writes are under way."""
    sending_since: float = 0.0
    quiet_until: float = -math.inf
    """Until when the cluster asked to be left alone."""
    told_refused: dict[tuple[str, SecretName], float] = field(default_factory=dict)
    """When it was last logged that requests for a name are refused, by what kind of request."""
    adopted_at: float = 0.0
    """The wall-clock time at which the newest world was taken in."""
    misses: Misses = field(default_factory=Misses)
    looked_through: int = -1
    """The version of the world for which every touched namespace was looked at."""
    long_lists: Latest[int] = field(default_factory=lambda: Latest(0))
    """Set when a list touched more namespaces than can be looked at in one go."""

    @property
    def name(self) -> ClusterName:
        """The cluster's configured name."""
        return self.member.settings.name

    @property
    def writes_nothing(self) -> bool:
        """Whether everything is computed and nothing written."""
        settings = self.member.settings
        return self.setting.observe or settings.observe or settings.paused

    def suspect(self) -> None:
        """Ask for a probe now."""
        self.doubted = True
        self.stirred.set()

    def suspect_rights(self) -> None:
        """Ask for a probe that sees whether we may do anything there at all."""
        self.rights_doubted = True
        self.suspect()

    def begin_write(self) -> None:
        """Count a write that goes out now; whoever makes it ends it."""
        if not self.sending:
            self.sending_since = current_time()
            self.stirred.set()
        self.sending += 1

    def end_write(self) -> None:
        """Count it no more: it was answered, or will not be."""
        self.sending -= 1

    def answered(self, started: float) -> None:
        """Take in an answer, begun then: in a rush, a server that lets requests queue is given fewer at once."""
        now = current_time()
        seconds = now - started
        self.window.answered(seconds)
        rushed = self.setting.rush.lasts(now)
        self.slots.resize(self.window.size if rushed else self.window.most)
        if seconds > SLOW_SECONDS:
            self.limiter.halve()

    def be_quiet(self, seconds: float) -> None:
        """Send nothing for so long (Retry-After), and less from then on."""
        self.quiet_until = max(self.quiet_until, current_time() + seconds)
        self.limiter.pause_for(seconds)
        self.limiter.halve()

    def touch(self) -> None:
        """Say that there is something new to report."""
        self.changed.set(None)

    def rethink_watches(self) -> None:
        """Have exactly what is needed watched."""
        self.names.set(self.names.value + 1)

    def see_world(self) -> View:
        """See the newest world from this cluster."""
        setting = self.setting
        return view(
            setting.world.value,
            self.member.settings,
            hub=setting.hub,
            previous=setting.previous_hubs,
        )

    def enqueue(self, dues: Iterable[Due]) -> None:
        """Hand what is due to the workers."""
        for due in dues:
            lane = Lane.URGENT if due.urgent else Lane.ROUTINE
            if due.urgent and due.at is None:
                self.setting.rush.begin(current_time())
            self.queue.add(due.namespace, lane=lane, at=None if due.at is None else self._alarm(due.at))
        self.touch()

    def look_at(self, namespaces: Iterable[NamespaceName]) -> None:
        """Look at a few namespaces at once, in the order of their names."""
        now = self.setting.clock()
        for namespace in sorted(namespaces):
            self.enqueue(self.book.look(namespace, now=now))

    async def look_through(self, namespaces: Iterable[NamespaceName]) -> None:
        """Look at any number of namespaces, with a breath for the others now and then; whoever does has the turn.

        In the order of their names, so that two runs of the same write in the same order.
        """
        for count, namespace in enumerate(sorted(namespaces)):
            self.enqueue(self.book.look(namespace, now=self.setting.clock()))
            if count % LOOKS_PER_BREATH == LOOKS_PER_BREATH - 1:
                await anyio.lowlevel.checkpoint()

    async def look_at_rest(self) -> None:
        """Look at whatever a long list touched, with a breath for the others now and then."""
        async with self.setting.turn:
            while self.book.unlooked:
                self.look_at(list(islice(self.book.unlooked, LOOKS_PER_BREATH)))
                await anyio.lowlevel.checkpoint()
        self.settle_picture()

    @property
    def looked_at(self) -> int:
        """The version of the world for which everything is looked at; -1 while a long list is not."""
        return -1 if self.book.unlooked else self.looked_through

    def settle_picture(self) -> None:
        """Tell the book whether the whole picture is there, and the brake what is wished here."""
        self.look_at(self.book.complete(whole_picture=self.book.picture_is_whole))
        current = self.looked_at == self.book.view.version and self.book.view.synced
        self.setting.wish(self.name, self.book.wishes() if self.book.listing.whole and current else None)
        self.touch()

    def start_anew(self) -> None:
        """Forget everything: behind the name is another cluster now."""
        self.book = Book(self.name, View.empty(self.name, self.setting.hub), self.setting.cache)
        self.book.adopt(self.see_world())
        self.book.drop_names(self.setting.world.value.names)
        self.heed(self.setting.verdict.value)

    def heed(self, verdict: Verdict) -> set[NamespaceName]:
        """Take in the brake's word; return the namespaces to look at again."""
        released = frozenset(wish for wish in verdict.released if wish.cluster == self.name)
        held = frozenset(wish for wish in verdict.held if wish.cluster == self.name)
        return self.book.judge(released, held, verdict.admitted_in(self.name))

    def _alarm(self, at: float) -> float:
        """Translate a wall-clock time for the queue; far ones are looked at again on the way."""
        return current_time() + min(max(0.0, at - self.setting.clock()), FURTHEST_ALARM)


def station(member: FleetMember, setting: Setting, client: ClusterClient) -> Station:
    """Set up for one incarnation of a cluster."""
    settings = member.settings

    def short_of_hands() -> None:
        made.hire()

    bucket = TokenBucket(rate=settings.requests_per_second, burst=settings.burst)
    empty = View.empty(settings.name, setting.hub)
    made = Station(
        member=member,
        setting=setting,
        client=client,
        book=Book(settings.name, empty, setting.cache),
        queue=KeyedQueue(
            backoff=RETRY,
            rand=setting.rand,
            on_take=lambda taken: setting.signals.queued(taken.waited),
            on_shortage=short_of_hands,
        ),
        limiter=RateLimiter(bucket),
        window=Window(settings.max_in_flight, least=LEAST_AT_ONCE),
        slots=Places(settings.max_in_flight, hold=math.inf),  # who hangs there delays nobody elsewhere
    )
    made.start_anew()
    return made
