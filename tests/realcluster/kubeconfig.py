"""Kubeconfigs as users bring them, for one cluster or several.

Pure; feeds ``RealCluster.kubeconfig`` and the tests that write files for the service.
"""

import base64
from collections.abc import Mapping
from typing import Any, TypeAlias

from tests.realcluster.pki import Pair

Kubeconfig: TypeAlias = dict[str, Any]  # a YAML document that others define


def token_user(token: str) -> Mapping[str, str]:
    """Return a user that shows a token."""
    return {"token": token}


def certificate_user(pair: Pair) -> Mapping[str, str]:
    """Return a user that shows a client certificate."""
    return {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}


def single(name: str, *, server: str, ca_pem: bytes, user: Mapping[str, object]) -> Kubeconfig:
    """Return a kubeconfig with one context; cluster, user and context bear the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": _base64(ca_pem)}},
        ],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def joined(*configs: Kubeconfig) -> Kubeconfig:
    """Return one kubeconfig with the contexts of several, whose names must differ."""
    lists = {key: [entry for config in configs for entry in config[key]] for key in ("clusters", "users", "contexts")}
    return {**configs[0], **lists}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
