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
from imps_multi.model.wording import print_role
from imps_multi.ports import Forbidden, PortError, Reason, ServerVersion, Throttled, Transient, Unauthorized
from imps_multi.runtime.backoff import Backoff, Retries

QUIET_SECONDS = 15.0
BUSY_QUIET_SECONDS = 2.0
"""The same while a write is under way: answers should be coming then."""
SECOND_LOOK_SECONDS = 0.5
IDENTITY_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""A session that ends sooner was no contact: the backoff goes on where it was."""
PROBE = Backoff(initial=0.5, factor=2.0, cap=5.0, jitter=0.4)

Lost = Callable[[PortError], None]
"""Told by a part of the session that there is no contact any more, and why."""
Session = Callable[[Station, Lost], Coroutine[None, None, None]]

log = structlog.get_logger()


async def keep_contact(here: Station, session: Session) -> None:
    """Keep contact for ever."""
    retries = PROBE.start(here.setting.rand)
    while True:
        if not await reach(here, retries):
            continue
        began = anyio.current_time()
        why = await run_while_up(here, session)
        delay = 0.0
        if anyio.current_time() - began >= STEADY_SECONDS:
            retries.reset()
        else:
            delay = _delay(why, retries)
        degrade(here, why, delay)
        await anyio.sleep(delay)


async def reach(here: Station, retries: Retries) -> bool:
    """Try once to reach the cluster; on failure wait out the backoff. Tell whether it is ours to work on."""
    try:
        async with _slot(here, retries):
            version = await here.client.probe(anew=True)
            uid = await _identity(here)
    except PortError as failure:
        here.setting.claims.tried(here.name)
        delay = _delay(failure, retries)
        degrade(here, failure, delay)
        await anyio.sleep(delay)
        return False
    if (holder := await _claim(here, uid)) is None:
        begin(here, version, uid)
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
        with anyio.CancelScope(deadline=_patient_until(here, checked)):
            await here.stirred.wait()
        here.stirred = anyio.Event()
        if not here.doubted and anyio.current_time() < _patient_until(here, checked):
            continue
        here.doubted = False
        if await failing(here) is None:
            checked = anyio.current_time()
            continue
        await anyio.sleep(SECOND_LOOK_SECONDS)
        if (failure := await failing(here)) is not None:
            lost(failure)
            return


async def failing(here: Station) -> PortError | None:
    """Look once whether the cluster answers, on a fresh connection; return why not.

    Everybody may ask for the version: where a right was refused, a namespace is asked for as well.
    """
    try:
        await here.client.probe()
        if here.rights_doubted:
            await _identity(here)
    except PortError as failure:
        return failure
    here.rights_doubted = False
    return None


def begin(here: Station, version: ServerVersion, uid: Uid) -> None:
    """There is contact: everything that failed may be tried at once. It is up once its namespaces were listed."""
    before = here.contact.value
    if before.uid and before.uid != uid:
        log.warning("Cluster has another identity now", target_cluster=here.name, was=before.uid, uid=uid)
    here.book.forgive()
    here.queue.reset_backoff()
    here.doubted = here.rights_doubted = False
    _set(here, structs.replace(before, uid=uid, version=version.git_version))


def come_up(here: Station) -> None:
    """The cluster answered all that it was asked."""
    before = here.contact.value
    phase = Phase.PAUSED if here.member.settings.paused else Phase.UP
    if before.phase is phase:
        return
    log.info("Cluster is up", target_cluster=here.name, server_version=before.version, paused=phase is Phase.PAUSED)
    _set(here, Contact(phase=phase, since=here.setting.clock(), uid=before.uid, version=before.version))


def advised(failure: PortError) -> str:
    """Say why there is no contact, and what to do where a refusal tells."""
    match failure:
        case Forbidden():
            return f"{failure}; renew the role there: {print_role('target')}"
        case Unauthorized():
            return f"{failure}; renew the credential in its kubeconfig"
        case _:
            return str(failure)


def degrade(here: Station, failure: PortError, delay: float) -> None:
    """There is no contact: say so, and that what is known is not the whole picture any more."""
    before, now = here.contact.value, here.setting.clock()
    message = advised(failure)
    if (before.phase, before.reason) != (Phase.DEGRADED, failure.reason.value):
        log.warning("Cluster is degraded", target_cluster=here.name, reason=failure.reason.value, message=message)
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
        here.start_anew()
    return await here.setting.claims.claim(uid, here.name)


async def _identity(here: Station) -> Uid:
    """Ask who the cluster is; a connection from before, to a server that is gone, must not cost much time."""
    with anyio.move_on_after(IDENTITY_SECONDS):
        return await here.client.identity()
    message = f"{here.name}: no answer to GET namespace kube-system within {IDENTITY_SECONDS:.0f} s"
    raise Transient(message, reason=Reason.TIMEOUT)


def _delay(failure: PortError, retries: Retries) -> float:
    return failure.retry_after if isinstance(failure, Throttled) else retries.next()


def _patient_until(here: Station, checked: float) -> float:
    """Return until when silence is nothing to worry about."""
    heard = max(checked, here.client.last_byte_at)
    if here.sending:
        return min(heard + QUIET_SECONDS, max(heard, here.sending_since) + BUSY_QUIET_SECONDS)
    return heard + QUIET_SECONDS


def _slot(here: Station, retries: Retries) -> AbstractAsyncContextManager[object]:
    """Degraded clusters probe from a small pool, so that many dead ones do not crowd out the living."""
    return here.setting.probes if retries.attempts else nullcontext()


def _set(here: Station, contact: Contact) -> None:
    here.contact.set(contact)
    here.touch()
