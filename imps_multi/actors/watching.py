"""The watches of one cluster: namespaces, each Secret name in use, pods where a policy asks.

Each has its own list, stream and backoff. Runs while there is contact. Every event goes into the book at once; what
follows from it goes to the queue. A watch that breaks asks for a probe and lists again; one that may not be watched is
said so and tried now and then.
"""

import anyio
import structlog
from anyio.abc import TaskGroup

from imps_multi.actors.contact import Lost, come_up
from imps_multi.actors.station import Station
from imps_multi.model.observed import NamespacesReplaced, SecretMoved, SecretsReplaced, WatchEvent
from imps_multi.model.pods import PodGone, PodSeen, PodsReplaced
from imps_multi.model.wording import print_role
from imps_multi.ports import (
    Forbidden,
    Gone,
    Invalid,
    PortError,
    Resume,
    Throttled,
    Unauthorized,
    Watched,
    WatchNamespaces,
    WatchPods,
    WatchSecrets,
)
from imps_multi.runtime.backoff import Backoff, Retries

RELIST_SECONDS = 3600.0
HASTE_SECONDS = 1.0
BROKEN = Backoff(initial=0.8, factor=2.0, cap=30.0, jitter=0.5)
REFUSED = Backoff(initial=5.0, factor=2.0, cap=60.0, jitter=0.2)

_LISTS = (NamespacesReplaced, SecretsReplaced, PodsReplaced)

log = structlog.get_logger()


async def keep_watching(here: Station, lost: Lost) -> None:
    """Watch the namespaces and, always, exactly the Secret names in use and the pods that are asked for."""
    async with anyio.create_task_group() as group:
        group.start_soon(watch, here, WatchNamespaces(), lost)
        group.start_soon(_keep_looking, here)
        await _keep_needed(here, group, lost)


async def _keep_looking(here: Station) -> None:
    """Look at what long lists touched, a little at a time."""
    reader = here.long_lists.reader()
    while True:
        await reader.next()
        await here.look_at_rest()


async def _keep_needed(here: Station, group: TaskGroup, lost: Lost) -> None:
    running: dict[tuple[Watched, int], anyio.CancelScope] = {}
    reader = here.names.reader()
    while True:
        await reader.next()
        needed = _needed(here)
        for key in running.keys() - needed:
            running.pop(key).cancel()
        for key in needed - running.keys():
            running[key] = scope = anyio.CancelScope()
            group.start_soon(_watch_within, scope, here, key[0], lost)


def _needed(here: Station) -> set[tuple[Watched, int]]:
    """Return what is to be watched, beside the namespaces; one that begins anew has another number."""
    names: set[tuple[Watched, int]] = {(WatchSecrets(name), 0) for name in here.book.listing.names}
    return names | {(WatchPods(asked), number) for asked, number in here.book.pods.watches.items()}


async def _watch_within(scope: anyio.CancelScope, here: Station, watched: Watched, lost: Lost) -> None:
    with scope:
        await watch(here, watched, lost)


async def watch(here: Station, watched: Watched, lost: Lost) -> None:
    """Keep one watch going for as long as there is contact."""
    resume: Resume | None = None
    broken, refused = BROKEN.start(here.setting.rand), REFUSED.start(here.setting.rand)
    fresh_at = anyio.current_time() + _relist_after(here)
    while True:
        started = anyio.current_time()
        if started >= fresh_at:
            resume, fresh_at = None, started + _relist_after(here)
        try:
            resume = await _stream(here, watched, resume, until=fresh_at)
            broken.reset()
            refused.reset()
            await _unhurried(started, broken)
        except Gone:
            resume = None
            await _unhurried(started, broken)
        except PortError as failure:
            resume = None
            if anyio.current_time() - started > BROKEN.cap:
                broken.reset()
            if (delay := _after(here, watched, failure, broken, refused)) is None:
                lost(failure)
                return
            await anyio.sleep(delay)


async def _stream(here: Station, watched: Watched, resume: Resume | None, *, until: float) -> Resume | None:
    """Run one stream; cut off when it is time for a fresh list."""
    with anyio.CancelScope(deadline=until):
        return await here.client.watch(watched, resume, lambda event: _take(here, event))
    return None


async def _unhurried(started: float, broken: Retries) -> None:
    """Let no server that ends streams at once make us turn on the spot."""
    if anyio.current_time() - started < HASTE_SECONDS:
        await anyio.sleep(broken.next())


def _after(here: Station, watched: Watched, failure: PortError, broken: Retries, refused: Retries) -> float | None:
    """Take in why a watch ended; return when to try again, None where there is no contact any more."""
    match failure:
        case Unauthorized():
            return None
        case Forbidden() | Invalid():
            if isinstance(watched, WatchNamespaces):
                return None
            _refuse(here, watched, failure)
            return refused.next()
        case Throttled(retry_after=retry_after):
            _break(here, watched, failure)
            return retry_after
        case _:
            _break(here, watched, failure)
            return broken.next()


def _take(here: Station, event: WatchEvent) -> None:
    """Fold one event in; a whole list may complete the picture."""
    looks, pods = here.book.looks, here.book.pods.watches
    dues = here.book.see(event, now=here.setting.clock())
    if here.book.looks != looks or not isinstance(event, (SecretMoved, PodSeen, PodGone)):
        here.enqueue(dues)  # of most pods, and of our own writes once more, there is nothing to tell anybody
    if isinstance(event, NamespacesReplaced):
        come_up(here)
    if pods is not here.book.pods.watches:
        here.rethink_watches()
        here.settle_picture()
    if isinstance(event, _LISTS):
        here.settle_picture()
    if here.book.unlooked:
        here.long_lists.set(here.long_lists.value + 1)


def _break(here: Station, watched: Watched, failure: PortError) -> None:
    log.info("Watch broke", target_cluster=here.name, watched=_what(watched), message=str(failure))
    match watched:
        case WatchSecrets(name=name):
            here.book.observed.unsync_name(name)
        case WatchPods(asked=asked):
            here.book.pods.unsync_watch(asked)
        case WatchNamespaces():
            here.book.observed.namespaces_synced = False
    here.settle_picture()
    here.suspect()


def _refuse(here: Station, watched: WatchSecrets | WatchPods, failure: PortError) -> None:
    """Say what may not be watched, once, and go on without it."""
    command = print_role("target", watched.name if isinstance(watched, WatchSecrets) else "")
    message = f"{failure}; renew the role there: {command}"
    if isinstance(watched, WatchSecrets):
        known = here.book.listing.forbidden.get(watched.name)
        touched = here.book.forbid(watched.name, message)
    else:
        known = here.book.pods.forbidden.get(watched.asked)
        touched = here.book.forbid_pods(watched.asked, message)
    if known != message:
        log.warning("Watch is forbidden", target_cluster=here.name, watched=_what(watched), message=message)
    here.look_at(touched)
    here.rethink_watches()
    here.settle_picture()


def _relist_after(here: Station) -> float:
    return RELIST_SECONDS * (0.9 + 0.2 * here.setting.rand())


def _what(watched: Watched) -> str:
    match watched:
        case WatchSecrets(name=name):
            return f"secrets named {name}"
        case WatchPods():
            return "pods"
        case WatchNamespaces():
            return "namespaces"
