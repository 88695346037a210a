"""The namespace and the Secret that the tests on whole clusters are about."""

import base64
from typing import Any

import msgspec

from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.ports import (
    WatchNamespaces,
    WatchSecrets,
)
from tests.kube.scripted import MARKER

A, PULL = NamespaceName("team-a"), SecretName("pull")
NAMESPACES, SECRETS = WatchNamespaces(), WatchSecrets(PULL)


def config(password: str = MARKER) -> bytes:
    return msgspec.json.encode({"auths": {"r.example": {"auth": base64.b64encode(f"u:{password}".encode()).decode()}}})


def secret(content: bytes = config(), *, name: str = "pull", **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, **meta},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(content).decode()},
    }


def body(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document)
