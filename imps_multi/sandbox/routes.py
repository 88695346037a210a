"""From a method and a path to what is asked of which object.

Pure. Follows `RequestInfo` of k8s.io/apiserver, whose verbs are also those of RBAC. Used by the server for every
request.
"""

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from imps_multi.sandbox.resources import NAMESPACES, Resource, find

__all__ = ["Target", "flag", "parse", "verb_of"]

_SUBRESOURCES = {"status", "finalize"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Target(msgspec.Struct, frozen=True):
    """What a path names: a collection when `name` is empty."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str) -> Target | None:
    """Return what a path names, or None where nothing is served."""
    parts = [part for part in path.split("/") if part]
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if parts[:1] == ["api"]:
        group, version, rest = "", parts[1] if len(parts) > 1 else "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 2:  # noqa: PLR2004, apis/GROUP/VERSION
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if not rest:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _SUBRESOURCES:  # noqa: PLR2004, namespaces/NAME/KIND
        namespace, rest = rest[1], rest[2:]
    return _target(find(group, version, rest[0]), namespace, rest[1:])


def _target(resource: Resource | None, namespace: str, rest: list[str]) -> Target | None:
    name, subresource, surplus = (*rest, "", "")[0], (*rest, "", "")[1], rest[2:]
    if resource is None or surplus or (namespace and not resource.namespaced):
        return None
    if name and resource.namespaced and not namespace:
        return None
    if subresource and not _has_door(resource, subresource):
        return None
    return Target(resource, namespace, name, subresource)


def _has_door(resource: Resource, subresource: str) -> bool:
    return (subresource == "status" and resource.status) or (subresource == "finalize" and resource is NAMESPACES)


def verb_of(method: str, target: Target, query: Mapping[str, str]) -> str:
    """Return the verb as RBAC names it, empty where the method makes no sense there."""
    if method == "GET" and not target.name and flag(query, "watch"):
        return "watch"
    return (_OBJECT_VERBS if target.name else _COLLECTION_VERBS).get(method, "")


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether a boolean parameter is set, as Go reads one."""
    return query.get(name, "").lower() in {"1", "t", "true"}
