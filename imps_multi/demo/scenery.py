"""What the demonstration consists of: names, namespaces, the hub's manifests and the configuration, as documents.

Pure. Which namespaces are selected stands here by name, and is not computed by the selectors that it checks. Feeds
the stage, which writes the files, and the inspection, which compares.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import yaml

HUB_ID: Final = "demo"
POLICY: Final = "team-apps"
SECRET: Final = "registry-pull"  # noqa: S105, the name of a Secret
CLUSTERS: Final = ("prod-eu", "prod-us", "prod-asia")
MORTAL: Final = "prod-asia"
"""The cluster that dies and comes back."""

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
ECR_HOST: Final = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DOCKER_HUB: Final = "https://index.docker.io/v1/"
LOGIN: Final = ("demo-robot", "not-a-real-password")
"""The static credential: a made-up user and password."""

LABEL: Final = {"images": "private"}
APPS: Final = tuple(f"app-{number:02}" for number in range(1, 12))
TOOLS: Final = tuple(f"tools-{number:02}" for number in range(1, 4))
LEGACY: Final = "legacy-01"
"""Not selected until its owner labels it."""
SELECTED: Final = frozenset({*APPS, *TOOLS})
OTHERS: Final = frozenset({"app-old", LEGACY, *(f"infra-{number:02}" for number in range(1, 5))})
NEWCOMER: Final = "app-12"

_POLICY_TEXT: Final = """\
apiVersion: images.banzaicloud.io/v1alpha1
kind: ImagePullSecret
metadata:
  name: {policy}
spec:
  registry:
    credentials:                      # merged into one Secret
      - {{name: ecr, namespace: registry-access}}
      - {{name: docker-hub, namespace: registry-access}}
  target:
    clusters: {{names: ["prod-*"]}}
    namespaces:
      names: {names}
      labels: [{{matchLabels: {{images: private}}}}]
      exclude: [app-old]
    secret: {{name: {secret}}}
"""


def policy(*, apps: bool = True) -> str:
    """Return the policy's manifest; without ``apps`` it no longer selects the app namespaces."""
    return _POLICY_TEXT.format(policy=POLICY, secret=SECRET, names='["app-*"]' if apps else "[]")


def labels_of(namespace: str) -> dict[str, str]:
    """Return what a namespace is labelled with at the start."""
    return dict(LABEL) if namespace in TOOLS else {}


def sources(*, access_key: str, secret_key: str, ecr_url: str) -> str:
    """Return the manifests of the two source Secrets."""
    ecr: dict[str, object] = {
        "type": "banzaicloud.io/aws-ecr-login-config",
        "stringData": {
            "region": REGION,
            "accountID": ACCOUNT,
            "accessKeyID": access_key,
            "secretKey": secret_key,
            "ecrEndpointURL": ecr_url,
            "stsEndpointURL": ecr_url,
        },
    }
    hub: dict[str, object] = {
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": docker_config({DOCKER_HUB: LOGIN})},
    }
    documents = [_secret("ecr", ecr), _secret("docker-hub", hub)]
    return yaml.safe_dump_all(documents, sort_keys=False)


def configuration(*, ecr_host: str, metrics: str, health: str, status: str) -> str:
    """Return the configuration file. ``ecr_host`` is host:port; the other three are addresses."""
    document = {
        "hub": {"id": HUB_ID, "directory": "./hub", "stateDirectory": "./state"},
        "clusters": [{"kubeconfig": "./fleet.kubeconfig", "contexts": ["prod-*"], "labels": {"env": "demo"}}],
        "sources": {"endpoints": [ecr_host]},
        "telemetry": {"metricsAddress": metrics, "healthAddress": health, "statusAddress": status},
    }
    return yaml.safe_dump(document, sort_keys=False)


def kubeconfig(parts: Iterable[Mapping[str, object]]) -> str:
    """Join kubeconfigs of one context each into one file."""
    joined: dict[str, list[object]] = {"clusters": [], "users": [], "contexts": []}
    for part in parts:
        for key, items in joined.items():
            found = part[key]
            assert isinstance(found, list)
            items.extend(found)
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **joined}, sort_keys=False)


def foreign_secret(namespace: str) -> dict[str, object]:
    """Return a Secret of the same name that somebody else keeps."""
    content = docker_config({"registry.example.com": ("somebody", "else")})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "legacy-tool"}},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(content.encode()).decode()},
    }


def docker_config(logins: Mapping[str, tuple[str, str]]) -> str:
    """Return a docker config as text, by registry."""
    auths = {
        registry: {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}
        for registry, (username, password) in logins.items()
    }
    return msgspec.json.encode({"auths": auths}).decode()


def _secret(name: str, content: Mapping[str, object]) -> dict[str, object]:
    metadata = {"name": name, "namespace": "registry-access"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **content}
