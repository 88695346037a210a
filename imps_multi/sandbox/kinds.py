"""What is particular to one kind when it is written: defaults, status behind its own door, generation, validation.

Pure. The generic rules are in `metadata`; this is the only file that tells kinds apart on a write.
"""

from imps_multi.sandbox.objects import Draft, section
from imps_multi.sandbox.resources import NAMESPACES, PODS, SECRETS, Resource
from imps_multi.sandbox.secret_rules import check_secret, check_secret_update, read_secret
from imps_multi.sandbox.status import Cause, field_error

__all__ = ["check", "check_update", "count_generation", "read", "start", "with_status_of"]

_NAME_LABEL = "kubernetes.io/metadata.name"


def read(resource: Resource, draft: Draft) -> None:
    """Bring what a client sent into the form in which the kind is kept."""
    if resource is SECRETS:
        read_secret(draft)
    elif resource is NAMESPACES:
        draft.meta.labels = {**(draft.meta.labels or {}), _NAME_LABEL: draft.meta.name}


def start(resource: Resource, draft: Draft) -> None:
    """Set what an object has from its birth, whatever its creator said."""
    if resource is NAMESPACES:
        draft.rest["spec"] = {"finalizers": ["kubernetes"]}
        draft.rest["status"] = {"phase": "Active"}
    elif resource is PODS:
        draft.rest["status"] = {"phase": "Pending"}
    elif resource.custom:
        draft.meta.generation = 1
        draft.rest.pop("status", None)


def with_status_of(draft: Draft, other: Draft) -> None:
    """Replace the status, where each door writes its own half of the object."""
    draft.rest.pop("status", None)
    if "status" in other.rest:
        draft.rest["status"] = other.rest["status"]


def count_generation(resource: Resource, draft: Draft, before: Draft) -> None:
    """Raise the generation of a custom object when anything but metadata and status changed."""
    if resource.custom and _wanted(draft) != _wanted(before):
        draft.meta.generation += 1


def _wanted(draft: Draft) -> dict[str, object]:
    return {key: value for key, value in draft.rest.items() if key != "status"}


def check(resource: Resource, draft: Draft) -> list[Cause]:
    """Return what is wrong with an object of that kind."""
    if resource is SECRETS:
        return check_secret(draft)
    if resource is PODS and not section(draft.rest, "spec").get("containers"):
        return [field_error("spec.containers", "Required value")]
    return []


def check_update(resource: Resource, draft: Draft, before: Draft) -> list[Cause]:
    """Return what of a change is not allowed."""
    if resource is SECRETS:
        return check_secret_update(draft, before)
    return []
