"""What may name a Secret in a namespace: pods in every way that Kubernetes knows, and ServiceAccounts.

Feeds the tests of removal.
"""

from collections.abc import Callable, Mapping

from tests.e2e.manifests import PULL
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

POD = "web"
VARIABLE = [{"name": "V", "valueFrom": {"secretKeyRef": {"name": PULL, "key": "k"}}}]
Settle = Callable[[RealCluster, str], None]
"""Puts somebody into a namespace."""


def pod(**spec: object) -> Settle:
    """Return who brings a pod of this spec."""

    def settle(cluster: RealCluster, namespace: str) -> None:
        cluster.client().create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": POD, "namespace": namespace},
                "spec": {"containers": [_container("c")], **spec},
            }
        )

    return settle


def finished(phase: str) -> Settle:
    """Return who brings a pod that has ended."""

    def settle(cluster: RealCluster, namespace: str) -> None:
        pod(imagePullSecrets=[{"name": PULL}])(cluster, namespace)
        cluster.client().merge(f"{_pod(namespace)}/status", {"status": {"phase": phase}})

    return settle


def debugged(cluster: RealCluster, namespace: str) -> None:
    """Bring a pod that names the Secret in an ephemeral container alone."""
    pod()(cluster, namespace)
    ephemeral = {"spec": {"ephemeralContainers": [_container("debugger", env=VARIABLE)]}}
    cluster.client().merge(f"{_pod(namespace)}/ephemeralcontainers", ephemeral)


def account(field: str) -> Settle:
    """Return who brings a ServiceAccount with the Secret in one of its lists."""

    def settle(cluster: RealCluster, namespace: str) -> None:
        metadata = {"name": "builder", "namespace": namespace}
        cluster.client().create(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, field: [{"name": PULL}]}
        )

    return settle


def nobody(_cluster: RealCluster, _namespace: str) -> None:
    """Bring nobody."""


def clear(cluster: RealCluster, namespace: str) -> None:
    """Take everybody away again."""
    cluster.client().delete(_pod(namespace))
    cluster.client().delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/builder")


NAMING: Mapping[str, Settle] = {
    "pull": pod(imagePullSecrets=[{"name": "other"}, {"name": PULL}]),
    "volume": pod(volumes=[{"name": "v", "secret": {"secretName": PULL}}]),
    "projected": pod(volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": PULL}}]}}]),
    "env": pod(containers=[{"name": "c", "image": "i", "env": VARIABLE}]),
    "env-from": pod(containers=[{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": PULL}}]}]),
    "init": pod(initContainers=[{"name": "i", "image": "i", "env": VARIABLE}]),
    "ephemeral": debugged,
    "account": account("imagePullSecrets"),
    "mounting-account": account("secrets"),
}
NOT_NAMING: Mapping[str, Settle] = {
    "nobody": nobody,
    "another": pod(imagePullSecrets=[{"name": "other"}]),
    "succeeded": finished("Succeeded"),
    "failed": finished("Failed"),
}


def _container(name: str, **fields: object) -> Manifest:
    return {"name": name, "image": "i", **fields}


def _pod(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{POD}"
