"""Who comes from IMPS: the manifests of its README, unchanged, in a hub that is also the only cluster.

The expected namespaces are written down by hand from the rule of IMPS's README: any of the lists selects.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.e2e.hub_cluster import drop_policies, lay_configuration, lay_hub, put, shown
from tests.e2e.manifests import DOCKER_HOST, HOME, docker_source
from tests.e2e.program import Program, printed_hub_role, printed_role
from tests.e2e.registry import Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import Logins, all_logins
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

MANIFESTS = Path(__file__).with_name("imps_readme")
SECRET = "istio-pull-secret"
DOCKER_SOURCE = "registry--https-index.docker.io-v1-pull-secret-5cbe024b"
INJECT, ACCESS = "sidecar.istio.io/inject", "backyards.banzaicloud.io/image-registry-access"
NAMED = ("backyards-registry-access", "backyards-system", "backyards-canary", "cert-manager", "istio-system")
DOCKER: Logins = {DOCKER_HOST: ("robot", "word")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    hub: RealCluster
    site: Site
    program: Program

    def served(self) -> Mapping[str, Logins]:
        return all_logins(self.hub, SECRET)


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Iterator[Stage]:
    (hub,) = bring("east")
    hub.create_namespaces((*NAMED, "plain", "by-pod-annotation", "by-pod-label", "by-finished-pod"))
    hub.create_namespaces(["injected"], annotations={INJECT: "true"})
    hub.create_namespaces(["not-injected"], annotations={INJECT: "false"})
    hub.create_namespaces(["granted"], annotations={ACCESS: "true"})
    hub.create_namespaces(["revised"], labels={"istio.io/rev": "1-20"})
    run_pod(hub, "by-pod-annotation", annotations={INJECT: "true"})
    run_pod(hub, "by-pod-label", labels={"istio.io/rev": "default"})
    run_pod(hub, "by-finished-pod", labels={"istio.io/rev": "default"}, phase="Succeeded")
    site.reach([hub])
    lay_hub(hub, site)
    lay_configuration(site, safety={"perCluster": {"maxDeleteAtLeast": 50}, "fleet": {"maxDeleteAtLeast": 50}})
    hub.authorize(SERVICE, printed_hub_role(site))
    put(hub, docker_source(DOCKER_SOURCE, password="word"), manifest("annotations.yaml"))
    hub.authorize(SERVICE, printed_role(site))
    drop_policies(hub, "imps")
    with Program(site) as program:
        yield Stage(hub=hub, site=site, program=program)


def run_pod(cluster: RealCluster, namespace: str, phase: str = "Running", **meta: object) -> None:
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace, **meta},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    cluster.client().create(made)
    cluster.client().merge(f"/api/v1/namespaces/{namespace}/pods/web/status", {"status": {"phase": phase}})


def manifest(name: str) -> Manifest:
    loaded: Manifest = yaml.safe_load((MANIFESTS / name).read_text())
    return loaded


SELECTED = {
    "annotations.yaml": {"injected", "by-pod-annotation"},
    "names.yaml": set(NAMED),
    "rules.yaml": {*NAMED, "injected", "granted", "revised", "by-pod-annotation", "by-pod-label"},
}


@pytest.mark.parametrize("name", SELECTED)
def test_a_manifest_of_the_readme_selects_what_imps_selects(stage: Stage, name: str) -> None:
    put(stage.hub, manifest(name))
    until(lambda: stage.served() == dict.fromkeys(SELECTED[name], DOCKER), f"{name} is served")
    remove(stage)


def remove(stage: Stage) -> None:
    """Take the policy away, and its targets at once."""
    put(stage.hub, {**manifest("annotations.yaml"), "spec": {**spec(stage), "deletionPolicy": "Immediate"}})
    drop_policies(stage.hub, "imps")
    until(lambda: stage.served() == {}, "its targets went with it, as it was said last")


def spec(stage: Stage) -> Manifest:
    found: Manifest = shown(stage.hub, "imps")["spec"]
    return found


def test_the_old_fields_of_the_status_say_what_imps_said(stage: Stage) -> None:
    put(stage.hub, manifest("annotations.yaml"))
    status = until(lambda: done(stage), "the policy is ready")
    managed = status["managedNamespaces"]
    assert {"injected"} <= set(managed) <= {"by-pod-annotation", "injected"}
    assert status["managedNamespacesTotal"] == len(managed)
    assert list(status["sourceSecretStatus"]) == [f"{HOME}.{DOCKER_SOURCE}"]
    assert (status["status"], "lastSuccessfulReconciliation" in status) == ("Ready", True)
    remove(stage)


def done(stage: Stage) -> Manifest | None:
    status = ready(stage)
    return status if status and status["status"] == "Ready" else None


def ready(stage: Stage) -> Manifest | None:
    """Return the status of the newest generation, once it is one."""
    found = shown(stage.hub, "imps")
    status: Manifest = found.get("status", {})
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    return status if current and status.get("managedNamespacesTotal") else None


def test_the_source_of_the_readme_is_an_ecr_source_without_a_type(stage: Stage, registry: Registry) -> None:
    """Only its keys and the endpoint are ours; the host is made of its account number, short as it is."""
    source, wanting = manifest("ecr.yaml"), manifest("annotations.yaml")
    key = registry.ecr.credential
    source["stringData"] |= {"accessKeyID": key.access_key, "secretKey": key.secret_key, "ecrEndpointURL": registry.url}
    wanting["spec"]["registry"]["credentials"].append({"name": "ecr-pull-secret", "namespace": HOME})
    put(stage.hub, source, wanting)
    until(lambda: registry.mints == 1, "a token is minted")
    logins = {**DOCKER, "123456789.dkr.ecr.us-east-1.amazonaws.com": ("AWS", registry.newest)}
    until(lambda: stage.served() == dict.fromkeys(SELECTED["annotations.yaml"], logins), "both are served")
    remove(stage)
