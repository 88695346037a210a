"""The publisher: shows on a hub in a cluster how each policy stands, and tells its changes of state as Events.

Owns what was sent and told. Follows the reporter's status and what the hub shows, and keeps of both only the newest: a
hub that is away costs nothing, and gets what is true by then when it is back. Decides nothing: ``publishing`` says when
a status is due, ``policy_events`` what is worth an Event. It is never waited for by anybody.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import structlog
from msgspec import structs

from imps_multi.model.names import PolicyName
from imps_multi.model.policy_events import Happening, Told, happenings, told_by
from imps_multi.model.publishing import Due, Sent, alike, cut, due, flags
from imps_multi.model.shown import Shown
from imps_multi.model.status import PolicyStatus, ServiceStatus
from imps_multi.ports import Conflict, NotFound, PolicyBoard, PolicyEvent, PortError, Throttled, Transient
from imps_multi.runtime.backoff import Backoff, Rand, Retries
from imps_multi.runtime.keyed_queue import KeyedQueue, Lane
from imps_multi.runtime.latest import Latest, wait_any
from imps_multi.runtime.token_bucket import RateLimiter, TokenBucket

WORKERS = 4
RATE = 20.0
BURST = 50.0
RETRY = Backoff(initial=0.5, factor=2.0, cap=15.0, jitter=0.3)
PAUSE_PER_POLICY = 0.0005
"""With many policies they are looked at the less often, as a look at all of them costs the more."""
LONGEST_PAUSE = 0.5
REREAD_SECONDS = 5.0
"""After a conflict the next reading is waited for, but no longer than this."""
EVENT_BURST = 25.0
EVENT_RATE = 1.0 / 300.0
"""So many Events of one policy at once, and then one in five minutes, as client-go limits them."""

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Page:
    """One policy: what it should show, what it shows, what was sent and told."""

    wanted: PolicyStatus
    """Cut to what an object may hold."""
    whole: PolicyStatus
    """What ``wanted`` was cut from."""
    shown: Shown
    told: Told
    retries: Retries
    since: float
    """When the flags of ``wanted`` became what they are."""
    sent: Sent | None = None
    not_before: float = -math.inf
    failing: bool = False
    events: TokenBucket = field(
        default_factory=lambda: TokenBucket(rate=EVENT_RATE, burst=EVENT_BURST, floor=EVENT_RATE)
    )

    def see(self, shown: Shown) -> None:
        """Take in what the hub shows now: it answers, and where that is what was sent, all else is an edit."""
        self.shown, self.not_before = shown, -math.inf
        if self.sent is not None and shown.status is not None and alike(shown.status, self.sent.status):
            self.sent = structs.replace(self.sent, over=shown.status)

    def status_due(self) -> Due | None:
        """Say when the status is to be written, if nothing stands against it."""
        return due(self.wanted, self.shown.status, self.sent, since=self.since)

    def due(self) -> Due | None:
        """Say when something is to be done."""
        found = self.status_due()
        if happenings(self.told, self.wanted)[1]:
            found = Due(-math.inf, flip=True)
        return None if found is None else Due(max(found.at, self.not_before), flip=found.flip)


class Publisher:
    """The publisher's actor."""

    def __init__(
        self,
        *,
        board: PolicyBoard,
        status: Latest[ServiceStatus],
        shown: Latest[Mapping[PolicyName, Shown]],
        rand: Rand,
    ) -> None:
        self._board = board
        self._status = status
        self._shown = shown
        self._rand = rand
        self._pages: dict[PolicyName, _Page] = {}
        self._queue: KeyedQueue[PolicyName] = KeyedQueue(backoff=RETRY, rand=rand)
        self._limiter = RateLimiter(TokenBucket(rate=RATE, burst=BURST))

    async def run(self) -> None:
        """Publish for ever."""
        async with anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(self._work)
            await self._follow()

    async def flush(self) -> None:
        """Write once what differs still; whoever calls says for how long. Nothing else runs here by then."""
        self._take_in()
        async with anyio.create_task_group() as group:
            places = anyio.CapacityLimiter(WORKERS)
            for name, page in self._pages.items():
                if page.status_due() is not None:
                    group.start_soon(self._last_turn, name, page, places)

    async def _last_turn(self, name: PolicyName, page: _Page, places: anyio.CapacityLimiter) -> None:
        async with places:
            try:
                await self._tell(name, page)
                await self._put(name, page)
            except PortError as failure:
                log.warning("Status could not be written at the end", policy=name, message=str(failure))

    async def _follow(self) -> None:
        readers = (self._status.reader(), self._shown.reader())
        while True:
            await wait_any(*readers)
            for reader in readers:
                if reader.fresh:
                    reader.take()
            self._take_in()
            for name, page in self._pages.items():
                self._ask_for(name, page)
            await anyio.sleep(min(PAUSE_PER_POLICY * len(self._pages), LONGEST_PAUSE))

    def _ask_for(self, name: PolicyName, page: _Page) -> None:
        if (found := page.due()) is not None:
            self._queue.add(name, lane=Lane.URGENT if found.flip else Lane.ROUTINE, at=found.at)

    def _take_in(self) -> None:
        """See the newest of everything; a policy that the hub does not show, or shows made anew, has no page."""
        status = self._status.get(None)
        shown = self._shown.value
        views = {
            name: view.status
            for view in (status.policies if status is not None else ())
            if (name := PolicyName(view.name)) in shown and view.uid in ("", shown[name].uid)
        }
        for name in self._pages.keys() - views.keys():
            del self._pages[name]
            self._queue.discard(name)
        for name, view in views.items():
            self._see(name, view, shown[name])

    def _see(self, name: PolicyName, whole: PolicyStatus, shown: Shown) -> None:
        page = self._pages.get(name)
        if page is None or page.shown.uid != shown.uid:
            self._pages[name] = self._page(whole, shown)
            return
        if page.whole is not whole:
            if page.whole.conditions != whole.conditions and flags(page.whole) != flags(whole):
                page.since = anyio.current_time()
            page.wanted, page.whole = cut(whole), whole
        if page.shown is not shown:
            page.see(shown)

    def _page(self, whole: PolicyStatus, shown: Shown) -> _Page:
        return _Page(
            wanted=cut(whole),
            whole=whole,
            shown=shown,
            told=told_by(shown.status),
            retries=RETRY.start(self._rand),
            since=anyio.current_time(),
        )

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            try:
                if (page := self._pages.get(name)) is not None:
                    await self._turn(name, page)
            finally:
                self._queue.done(name)

    async def _turn(self, name: PolicyName, page: _Page) -> None:
        """Tell and write what is due of one policy, with everything as it is by now."""
        try:
            if page.not_before <= anyio.current_time():
                await self._tell(name, page)
                await self._put_if_due(name, page)
        except PortError as failure:
            self._failed(name, page, failure)
        else:
            self._ask_for(name, page)

    async def _put_if_due(self, name: PolicyName, page: _Page) -> None:
        await self._limiter.take()
        found = page.status_due()
        if found is not None and found.at <= anyio.current_time():
            await self._put(name, page)

    async def _put(self, name: PolicyName, page: _Page) -> None:
        wanted, over = page.wanted, page.shown.status
        await self._board.put_status(name, page.shown.uid, wanted)
        page.sent = Sent(wanted, over, anyio.current_time())
        page.retries.reset()
        if page.failing:
            page.failing = False
            log.info("Status is written again", policy=name)

    async def _tell(self, name: PolicyName, page: _Page) -> None:
        """Tell what was not told yet. What nobody may tell, or was told too often, counts as told."""
        now, found = happenings(page.told, page.wanted)
        for happening in found:
            if page.events.take(anyio.current_time()):
                await self._post(name, page, happening)
        page.told = now

    async def _post(self, name: PolicyName, page: _Page, happening: Happening) -> None:
        event = PolicyEvent(name, page.shown.uid, happening.reason, happening.message, happening.warning)
        await self._limiter.take()
        try:
            await self._board.post_event(event)
        except (Transient, Throttled):
            raise
        except PortError as failure:
            log.warning("Event could not be made", policy=name, reason=happening.reason, message=str(failure))

    def _failed(self, name: PolicyName, page: _Page, failure: PortError) -> None:
        now = anyio.current_time()
        match failure:
            case Conflict():
                delay = REREAD_SECONDS
            case NotFound():
                delay = math.inf  # until a reading shows it again
            case Throttled(retry_after=seconds):
                delay = seconds
                self._limiter.pause_for(seconds)
            case _:
                delay = page.retries.next()
        if not page.failing and not isinstance(failure, Conflict | NotFound):
            page.failing = True
            log.warning("Status could not be written; it is tried again", policy=name, message=str(failure))
        page.not_before = now + delay
        if delay < math.inf:
            self._ask_for(name, page)
