"""Defects of selection: a selector that cannot be, that is read wrongly, or that takes too much away."""

import pytest

from tests.e2e.manifests import docker_source
from tests.e2e.program import sync
from tests.e2e.waiting import until
from tests.upstream_defects.stage import Stage, ecr, spaces, team

pytestmark = pytest.mark.real

TYPO = {"labels": [{"matchExpressions": [{"key": "team", "operator": "Isin", "values": ["a"]}]}]}
LONG = "https://registry.example.com:8443/pull?team=a&purpose=" + "x" * 80


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
