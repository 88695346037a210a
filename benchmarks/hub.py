"""A hub directory and a configuration for the service under test, and the credential that everybody delivers.

The credential is as large as one of ECR. Used by the workloads; the contenders get the same bytes.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any, Final

SECRET: Final = "registry-pull"
POLICY: Final = "everybody"
HUB: Final = "bench"
REGISTRY: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
PASSWORD_BYTES: Final = 1550
"""Gives a docker config of 4.2 KB in base64, as a token of ECR does."""


class HubDirectory:
    """Writes one policy with one static source, and a configuration beside it."""

    def __init__(self, directory: Path, kubeconfig: Path) -> None:
        self.root = directory
        self.manifests = directory / "hub"
        self.config = directory / "imps-multi.yaml"
        self._kubeconfig = kubeconfig
        self.manifests.mkdir(parents=True)
        self.configure()

    def configure(self, *, limits: dict[str, Any] | None = None, **more: Any) -> None:
        """Write the configuration; ``limits`` are its ``defaults``, ``more`` whole sections."""
        document = {
            "hub": {"id": HUB, "directory": str(self.manifests), "stateDirectory": str(self.root / "state")},
            "clusters": [{"kubeconfig": str(self._kubeconfig), "contexts": ["*"]}],
            "defaults": limits or {},
            "telemetry": {"metricsAddress": "", "healthAddress": "", "statusAddress": "", "logLevel": "warning"},
            **more,
        }
        _write(self.config, document)

    def put(self, name: str, manifest: dict[str, Any]) -> None:
        """Write a manifest."""
        _write(self.manifests / f"{name}.json", manifest)

    def deliver(self, password: str, *, label: str = "pull", secret: str = SECRET) -> None:
        """Ask for the Secret in every namespace with a label."""
        self.put("source", source(password))
        self.put("policy", policy(label, secret))


def password(mark: str) -> str:
    """Return a password of the usual length that begins with a mark."""
    text = f"{mark}-" + base64.b64encode(bytes(range(256)) * 8).decode()
    return text[:PASSWORD_BYTES]


def docker_config(word: str) -> bytes:
    """Return the docker config that is delivered."""
    entry = {"auth": base64.b64encode(f"AWS:{word}".encode()).decode(), "username": "AWS", "password": word}
    return json.dumps({"auths": {REGISTRY: entry}}, separators=(",", ":")).encode()


def source(word: str) -> dict[str, Any]:
    """Return the source Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "registry", "namespace": "registry-access"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(docker_config(word)).decode()},
    }


def policy(label: str, secret: str) -> dict[str, Any]:
    """Return the policy."""
    return {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": POLICY},
        "spec": {
            "registry": {"credentials": [{"name": "registry", "namespace": "registry-access"}]},
            "target": {
                "clusters": {"names": ["*"]},
                "namespaces": {"labels": [{"matchExpressions": [{"key": label, "operator": "Exists"}]}]},
                "secret": {"name": secret},
            },
        },
    }


def target(word: str, namespace: str, secret: str) -> dict[str, Any]:
    """Return a target as the service writes it, for contenders that write the same."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": HUB},
            "annotations": {"imps-multi.io/policy": POLICY, "imps-multi.io/deletion-policy": "WhenUnreferenced"},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(docker_config(word)).decode()},
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write a file in one move, as editors do."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(document), encoding="utf-8")
    os.replace(fresh, path)  # noqa: PTH105 - atomic on every platform, said so
