"""What a server says of itself: version, health, groups, and the answer to SelfSubjectAccessReview.

Pure. Enough for clients that look before they ask, kubectl among them. Used by the server for paths that are no
objects.
"""

import msgspec

from imps_multi.sandbox.resources import RESOURCES, Resource, find
from imps_multi.sandbox.routes import Target
from imps_multi.sandbox.status import bad_request

__all__ = ["HEALTH", "REVIEW_PATH", "describe", "is_served", "read_review", "review_answer"]

HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
REVIEW_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
_ROOT_PARTS = 2  # api/v1
_GROUP_PARTS = 3  # apis/GROUP/VERSION


def describe(path: str, version: str) -> bytes | None:
    """Return the document that lies at a path, or None."""
    parts = tuple(part for part in path.split("/") if part)
    if parts == ("version",):
        return _encode(_version(version))
    if parts == ("api",):
        return _encode({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
    if parts == ("apis",):
        return _encode({"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()})
    if parts[:1] == ("api",) and len(parts) == _ROOT_PARTS:
        return _resource_list("", parts[1])
    if parts[:1] == ("apis",) and len(parts) == _GROUP_PARTS:
        return _resource_list(parts[1], parts[2])
    return None


def is_served(path: str) -> bool:
    """Whether a path lies under a group and version of which anything is served."""
    parts = path.split("/")
    place = ("", parts[2]) if parts[1:2] == ["api"] and len(parts) > _ROOT_PARTS else tuple(parts[2:4])
    return any((each.group, each.version) == place for each in RESOURCES)


def _encode(document: object) -> bytes:
    return msgspec.json.encode(document)


def _version(version: str) -> dict[str, str]:
    major, minor = version.removeprefix("v").split(".")[:2]
    return {"major": major, "minor": minor, "gitVersion": version, "platform": "imps-multi/sandbox"}


def _groups() -> list[dict[str, object]]:
    served = {(each.group, each.version) for each in RESOURCES if each.group} | {("authorization.k8s.io", "v1")}
    return [_group(group, version) for group, version in sorted(served)]


def _group(group: str, version: str) -> dict[str, object]:
    named = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [named], "preferredVersion": named}


def _resource_list(group: str, version: str) -> bytes | None:
    found = [each for each in RESOURCES if (each.group, each.version) == (group, version)]
    rows = [row for each in found for row in _rows(each)]
    if (group, version) == ("authorization.k8s.io", "v1"):
        review = {"name": "selfsubjectaccessreviews", "kind": "SelfSubjectAccessReview", "singularName": ""}
        rows = [{**review, "namespaced": False, "verbs": ["create"]}]
    if not rows:
        return None
    name = f"{group}/{version}" if group else version
    return _encode({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows})


def _rows(resource: Resource) -> list[dict[str, object]]:
    row: dict[str, object] = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "kind": resource.kind,
        "namespaced": resource.namespaced,
        "verbs": list(_VERBS),
        "shortNames": list(resource.short_names),
    }
    if not resource.status:
        return [row]
    return [row, {**row, "name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"], "shortNames": []}]


class _Attributes(msgspec.Struct, frozen=True):
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class _ReviewSpec(msgspec.Struct, frozen=True, rename="camel"):
    resource_attributes: _Attributes = _Attributes()


class _Review(msgspec.Struct, frozen=True):
    spec: _ReviewSpec = _ReviewSpec()


def read_review(document: dict[str, object]) -> tuple[str, Target | None]:
    """Return the verb and target that a SelfSubjectAccessReview asks about.

    Raises:
        ApiError: 400, it is none.
    """
    try:
        wanted = msgspec.convert(document, _Review).spec.resource_attributes
    except msgspec.ValidationError as error:
        raise bad_request(str(error)) from error
    resource = _served(wanted)
    if resource is None:
        return wanted.verb, None
    return wanted.verb, Target(resource, wanted.namespace, wanted.name, wanted.subresource)


def _served(wanted: _Attributes) -> Resource | None:
    if wanted.version not in {"", "*"}:
        return find(wanted.group, wanted.version, wanted.resource)
    found = (each for each in RESOURCES if (each.group, each.plural) == (wanted.group, wanted.resource))
    return next(found, None)


def review_answer(document: dict[str, object], *, allowed: bool) -> bytes:
    """Return the review with its status."""
    return _encode({**document, "status": {"allowed": allowed}})
