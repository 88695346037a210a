"""Secrets as an API server keeps them, and what a watch would show of them: the other side of every plan.

Independent of how the planner thinks: bodies are parsed as JSON, applied by the rules of POST, PUT, merge patch and
DELETE, and read back as an adapter reads them.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import cast

from imps_multi.model.digest import text_digest
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.names import OUR_ANNOTATIONS, OUR_LABELS, NamespaceName, SecretName, Uid
from imps_multi.model.observed import Marks, Owners, Pairs, SeenSecret
from imps_multi.model.target_plan import Create, Delete, TargetPlan, Update
from imps_multi.model.writing import patch_body
from tests import kubelet

Object = dict[str, object]
KEY = ".dockerconfigjson"


def made(
    content: bytes = b"{}",
    *,
    name: str = "pull",
    namespace: str = "team-a",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    kind: str = "kubernetes.io/dockerconfigjson",
    uid: str = "uid-1",
    version: int = 1,
    extra_data: Iterable[str] = (),
    immutable: bool = False,
    finalizers: Iterable[str] = (),
    owners: Iterable[Mapping[str, object]] = (),
) -> Object:
    """Make a Secret that lies in a cluster."""
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "resourceVersion": str(version),
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
    }
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    if owners:
        metadata["ownerReferences"] = [dict(one) for one in owners]
    found: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": {KEY: b64encode(content).decode()} | dict.fromkeys(extra_data, "eA=="),
    }
    if immutable:
        found["immutable"] = True
    return found


def metadata_of(found: Object) -> Object:
    """Return an object's metadata."""
    return cast("Object", found["metadata"])


def texts(values: object) -> dict[str, str]:
    """Return a map of texts that may be missing."""
    return cast("dict[str, str]", values or {})


def content_of(found: Object) -> bytes:
    """Return the docker config that lies in a Secret."""
    return b64decode(texts(found["data"])[KEY])


def observe(found: Object | None) -> SeenSecret | None:
    """Look at a Secret as the watch does."""
    if found is None:
        return None
    metadata, data = metadata_of(found), texts(found.get("data"))
    content, registries = fingerprint(b64decode(data.get(KEY, "")))
    return SeenSecret(
        uid=Uid(str(metadata["uid"])),
        resource_version=int(str(metadata["resourceVersion"])),
        type=str(found["type"]),
        content=content,
        marks=Marks(
            labels=_veiled(metadata.get("labels"), OUR_LABELS),
            annotations=_veiled(metadata.get("annotations"), OUR_ANNOTATIONS),
            finalizers=bool(metadata.get("finalizers")),
            owners=_owners(cast("list[Object]", metadata.get("ownerReferences") or [])),
        ),
        registries=registries,
        foreign_keys=frozenset(data) - {KEY},
        immutable=bool(found.get("immutable")),
    )


def _owners(references: list[Object]) -> Owners:
    theirs = [one for one in references if one["kind"] == "ImagePullSecret"]
    others = [one for one in references if one not in theirs]
    return Owners(
        there=bool(references),
        controller=next((str(one["kind"]) for one in others if one.get("controller")), ""),
        imps=bool(theirs),
        others=json.dumps(others) if theirs else "",
    )


def _veiled(values: object, clear: frozenset[str]) -> Pairs:
    return tuple(sorted((key, value if key in clear else text_digest(value)) for key, value in texts(values).items()))


def carry_out(found: Object | None, plan: TargetPlan) -> Object | None:
    """Do what an API server would do with a plan's write; it fails where that, or a kubelet later, would refuse."""
    after = _carried_out(found, plan)
    if after is not None and isinstance(plan.write, Create | Update) and plan.write.wanted is not None:
        kubelet.keyring(str(after["type"]), {key: b64decode(value) for key, value in texts(after["data"]).items()})
    return after


def _carried_out(found: Object | None, plan: TargetPlan) -> Object | None:
    match plan.write:
        case Create(wanted=wanted):
            assert found is None, "409 AlreadyExists"
            return _stored(_parsed(wanted.body(plan.namespace, plan.name)), plan, uid="uid-new", version=1)
        case Update(wanted=wanted, put=True) as update if wanted is not None:
            assert found is not None
            body = _parsed(wanted.body(plan.namespace, plan.name, update.resource_version))
            return _replaced(found, body, plan)
        case Update() as update:
            assert found is not None
            return _replaced(found, cast("Object", _merged(found, _parsed(patch_body(update)))), plan)
        case Delete() as delete:
            assert found is not None
            assert delete.uid == metadata_of(found)["uid"]
            assert str(delete.resource_version) == metadata_of(found)["resourceVersion"]
            return None
        case None:
            return found


def _parsed(body: bytes) -> Object:
    parsed: Object = json.loads(body)
    return parsed


def _replaced(before: Object, after: Object, plan: TargetPlan) -> Object:
    there = metadata_of(before)
    assert metadata_of(after).get("resourceVersion") == there["resourceVersion"], "409 Conflict"
    assert after["type"] == before["type"], "422: type is immutable"
    assert not before.get("immutable") or after["data"] == before["data"], "422: data is immutable"
    return _stored(after, plan, uid=str(there["uid"]), version=int(str(there["resourceVersion"])) + 1)


def _stored(after: Object, plan: TargetPlan, *, uid: str, version: int) -> Object:
    metadata = {**metadata_of(after), "uid": uid, "resourceVersion": str(version)}
    assert metadata["name"] == plan.name
    assert metadata["namespace"] == plan.namespace
    return {**after, "metadata": metadata}


def _merged(before: object, patch: object) -> object:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def place(namespace: str = "team-a", name: str = "pull") -> tuple[NamespaceName, SecretName]:
    """Name a target."""
    return NamespaceName(namespace), SecretName(name)
