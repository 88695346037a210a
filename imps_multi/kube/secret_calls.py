"""The requests that read and write single Secrets, and what the answers to writes say.

Pure. The bodies come prebuilt from the planner; answers to writes are asked for as metadata only, so that no data comes
back, unless somebody wants to see what was stored (``whole``).
Used by ``target_client``.
"""

import re
from typing import Final
from urllib.parse import quote

import msgspec

from imps_multi.kube.decode import PARTIAL, WHOLE, digested
from imps_multi.kube.transport import Call
from imps_multi.kube.wire import IDENTIFIED
from imps_multi.model.names import FIELD_MANAGER, NamespaceName, SecretName, Uid
from imps_multi.ports import Written

MERGE_PATCH: Final = "application/merge-patch+json"
_PLAIN: Final = re.compile(r"[a-z0-9.-]+")
MANAGED: Final = f"?fieldManager={FIELD_MANAGER}"


def secrets_path(namespace: NamespaceName, name: SecretName | None = None) -> str:
    """Return the path of a namespace's Secrets, or of one."""
    if _PLAIN.fullmatch(namespace + (name or "")) is None:  # never with a name that Kubernetes takes
        return _joined(quote(namespace, safe=""), None if name is None else quote(name, safe=""))
    return _joined(namespace, name)


def read(namespace: NamespaceName, name: SecretName) -> Call:
    """GET, whole: its content is to be digested."""
    return Call(f"read Secret {namespace}/{name}", "GET", secrets_path(namespace, name), WHOLE)


def create(namespace: NamespaceName, body: bytes, *, whole: bool = False) -> Call:
    """POST; the server refuses a name that is taken."""
    return Call(f"create a Secret in {namespace}", "POST", secrets_path(namespace) + MANAGED, _shape(whole=whole), body)


def replace(namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False) -> Call:
    """PUT."""
    path = secrets_path(namespace, name) + MANAGED
    return Call(f"replace Secret {namespace}/{name}", "PUT", path, _shape(whole=whole), body)


def patch(namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False) -> Call:
    """PATCH with a JSON merge patch."""
    path = secrets_path(namespace, name) + MANAGED
    return Call(f"patch Secret {namespace}/{name}", "PATCH", path, _shape(whole=whole), body, MERGE_PATCH)


def delete(namespace: NamespaceName, name: SecretName, uid: Uid, resource_version: int) -> Call:
    """DELETE what was seen, and nothing else."""
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": uid, "resourceVersion": str(resource_version)},
    }
    body = msgspec.json.encode(options)
    return Call(f"delete Secret {namespace}/{name}", "DELETE", secrets_path(namespace, name), PARTIAL, body)


def written(answer: bytes) -> Written:
    """Read the answer to a create or an update. Raises msgspec.DecodeError."""
    metadata = IDENTIFIED.decode(answer).metadata
    return Written(Uid(metadata.uid), metadata.resource_version)


def written_whole(answer: bytes) -> Written:
    """Read the answer to a create or an update that was asked for whole. Raises msgspec.DecodeError."""
    stored = digested(answer)
    return Written(stored.uid, stored.resource_version, stored)


def _joined(namespace: str, name: str | None) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name is not None else "")


def _shape(*, whole: bool) -> str:
    return WHOLE if whole else PARTIAL
