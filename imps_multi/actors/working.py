"""The workers of one cluster: they take a namespace, plan it once more, and make the writes that are due, one by one.

Each write is tried once; the queue's backoff is the only retry. The answer is folded into the book at once, so that the
watch event which follows changes nothing. Cancelled inside a write, its outcome is unknown, and the next list shows it.
"""

import math
import re

import anyio
import structlog
from anyio.lowlevel import checkpoint
from msgspec import structs

from imps_multi.actors.contact import Lost
from imps_multi.actors.station import Station
from imps_multi.model.book import Due
from imps_multi.model.failures import Failure
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.target_plan import Create, Delete, TargetPlan, Update
from imps_multi.model.wording import print_role
from imps_multi.model.writing import patch_body
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    PortError,
    Throttled,
    Transient,
    Unauthorized,
    WriteRecord,
    Written,
)
from imps_multi.runtime.keyed_queue import Lane
from imps_multi.runtime.monotonic import current_time

QUIET_SECONDS = 10.0
"""Between two warnings that requests of one kind are refused for one name."""
STALE_SECONDS = 0.05
"""A plan that waited longer for its turn is made again."""
_ROLE_REFUSED = re.compile(r" cannot \w+ resource ")
"""How an API server's authorizer words a refusal."""

log = structlog.get_logger()


async def keep_working(here: Station, lost: Lost, least: Lane = Lane.ROUTINE) -> None:
    """Work for as long as there is contact, on what is in that lane or a higher one; end where others wait for work.

    Leave to send is got first, so that the most urgent key has its use. Routine work needs a place in the cluster's
    window and one of the fleet's as well, so that a new namespace does not wait for a whole refresh.
    """
    await checkpoint()  # one who is hired while everybody leaves begins nothing
    leave = False
    while not (least is Lane.ROUTINE and here.queue.spare):
        if leave:
            await checkpoint()  # the last key took no time at all
        elif not here.limiter.take_nowait():
            await here.limiter.take()
            if least is Lane.ROUTINE and here.queue.spare:
                here.limiter.give_back()
                return
        taken = here.queue.take_nowait(least) or await here.queue.take(least)
        try:
            if taken.lane is Lane.URGENT:
                leave = not await work_on(here, taken.key, lost)
            else:
                async with here.slots.place(), here.setting.places.place():
                    leave = not await work_on(here, taken.key, lost)
        finally:
            here.queue.done(taken.key)
            here.touch()


async def work_on(here: Station, namespace: NamespaceName, lost: Lost) -> bool:
    """Make every write that a namespace needs now; tell whether there was any. Leave for the first is there."""
    now = here.setting.clock()
    if unread := here.book.unread(namespace):
        await _read_all(here, namespace, unread, lost)
        return True
    plans = here.book.writes(namespace, now=now)
    if not plans or here.writes_nothing:
        here.queue.forget(namespace)
        here.enqueue(due for due in here.book.look(namespace, now=now) if due.at is not None)
        return False
    failed = False
    planned = moment = current_time()
    for number, early in enumerate(plans):
        if number:
            await here.limiter.take()
            moment = current_time()
        if moment < here.quiet_until or here.setting.closing.is_set:
            await _hold_back(here)
            moment = current_time()
        plan: TargetPlan | None = early
        if moment - planned > STALE_SECONDS:
            plan = _again(here, early)
        if plan is not None:
            failed |= not await carry_out(here, plan, lost)
    if not failed:
        here.queue.forget(namespace)
    return True


async def _hold_back(here: Station) -> None:
    """Wait until the cluster may be asked again."""
    if current_time() < here.quiet_until:
        await anyio.sleep_until(here.quiet_until)
    if here.setting.closing.is_set:
        await anyio.sleep_forever()  # nothing new is begun; whoever ends us says when


async def carry_out(here: Station, plan: TargetPlan, lost: Lost) -> bool:
    """Make one write; tell whether it, or what it found, settles the matter for now."""
    started = current_time()
    here.begin_write()
    here.book.sending(plan)
    try:
        with here.setting.in_flight:
            dues = await send(here, plan)
    except PortError as failure:
        note_write(here, plan, type(failure).__name__)
        return _failed(here, plan, failure, lost)
    finally:
        here.end_write()
        _end(here, plan)
    here.answered(started)
    if dues:
        here.enqueue(dues)
    return True


def _end(here: Station, plan: TargetPlan) -> None:
    """Have read what somebody else did to the target meanwhile."""
    here.book.sent(plan)
    if here.book.unread(plan.namespace):
        here.enqueue(here.book.look(plan.namespace, now=here.setting.clock()))


async def _read_all(here: Station, namespace: NamespaceName, names: list[SecretName], lost: Lost) -> None:
    """Read what moved on in a namespace, one by one; what follows from it is for the next turn. Leave for one is there.

    This is no write: it is done where nothing may be written too.
    """
    for number, name in enumerate(names):
        if number:
            await here.limiter.take()
        await _hold_back(here)
        if (told := here.book.to_read(namespace, name)) is None:
            continue  # a list was first
        started = current_time()
        try:
            secret = await here.client.read_secret(namespace, name)
        except NotFound:
            secret = None
        except PortError as failure:
            if isinstance(failure, Forbidden):
                _tell_refused(here, "Read was refused", namespace, name, failure)
            _take_in(here, failure, lost)
            here.book.targets.unreadable((namespace, name), _explained(name, failure))
            here.queue.retry(namespace)
            return
        here.answered(started)
        dues = here.book.read(told, secret, now=here.setting.clock())
        if dues is None:
            here.queue.retry(namespace)  # older than what the watch told: the next may not be
            return
        here.enqueue(dues)
    here.queue.forget(namespace)


