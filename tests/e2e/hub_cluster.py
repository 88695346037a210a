"""A hub in a real cluster: definition, namespaces, rights, and the site that reads it.

Feeds the tests of a hub in a cluster.
"""

import json
from collections.abc import Iterable

from tests.e2e.manifests import HOME
from tests.e2e.site import HUB_ID, SERVICE, Site
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.realcluster.policies import COLLECTION, install_definition

SYSTEM = "imps-system"


def lay_hub(cluster: RealCluster, site: Site) -> None:
    """Make a cluster ready to be a hub, and let the site's configuration name it."""
    install_definition(cluster)
    cluster.create_namespaces([SYSTEM, HOME])
    path = site.root / "hub.kubeconfig"
    path.write_text(json.dumps(cluster.kubeconfig(SERVICE)))
    path.chmod(0o600)
    lay_configuration(site)


def lay_configuration(site: Site, **changes: object) -> None:
    """Write the configuration file."""
    sources = {"namespaces": [HOME], "endpoints": ["127.0.0.1"]}
    site.configure(**({"hub": hub_part(), "sources": sources} | changes))


def hub_part() -> dict[str, object]:
    """Return that part of the configuration."""
    return {"id": HUB_ID, "kubeconfig": "./hub.kubeconfig", "namespace": SYSTEM}


def put(cluster: RealCluster, *manifests: Manifest) -> None:
    """Write policies and sources as a user does with ``kubectl apply``."""
    cluster.apply(*manifests)


def drop_policies(cluster: RealCluster, *names: str) -> None:
    """Delete policies."""
    for name in names:
        cluster.client().delete(f"{COLLECTION}/{name}")


def shown(cluster: RealCluster, name: str) -> Manifest:
    """Return a policy as it stands in the hub."""
    return cluster.client().get(f"{COLLECTION}/{name}")


def state_secrets(cluster: RealCluster) -> list[Manifest]:
    """Return what the program keeps in the hub."""
    return cluster.secrets(SYSTEM, labelSelector="app.kubernetes.io/managed-by=imps-multi")


def by_hand() -> Iterable[Manifest]:
    """Return a role that grants everything, for tests that are about something else."""
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "hub"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
