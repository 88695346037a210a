"""DELETE: preconditions, finalizers, and namespaces that take their contents with them.

Synchronous. Without a controller-manager a namespace that is deleted stays Terminating; the sandbox can do either,
so that both that moment and a whole cluster can be tested. Fed by the server, writes to the store.
"""

import msgspec

from imps_multi.sandbox.objects import Entry, section
from imps_multi.sandbox.resources import NAMESPACES
from imps_multi.sandbox.routes import Target
from imps_multi.sandbox.status import bad_request, broken_precondition, forbidden, success
from imps_multi.sandbox.store import Store

__all__ = ["delete", "finish_namespace", "terminate"]

_IMMORTAL = {"default", "kube-system", "kube-public"}


class _Preconditions(msgspec.Struct, frozen=True, rename="camel"):
    uid: str | None = None
    resource_version: str | None = None


class _Options(msgspec.Struct, frozen=True, rename="camel"):
    preconditions: _Preconditions | None = None
    dry_run: list[str] | None = None


def delete(store: Store, target: Target, body: bytes, *, dry_run: bool, hold_namespaces: bool) -> bytes | Entry:
    """Answer a DELETE, with a Status or with the object as it now is.

    Raises:
        ApiError: 400, 403 for the namespaces that a cluster is born with, 404, 409 on a precondition.
    """
    options = _read(body)
    if target.resource is NAMESPACES and target.name in _IMMORTAL:
        raise forbidden(target.resource, target.name, "this namespace may not be deleted")
    entry = store.fetch(target.resource, target.namespace, target.name)
    _check(entry, options.preconditions or _Preconditions())
    if not (dry_run or options.dry_run):
        if target.resource is NAMESPACES:
            return _delete_namespace(store, entry, hold=hold_namespaces)
        if entry.draft().meta.finalizers:
            return terminate(store, entry)
        entry = store.remove(entry)
    return entry if target.resource.returns_deleted else success(target.resource, entry.name, entry.uid)


def _read(body: bytes) -> _Options:
    if not body:
        return _Options()
    try:
        return msgspec.json.decode(body, type=_Options)
    except msgspec.DecodeError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error


def _check(entry: Entry, wanted: _Preconditions) -> None:
    if wanted.uid is not None and wanted.uid != entry.uid:
        why = f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({entry.uid})"
        raise broken_precondition(
            entry.resource, entry.name, f"{why}. The object might have been deleted and then recreated"
        )
    if wanted.resource_version is not None and wanted.resource_version != str(entry.version):
        why = f"the ResourceVersion in the precondition ({wanted.resource_version}) does not match "
        why += f"the ResourceVersion in record ({entry.version})"
        raise broken_precondition(entry.resource, entry.name, f"{why}. The object might have been modified")


def terminate(store: Store, entry: Entry) -> Entry:
    """Mark an object as being deleted, and leave it there."""
    draft = entry.draft()
    if draft.meta.deletion_timestamp:
        return entry
    draft.meta.deletion_timestamp = store.timestamp()
    draft.meta.deletion_grace_period_seconds = None if entry.resource is NAMESPACES else 0
    if entry.resource is NAMESPACES:
        draft.rest["status"] = {**section(draft.rest, "status"), "phase": "Terminating"}
    return store.write(entry.resource, draft)


def _delete_namespace(store: Store, entry: Entry, *, hold: bool) -> Entry:
    terminating = terminate(store, entry)
    if not hold:
        finish_namespace(store, entry.name)
    return terminating


def finish_namespace(store: Store, name: str) -> None:
    """Do the controller-manager's part: empty a Terminating namespace and let it go, unless something holds it."""
    store.empty(name)
    entry = store.fetch(NAMESPACES, "", name)
    if not entry.draft().meta.finalizers:
        store.remove(entry)
