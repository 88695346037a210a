"""Policies on a real API server: their definition installed and taken away, and what is asked of them.

Feeds the tests of a hub in a cluster.
"""

import time
from typing import Any

import yaml

from imps_multi.config.crd import crd_text
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

COLLECTION = "/apis/images.banzaicloud.io/v1alpha1/imagepullsecrets"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagepullsecrets.images.banzaicloud.io"
WITHIN = 30.0
POLL = 0.02
OK, MISSING = 200, 404


def definition() -> Manifest:
    """Return the definition as it is printed."""
    content: dict[str, Any] = yaml.safe_load(crd_text())
    return content


def install_definition(cluster: RealCluster, manifest: Manifest | None = None) -> None:
    """Install the definition, and wait until policies are served."""
    cluster.apply(manifest or definition())
    _until(
        lambda: cluster.client().ask("GET", COLLECTION).status == OK and _established(cluster), "policies are served"
    )


def remove_definition(cluster: RealCluster) -> None:
    """Take the definition away, and all policies with it, and wait until it is gone."""
    cluster.client().delete(DEFINITION)
    _until(lambda: cluster.client().ask("GET", DEFINITION).status == MISSING, "the definition is gone")


def _established(cluster: RealCluster) -> bool:
    conditions = cluster.client().get(DEFINITION).get("status", {}).get("conditions") or []
    return {"type": "Established", "status": "True"}.items() <= {
        key: value for one in conditions if one["type"] == "Established" for key, value in one.items()
    }.items()


def _until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WITHIN:.0f} s: {what}")
        time.sleep(POLL)
