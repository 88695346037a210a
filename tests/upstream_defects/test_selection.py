"""Defects of selection: a selector that cannot be, that is read wrongly, or that takes too much away."""

import pytest

from tests.e2e.manifests import docker_source
from tests.e2e.program import sync
from tests.e2e.targets import by_namespace
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.upstream_defects.stage import Stage, Writes, ecr, spaces, team

pytestmark = pytest.mark.real

TYPO = {"labels": [{"matchExpressions": [{"key": "team", "operator": "Isin", "values": ["a"]}]}]}
LONG = "https://registry.example.com:8443/pull?team=a&purpose=" + "x" * 80


def run_pod(stage: Stage, namespace: str, name: str, phase: str = "Running") -> None:
    """Run a pod in the first cluster; no kubelet is there, so its phase is written by hand."""
    client = stage.east.client()
    metadata = {"name": name, "namespace": namespace, "labels": {"app": namespace}}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    finish(stage, namespace, name, phase)


def finish(stage: Stage, namespace: str, name: str, phase: str = "Succeeded") -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    stage.east.client().merge(path, {"status": {"phase": phase}})


def by_pods(defect: str, *labels: object, **given: object) -> Manifest:
    """Return a policy that selects by pods alone, in the first cluster."""
    made = team(defect, defect, namespaces={}, clusters={"names": ["east"]}, **given)
    made["spec"]["target"]["namespacesWithPods"] = {"labels": list(labels)}
    return made


def test_d21_a_pod_selector_that_cannot_be_takes_nothing_away(stage: Stage) -> None:
    """IMPS only warns, takes the namespace for one without such pods, and deletes its live Secret."""
    source, space = docker_source("d21", password="d21-password"), "d21-0"
    selector, immediate = {"matchLabels": {"app": space}}, {"deletionPolicy": "Immediate"}
    stage.serve("d21", by_pods("d21", selector, **immediate), source, namespaces=[space])
    run_pod(stage, space, "web")
    stage.await_synced("d21", 1)
    writes = Writes(stage, "d21-")
    stage.serve("d21", by_pods("d21", *TYPO["labels"], **immediate), source)
    stage.await_reason("d21", "InvalidSpec")
    stage.serve("d21", by_pods("d21", selector, **immediate), source)
    stage.await_synced("d21", 1)
    assert writes.seen() == []


def test_d24_a_finished_pod_does_not_select_and_the_last_one_leaves_its_secret_for_a_day(stage: Stage) -> None:
    """IMPS selects by completed pods too, and deletes with the last pod, so that the next one cannot pull."""
    running, done = "d24-running", "d24-done"
    stage.east.create_namespaces([running, done])
    run_pod(stage, running, "web")
    run_pod(stage, done, "job", "Succeeded")
    labels = [{"matchLabels": {"app": space}} for space in (running, done)]
    stage.serve("d24", by_pods("d24", *labels), docker_source("d24", password="d24-password"))
    stage.await_synced("d24", 1)
    assert set(targets(stage)) == {running}
    finish(stage, running, "web")
    until(lambda: "imps-multi.io/unwanted-since" in targets(stage)[running], "the target is marked")
    assert targets(stage)[running]["imps-multi.io/linger"] == "24h"
    run_pod(stage, running, "next")
    until(lambda: "imps-multi.io/unwanted-since" not in targets(stage)[running], "it is wanted again")


def targets(stage: Stage) -> dict[str, dict[str, str]]:
    """Return the annotations of d24's targets."""
    found = by_namespace(stage.east).items()
    return {space: one["metadata"]["annotations"] for space, one in found if space.startswith("d24-")}


def test_d22_a_selector_that_cannot_be_stops_no_refresh(stage: Stage) -> None:
    """IMPS gives a policy up at an invalid selector, so that its ECR tokens expire everywhere."""
    source = ecr("d22", stage.registry, region="ap-south-1")
    stage.serve("d22", team("d22", "d22"), source, namespaces=spaces("d22"))
    stage.await_synced("d22", 6)
    before = stage.logins("d22-")
    stage.serve("d22", team("d22", "d22", namespaces=TYPO), source)
    stage.await_reason("d22", "InvalidSpec")
    assert "Isin" in stage.program.policy("d22")["reason"]
    sync(stage.site, "d22")
    until(lambda: stage.logins("d22-") != before, "the targets are refreshed all the same")
    stage.await_reason("d22", "InvalidSpec")
    assert len(stage.logins("d22-")) == 6


def test_d23_an_annotation_selector_takes_any_value(stage: Stage) -> None:
    """IMPS reads annotation selectors as label selectors: a value over 63 characters, or a URL, is an error."""
    for cluster in stage.clusters:
        cluster.create_namespaces(["d23-match"], annotations={"example.com/registry": LONG})
        cluster.create_namespaces(["d23-other"], annotations={"example.com/registry": LONG[:-1]})
    selector = {"annotations": [{"matchAnnotations": {"example.com/registry": LONG}}]}
    stage.serve("d23", team("d23", "d23", namespaces=selector), docker_source("d23", password="d23-password"))
    stage.await_synced("d23", 2)
    assert stage.program.policy("d23")["managedNamespaces"] == ["d23-match"]
