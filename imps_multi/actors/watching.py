"""The watches of one cluster: namespaces, and each Secret name in use, each with its own list, stream and backoff.

Runs while there is contact. Every event goes into the book at once; what follows from it goes to the queue. A watch
that breaks asks for a probe and lists again; one that may not be watched is said so and tried now and then.
"""

import anyio
import structlog
from anyio.abc import TaskGroup

from imps_multi.actors.contact import Lost, come_up
from imps_multi.actors.station import Station
from imps_multi.model.names import SecretName
from imps_multi.model.observed import NamespacesReplaced, SecretsReplaced, WatchEvent
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
    WatchSecrets,
)
from imps_multi.runtime.backoff import Backoff, Retries

RELIST_SECONDS = 3600.0
HASTE_SECONDS = 1.0
BROKEN = Backoff(initial=0.8, factor=2.0, cap=30.0, jitter=0.5)
REFUSED = Backoff(initial=5.0, factor=2.0, cap=60.0, jitter=0.2)

log = structlog.get_logger()


async def keep_watching(here: Station, lost: Lost) -> None:
    """Watch the namespaces and, always, exactly the Secret names in use."""
    async with anyio.create_task_group() as group:
        group.start_soon(watch, here, WatchNamespaces(), lost)
        await _keep_names(here, group, lost)


async def _keep_names(here: Station, group: TaskGroup, lost: Lost) -> None:
    running: dict[SecretName, anyio.CancelScope] = {}
    reader = here.names.reader()
    while True:
        await reader.next()
        for name in running.keys() - here.book.names:
            running.pop(name).cancel()
        for name in here.book.names - running.keys():
            running[name] = scope = anyio.CancelScope()
            group.start_soon(_watch_within, scope, here, WatchSecrets(name), lost)


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
            if not isinstance(watched, WatchSecrets):
                return None
            _refuse(here, watched.name, failure)
            return refused.next()
        case Throttled(retry_after=retry_after):
            _break(here, watched, failure)
            return retry_after
        case _:
            _break(here, watched, failure)
            return broken.next()


def _take(here: Station, event: WatchEvent) -> None:
    """Fold one event in; a whole list may complete the picture."""
    synced = here.book.synced
    here.enqueue(here.book.see(event, now=here.setting.clock()))
    if isinstance(event, NamespacesReplaced):
        come_up(here)
    if isinstance(event, (NamespacesReplaced, SecretsReplaced)) or synced != here.book.synced:
        here.settle_picture()


def _break(here: Station, watched: Watched, failure: PortError) -> None:
    log.info("Watch broke", target_cluster=here.name, watched=_what(watched), message=str(failure))
    if isinstance(watched, WatchSecrets):
        here.book.observed.unsync_name(watched.name)
    else:
        here.book.observed.namespaces_synced = False
    here.settle_picture()
    here.suspect()


def _refuse(here: Station, name: SecretName, failure: PortError) -> None:
    message = f"{failure}; renew the role there: imps-multi rbac --role target --secret-name {name}"
    if here.book.forbidden.get(name) != message:
        log.warning("Secret name is forbidden", target_cluster=here.name, secret_name=name, message=str(failure))
    here.look_at(here.book.forbid(name, message))
    here.settle_picture()


def _relist_after(here: Station) -> float:
    return RELIST_SECONDS * (0.9 + 0.2 * here.setting.rand())


def _what(watched: Watched) -> str:
    return f"secrets named {watched.name}" if isinstance(watched, WatchSecrets) else "namespaces"
