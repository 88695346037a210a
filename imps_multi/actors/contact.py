"""Contact with one cluster: probing until it answers, running the session while it does, noticing when it stops.

States (``Phase``): Starting, Up, Degraded (with reason and next attempt), Quarantined (another entry holds the same
cluster), Paused (Up, but nothing is written). Expected failures end here. When contact is lost the session is cancelled
whole, writes in flight too; when it is back everything starts with fresh lists.
"""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext

import anyio
import structlog
from msgspec import structs

from imps_multi.actors.station import Station
from imps_multi.model.names import Uid
from imps_multi.model.report import Contact, Phase
from imps_multi.ports import PortError, Reason, ServerVersion, Throttled
from imps_multi.runtime.backoff import Backoff, Retries

QUIET_SECONDS = 15.0
BUSY_QUIET_SECONDS = 2.0
"""The same while something is being written: answers should be coming then."""
SECOND_LOOK_SECONDS = 0.5
PROBE = Backoff(initial=0.5, factor=2.0, cap=5.0, jitter=0.4)

Lost = Callable[[PortError], None]
"""Told by a part of the session that there is no contact any more, and why."""
Session = Callable[[Station, Lost], Coroutine[None, None, None]]

log = structlog.get_logger()


async def keep_contact(here: Station, session: Session) -> None:
    """Keep contact for ever."""
    retries = PROBE.start(here.setting.rand)
    while True:
        if await reach(here, retries):
            retries.reset()
            degrade(here, await run_while_up(here, session), 0.0)


async def reach(here: Station, retries: Retries) -> bool:
    """Try once to reach the cluster; on failure wait out the backoff. Tell whether it is ours to work on."""
    try:
        async with _slot(here, retries):
            version = await here.client.probe()
            uid = await here.client.identity()
    except PortError as failure:
        here.setting.claims.tried(here.name)
        delay = failure.retry_after if isinstance(failure, Throttled) else retries.next()
        degrade(here, failure, delay)
        await anyio.sleep(delay)
        return False
    if (holder := await _claim(here, uid)) is None:
        come_up(here, version, uid)
        return True
    quarantine(here, uid, holder)
    await anyio.sleep(PROBE.cap)
    return False


async def run_while_up(here: Station, session: Session) -> PortError:
    """Run the session until contact is lost; return why."""
    failures: list[PortError] = []
    async with anyio.create_task_group() as group:

        def lost(why: PortError) -> None:
            failures.append(why)
            group.cancel_scope.cancel()

        group.start_soon(session, here, lost)
        group.start_soon(listen, here, lost)
    return failures[0]


async def listen(here: Station, lost: Lost) -> None:
    """Probe when no byte came for a while, or somebody has doubts; two failures lose the contact."""
    checked = anyio.current_time()
    while True:
        with anyio.move_on_after(BUSY_QUIET_SECONDS):
            await here.doubt.wait()
        quiet = anyio.current_time() - max(checked, here.client.last_byte_at)
        if not here.doubt.is_set() and quiet < (BUSY_QUIET_SECONDS if here.book.writing else QUIET_SECONDS):
            continue
        here.doubt = anyio.Event()
        if await failing(here) is None:
            checked = anyio.current_time()
            continue
        await anyio.sleep(SECOND_LOOK_SECONDS)
        if (failure := await failing(here)) is not None:
            lost(failure)
            return


async def failing(here: Station) -> PortError | None:
    """Look once whether the cluster answers, on a fresh connection; return why not."""
    try:
        await here.client.probe()
    except PortError as failure:
        return failure
    return None


def come_up(here: Station, version: ServerVersion, uid: Uid) -> None:
    """There is contact: everything that failed may be tried at once."""
    before = here.contact.value
    if before.uid and before.uid != uid:
        log.warning("Cluster has another identity now", target_cluster=here.name, was=before.uid, uid=uid)
    phase = Phase.PAUSED if here.member.settings.paused else Phase.UP
    log.info(
        "Cluster is up", target_cluster=here.name, server_version=version.git_version, paused=phase is Phase.PAUSED
    )
    here.contacted = True
    here.book.forgive()
    here.queue.reset_backoff()
    here.doubt = anyio.Event()
    _set(here, Contact(phase=phase, since=here.setting.clock(), uid=uid, version=version.git_version))


def degrade(here: Station, failure: PortError, delay: float) -> None:
    """There is no contact: say so, and that what is known is not the whole picture any more."""
    before, now = here.contact.value, here.setting.clock()
    message = str(failure)
    if (before.phase, before.reason) != (Phase.DEGRADED, failure.reason.value):
        log.warning("Cluster is degraded", target_cluster=here.name, reason=failure.reason.value, message=message)
    here.contacted = True
    here.book.observed.unsync()
    here.settle_picture()
    _set(
        here,
        structs.replace(
            before,
            phase=Phase.DEGRADED,
            reason=failure.reason.value,
            message=message,
            since=before.since if before.phase is Phase.DEGRADED else now,
            next_attempt=now + delay,
        ),
    )


def quarantine(here: Station, uid: Uid, holder: str) -> None:
    """Another entry holds the same cluster: nothing is done here until it leaves."""
    before, now = here.contact.value, here.setting.clock()
    message = f"{here.name} and {holder} are one cluster (kube-system {uid}); {holder} keeps it, remove one of the two"
    if before.phase is not Phase.QUARANTINED:
        log.error("Cluster is configured twice", target_cluster=here.name, holder=holder, uid=uid)
    here.contacted = True
    since = before.since if before.phase is Phase.QUARANTINED else now
    _set(
        here,
        Contact(
            phase=Phase.QUARANTINED,
            reason=Reason.DUPLICATE.value,
            message=message,
            since=since,
            next_attempt=now + PROBE.cap,
            uid=uid,
        ),
    )


async def _claim(here: Station, uid: Uid) -> str | None:
    before = here.contact.value.uid
    if before and before != uid:
        here.setting.claims.give_up(here.name)
        here.start_anew()
    return await here.setting.claims.claim(uid, here.name)


def _slot(here: Station, retries: Retries) -> AbstractAsyncContextManager[object]:
    """Degraded clusters probe from a small pool, so that many dead ones do not crowd out the living."""
    return here.setting.probes if retries.attempts else nullcontext()


def _set(here: Station, contact: Contact) -> None:
    here.contact.set(contact)
    here.touch()
