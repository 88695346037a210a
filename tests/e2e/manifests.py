"""What the hub of these tests holds: policies and source Secrets as manifests.

Pure; feeds ``Site`` and the tests.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tests.e2e.registry import ACCOUNT, REGION, Registry
from tests.realcluster.client import Manifest

Spec: TypeAlias = dict[str, Any]  # part of a manifest, in Kubernetes' own shape

HOME = "registry-access"
PULL = "pull"
DOCKER_HOST = "registry.example.com"


def policy(
    name: str,
    *,
    sources: Iterable[str],
    namespaces: Mapping[str, object],
    secret: str | Mapping[str, object] = PULL,
    clusters: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
    **spec: object,
) -> Manifest:
    """Return an ImagePullSecret."""
    target = {
        "clusters": dict(clusters or {"names": ["*"]}),
        "namespaces": dict(namespaces),
        "secret": {"name": secret} if isinstance(secret, str) else dict(secret),
    }
    return {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {
            "registry": {"credentials": [{"name": one, "namespace": HOME} for one in sources]},
            "target": target,
            **spec,
        },
    }


def docker_source(
    name: str, *, host: str = DOCKER_HOST, username: str = "robot", password: str, namespace: str = HOME
) -> Manifest:
    """Return a source of type dockerconfigjson with one registry."""
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    config = {"auths": {host: {"username": username, "password": password, "auth": auth}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps(config)},
    }


def ecr_source(name: str, registry: Registry, *, endpoint: bool = True) -> Manifest:
    """Return an ECR source with the registry's key; without ``endpoint`` the environment must name it."""
    credential = registry.ecr.credential
    data = {
        "region": REGION,
        "accountID": ACCOUNT,
        "accessKeyID": credential.access_key,
        "secretKey": credential.secret_key,
    }
    if endpoint:
        data["ecrEndpointURL"] = registry.url
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": HOME},
        "type": "banzaicloud.io/aws-ecr-login-config",
        "stringData": data,
    }
