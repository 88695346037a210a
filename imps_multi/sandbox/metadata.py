"""What ObjectMeta must be, on a create and on an update.

Pure. The rules, their order and their words are those of k8s.io/apimachinery `pkg/api/validation/objectmeta.go` and
k8s.io/apiserver `pkg/registry/rest`. Used by writes.
"""

import secrets
from collections.abc import Callable, Mapping

from imps_multi.sandbox.names import (
    annotation_key_faults,
    dns_label_faults,
    dns_subdomain_faults,
    label_key_faults,
    label_value_faults,
)
from imps_multi.sandbox.objects import Meta
from imps_multi.sandbox.resources import Resource
from imps_multi.sandbox.status import Cause, bad_request, field_error

__all__ = ["carry_over", "check_metadata", "generate_name", "settle_namespace"]

_MAX_ANNOTATIONS = 256 * 1024
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_MAX_PREFIX = 58


def generate_name(meta: Meta) -> None:
    """Give an object without a name one, when it brings a prefix."""
    if not meta.name and meta.generate_name:
        suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX))
        meta.name = meta.generate_name[:_MAX_PREFIX] + suffix


def settle_namespace(meta: Meta, namespace: str) -> None:
    """Take the namespace from the URL.

    Raises:
        ApiError: 400, the object names another one.
    """
    if meta.namespace not in {"", namespace}:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    meta.namespace = namespace


def carry_over(meta: Meta, before: Meta) -> None:
    """Keep what an update can neither set nor remove."""
    meta.uid = meta.uid or before.uid
    meta.generation = before.generation
    meta.creation_timestamp = before.creation_timestamp
    meta.deletion_timestamp = before.deletion_timestamp
    meta.deletion_grace_period_seconds = before.deletion_grace_period_seconds
    meta.generate_name = meta.generate_name or before.generate_name


def check_metadata(resource: Resource, meta: Meta, before: Meta | None = None) -> list[Cause]:
    """Return what is wrong with an object's metadata, and with its change."""
    causes = _name_faults(resource, meta)
    if before is not None and meta.uid != before.uid:
        causes.append(field_error("metadata.uid", "Invalid value", f'"{meta.uid}": field is immutable'))
    causes += _keys("metadata.labels", meta.labels, label_key_faults)
    for value in (meta.labels or {}).values():
        causes += _invalid("metadata.labels", value, label_value_faults(value))
    causes += _keys("metadata.annotations", meta.annotations, annotation_key_faults)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in (meta.annotations or {}).items())
    if size > _MAX_ANNOTATIONS:
        detail = f"may not be more than {_MAX_ANNOTATIONS} bytes"
        causes.append(field_error("metadata.annotations", "Too long", detail))
    if before is not None and before.deletion_timestamp:
        causes += _added_finalizers(meta, before)
    return causes


def _name_faults(resource: Resource, meta: Meta) -> list[Cause]:
    if not meta.name:
        return [field_error("metadata.name", "Required value", "name or generateName is required")]
    check = dns_label_faults if resource.name_is_label else dns_subdomain_faults
    return _invalid("metadata.name", meta.name, check(meta.name))


def _keys(field: str, found: Mapping[str, str] | None, check: Callable[[str], list[str]]) -> list[Cause]:
    return [cause for key in found or {} for cause in _invalid(field, key, check(key))]


def _invalid(field: str, value: str, faults: list[str]) -> list[Cause]:
    return [field_error(field, "Invalid value", f'"{value}": {fault}') for fault in faults]


def _added_finalizers(meta: Meta, before: Meta) -> list[Cause]:
    added = sorted(set(meta.finalizers or ()) - set(before.finalizers or ()))
    if not added:
        return []
    detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
    return [field_error("metadata.finalizers", "Forbidden", detail)]
