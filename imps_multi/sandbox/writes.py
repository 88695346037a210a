"""Create, replace, patch: what a write must pass before the store takes it.

Synchronous from the first look to the last, so no two writes interleave. The order of the checks is that of
k8s.io/apiserver `pkg/registry/generic/registry/store.go` and `pkg/endpoints/handlers`. Fed by the server, writes to
the store, refuses with ApiError.
"""

from imps_multi.sandbox import kinds
from imps_multi.sandbox.merge_patch import merge
from imps_multi.sandbox.metadata import carry_over, check_metadata, generate_name, settle_namespace
from imps_multi.sandbox.objects import Draft, Entry, decode, decode_document, render, section, text
from imps_multi.sandbox.resources import NAMESPACES, Resource
from imps_multi.sandbox.routes import Target
from imps_multi.sandbox.status import (
    already_exists,
    bad_request,
    conflict,
    failure,
    field_error,
    invalid,
    terminating,
)
from imps_multi.sandbox.store import Store

__all__ = ["create", "patch", "replace"]

_STALE = "the object has been modified; please apply your changes to the latest version and try again"


def create(store: Store, target: Target, body: bytes, *, dry_run: bool = False) -> Entry:
    """Answer a POST."""
    resource = target.resource
    draft = decode(resource, decode_document(body))
    meta = draft.meta
    settle_namespace(meta, target.namespace)
    generate_name(meta)
    _admit(store, target, meta.name)
    if meta.resource_version:
        raise failure(500, "resourceVersion should not be set on objects to be created")
    meta.uid, meta.creation_timestamp, meta.deletion_timestamp = "", None, None
    kinds.read(resource, draft)
    store.admission(resource, draft)
    kinds.start(resource, draft)
    causes = [*check_metadata(resource, meta), *kinds.check(resource, draft)]
    if causes:
        raise invalid(resource.kind, meta.name, causes, group=resource.group)
    if store.find(resource, meta.namespace, meta.name) is not None:
        raise already_exists(resource, meta.name)
    return render(resource, draft, store.version) if dry_run else store.write(resource, draft)


def _admit(store: Store, target: Target, name: str) -> None:
    """Stand in for the NamespaceLifecycle admission plugin."""
    if not target.resource.namespaced:
        return
    namespace = store.fetch(NAMESPACES, "", target.namespace)
    if text(namespace.draft().rest, "status", "phase") == "Terminating":
        raise terminating(target.resource, name, target.namespace)


def replace(store: Store, target: Target, body: bytes, *, dry_run: bool = False) -> Entry:
    """Answer a PUT."""
    draft = decode(target.resource, decode_document(body))
    _check_address(draft, target)
    current = store.fetch(target.resource, target.namespace, target.name)
    if draft.meta.uid not in {"", current.uid}:
        why = f"Precondition failed: UID in precondition: {draft.meta.uid}, UID in object meta: {current.uid}"
        raise conflict(target.resource, target.name, why)
    return _update(store, target, draft, current, dry_run=dry_run)


def patch(store: Store, target: Target, body: bytes, *, dry_run: bool = False) -> Entry:
    """Answer a JSON merge patch."""
    change = decode_document(body)
    current = store.fetch(target.resource, target.namespace, target.name)
    document = merge(decode_document(current.body), change)
    assert isinstance(document, dict)
    draft = decode(target.resource, document)
    _check_address(draft, target)
    return _update(store, target, draft, current, dry_run=dry_run)


def _check_address(draft: Draft, target: Target) -> None:
    if draft.meta.name != target.name:
        raise bad_request(
            f"the name of the object ({draft.meta.name}) does not match the name on the URL ({target.name})"
        )
    settle_namespace(draft.meta, target.namespace)


def _update(store: Store, target: Target, draft: Draft, current: Entry, *, dry_run: bool) -> Entry:
    resource, before = target.resource, current.draft()
    _check_version(resource, draft, current)
    carry_over(draft.meta, before.meta)
    draft = _through_door(target, draft, before)
    kinds.read(resource, draft)
    store.admission(resource, draft)
    kinds.count_generation(resource, draft, before)
    causes = check_metadata(resource, draft.meta, before.meta)
    causes += kinds.check_update(resource, draft, before)
    causes += kinds.check(resource, draft)
    if causes:
        raise invalid(resource.kind, target.name, causes, group=resource.group)
    draft.meta.resource_version = before.meta.resource_version
    if draft.same_as(before):
        return current
    if dry_run:
        return render(resource, draft, current.version)
    if _released(draft):
        return store.remove(current)
    return store.write(resource, draft)


def _check_version(resource: Resource, draft: Draft, current: Entry) -> None:
    given = draft.meta.resource_version
    if not given and not resource.unconditional_update:
        causes = [field_error("metadata.resourceVersion", "Invalid value", "0x0: must be specified for an update")]
        raise invalid(resource.plural, current.name, causes, group=resource.group)
    if given and given != str(current.version):
        raise conflict(resource, current.name, _STALE)


def _through_door(target: Target, draft: Draft, before: Draft) -> Draft:
    """Let a request change only the half of the object that its subresource owns."""
    if target.subresource == "status":
        rest = dict(before.rest)
        result = Draft(before.meta, rest)
        kinds.with_status_of(result, draft)
        return result
    if target.subresource == "finalize":
        return Draft(before.meta, {**before.rest, "spec": section(draft.rest, "spec")})
    if target.resource.status:
        kinds.with_status_of(draft, before)
    if target.resource is NAMESPACES:
        draft.rest["spec"] = before.rest.get("spec", {})
    return draft


def _released(draft: Draft) -> bool:
    """Whether nothing holds an object back that is being deleted."""
    held = bool(draft.meta.finalizers) or bool(section(draft.rest, "spec").get("finalizers"))
    return bool(draft.meta.deletion_timestamp) and not held