def _again(here: Station, plan: TargetPlan) -> TargetPlan | None:
    """Plan once more what had to wait for its turn."""
    plans = here.book.writes(plan.namespace, now=here.setting.clock())
    return next((one for one in plans if one.name == plan.name), None)


async def send(here: Station, plan: TargetPlan) -> list[Due]:
    """Make the write of a plan and fold the answer in; return what is due then. Raises PortError."""
    namespace, name, whole = plan.namespace, plan.name, here.book.answers.whole(plan.name)
    match plan.write:
        case Create(wanted=wanted):
            body = wanted.body(namespace, name)
            return _written(here, plan, await here.client.create_secret(namespace, body, whole=whole))
        case Update(wanted=wanted, put=True) as update if wanted is not None:
            body = wanted.body(namespace, name, update.resource_version)
            return _written(here, plan, await here.client.replace_secret(namespace, name, body, whole=whole))
        case Update() as update:
            body = patch_body(update)
            return _written(here, plan, await here.client.patch_secret(namespace, name, body, whole=whole))
        case Delete() as delete:
            return await _delete(here, plan, delete)
        case None:
            return []


async def _delete(here: Station, plan: TargetPlan, delete: Delete) -> list[Due]:
    if delete.check and (who := await here.client.references(plan.namespace, plan.name)) is not None:
        log.info("Deletion waits", target_cluster=here.name, namespace=plan.namespace, secret=plan.name, named_by=who)
        return here.book.referenced(plan, now=here.setting.clock())
    version = delete.resource_version
    await here.client.delete_secret(plan.namespace, plan.name, uid=delete.uid, resource_version=version)
    note_write(here, plan, "ok")
    return here.book.gone(plan, now=here.setting.clock())


def _written(here: Station, plan: TargetPlan, written: Written) -> list[Due]:
    now = here.setting.clock()
    note_write(here, plan, "ok", uid=written.uid)
    record = here.book.observed.namespaces.get(plan.namespace)
    if isinstance(plan.write, Create) and record is not None and record.seen_at:
        here.setting.signals.onboarded(max(0.0, now - max(record.seen_at, here.adopted_at)))
        here.book.observed.namespaces[plan.namespace] = structs.replace(record, seen_at=0.0)
    return here.book.written(plan, written.uid, written.resource_version, now=now, stored=written.stored)


def _failed(here: Station, plan: TargetPlan, failure: PortError, lost: Lost) -> bool:
    now = here.setting.clock()
    match failure:
        case NamespaceTerminating():
            here.enqueue(here.book.terminating(plan.namespace, now=now))
            return True
        case NotFound() if not isinstance(plan.write, Create):
            here.enqueue(here.book.gone(plan, now=now))
            return True
        case AlreadyExists() | Conflict():
            pass  # the watch shows what is there; until then the backoff keeps us polite
        case Forbidden() | Invalid():
            _tell_refused(here, "Write was refused", plan.namespace, plan.name, failure)
        case _:
            _take_in(here, failure, lost)
    if not isinstance(failure, (AlreadyExists, Conflict)):
        here.book.targets.failed(plan, _explained(plan.name, failure))
    here.queue.retry(plan.namespace)
    return False


def _tell_refused(here: Station, event: str, namespace: NamespaceName, name: SecretName, failure: PortError) -> None:
    """Log what a server will not have, but not thousands alike: the metrics count them, the status names some."""
    now, said = current_time(), here.told_refused.get((event, name), -math.inf)
    if now - said < QUIET_SECONDS:
        return
    here.told_refused[event, name] = now
    if _lacks_right(failure):
        here.suspect_rights()
    message = _explained(name, failure).message
    log.warning(event, target_cluster=here.name, namespace=namespace, secret=name, message=message)


def _take_in(here: Station, failure: PortError, lost: Lost) -> None:
    """Take in what a failure says of the cluster as a whole."""
    match failure:
        case Unauthorized():
            lost(failure)
        case Throttled():
            here.be_quiet(failure.retry_after)
        case Transient():
            here.limiter.halve()
            here.suspect()
        case _:
            pass


def _lacks_right(failure: PortError) -> bool:
    return isinstance(failure, Forbidden) and _ROLE_REFUSED.search(str(failure)) is not None


def _explained(name: SecretName, failure: PortError) -> Failure:
    """Say why a request failed; a quota or an admission rule refuses with a 403 too, and no role helps there."""
    message = str(failure)
    if _lacks_right(failure):
        message += f"; renew the role there: {print_role('target', name)}"
    return Failure(type(failure).__name__, message)


def note_write(here: Station, plan: TargetPlan, result: str, *, uid: str = "") -> None:
    """Tell of a write: to the audit log and the metrics."""
    operation, expires_at = "update", None
    match plan.write:
        case Create(wanted=wanted):
            operation, expires_at = "create", wanted.payload.expires_at
        case Update(uid=there, wanted=changed):
            uid = uid or there
            expires_at = None if changed is None else changed.payload.expires_at
        case Delete(uid=there):
            operation, uid = "delete", there
        case None:
            return
    here.setting.signals.write(
        WriteRecord(
            time=here.setting.clock(),
            cluster=here.name,
            namespace=plan.namespace,
            name=plan.name,
            uid=uid,
            operation=operation,
            policy=plan.policy or plan.lines[0].policy,
            why=plan.why,
            expires_at=expires_at,
            result=result,
        )
    )
