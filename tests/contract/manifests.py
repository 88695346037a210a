"""The objects that the contract tests send."""

import base64
import json

from tests.contract.client import Document

PULL = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"


def encoded(text: str) -> str:
    """Return what `data` holds for a text."""
    return base64.b64encode(text.encode()).decode()


def config(password: str = "one") -> str:
    """Return a docker config as `data` holds it."""
    entry = {"username": "AWS", "password": password, "auth": encoded(f"AWS:{password}")}
    return encoded(json.dumps({"auths": {"registry.example": entry}}))


def secret(name: str = "pull", *, password: str = "one", **meta: object) -> Document:
    """Return a pull Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, **meta},
        "type": PULL,
        "data": {KEY: config(password)},
    }


def opaque(name: str, **fields: object) -> Document:
    """Return a Secret of no particular type."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **fields}


def namespace(name: str, **meta: object) -> Document:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **meta}}


def lease(name: str, holder: str) -> Document:
    """Return a Lease."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


def pod(name: str, **meta: object) -> Document:
    """Return a Pod that nobody will ever run."""
    containers = [{"name": "main", "image": "registry.example/app:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **meta},
        "spec": {"containers": containers, "automountServiceAccountToken": False},
    }


def event(name: str) -> Document:
    """Return an Event."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "name": "x", "namespace": "team-a"},
        "reason": "Tested",
        "type": "Normal",
    }
