"""The printed admission policy on a real API server: what RBAC lets the account create, it narrows."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from imps_multi.cli.admission import GROUP, admission_manifests
from imps_multi.cli.role import target_manifests
from tests.realcluster.client import Answer, Client
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

ACCOUNT = ("imps-system", "imps-multi")
NAMES = ("registry-pull", "b")
TYPE = "kubernetes.io/dockerconfigjson"
CONTENT = {".dockerconfigjson": "e30="}
WITHIN = 30.0
CREATED, REFUSED = 201, 422
KINDS = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")


@pytest.fixture
def service(real_cluster: RealCluster) -> Iterator[Client]:
    """Apply what is printed, and log in as the ServiceAccount itself."""
    admin = real_cluster.client()
    text = target_manifests(NAMES, [ACCOUNT]) + admission_manifests(NAMES, [ACCOUNT])
    real_cluster.apply(*yaml.safe_load_all(text))
    real_cluster.create_namespaces(["team-a"])
    path = f"/api/v1/namespaces/{ACCOUNT[0]}/serviceaccounts/{ACCOUNT[1]}/token"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = admin.post(path, review)["status"]["token"]
    client = Client(real_cluster.port, ca_pem=real_cluster.ca_pem, token=token)
    yield client
    client.close()
    for kind in KINDS:
        admin.delete(f"/apis/{GROUP}/v1/{kind}/imps-multi-target")


def secret(name: str, kind: str = TYPE, **metadata: str) -> dict[str, Any]:
    """Make a Secret's manifest."""
    named = {"name": name} if name else {}
    return {"metadata": {**named, **metadata}, "type": kind, "data": CONTENT if kind == TYPE else {}}


def create(client: Client, manifest: dict[str, Any]) -> Answer:
    """Create a Secret in team-a."""
    return client.ask("POST", "/api/v1/namespaces/team-a/secrets", body=manifest)


def refused(client: Client, manifest: dict[str, Any]) -> Answer:
    """Wait until the server, which learns of a policy by and by, refuses a Secret."""
    deadline = time.monotonic() + WITHIN
    while (answer := create(client, manifest)).status != REFUSED and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def test_the_account_creates_secrets_of_its_names_and_type_and_no_others(
    real_cluster: RealCluster, service: Client
) -> None:
    answer = refused(service, secret("", generateName="other-"))
    assert answer.status == REFUSED, answer.message
    assert "imps-multi creates Secrets of these names only: b, registry-pull" in answer.message
    assert refused(service, secret("other")).status == REFUSED
    wrong_type = refused(service, secret("registry-pull", "Opaque"))
    assert f"imps-multi creates Secrets of type {TYPE} only" in wrong_type.message
    assert [create(service, secret(name)).status for name in NAMES] == [CREATED, CREATED]
    others = create(real_cluster.client(), secret("other", "Opaque"))
    assert others.status == CREATED, others.message
