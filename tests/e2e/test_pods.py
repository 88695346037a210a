"""Namespaces that are selected by the pods in them, on a real API server: pods come, finish, and are not to be seen.

No kubelet runs here: a pod is what the API server keeps of it, and its phase is written by hand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from tests.e2e.arrivals import Arrivals
from tests.e2e.figures import figure, percentile
from tests.e2e.manifests import docker_source, policy
from tests.e2e.program import Program, plan, printed_role
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import by_namespace, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

SINCE, LINGER = "imps-multi.io/unwanted-since", "imps-multi.io/linger"
SPACES = tuple(f"space-{number:02}" for number in range(40))
NEWCOMERS, FINISHING, SWITCHING = SPACES[:20], SPACES[20], SPACES[21:24]
WEB: Mapping[str, object] = {"matchLabels": {"app": "web"}}
LONG = "https://registry.example.com:8443/pull?team=a&purpose=" + "x" * 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    east: RealCluster
    site: Site
    program: Program
    role: list[Manifest] = field(default_factory=list)
    """The target role, with the Secret names of every policy of this module."""

    def ask(
        self, name: str, *labels: Mapping[str, object], annotations: Iterable[object] = (), immediate: bool = False
    ) -> None:
        """Write a policy that selects by pods alone."""
        made = policy(name, sources=["docker"], namespaces={}, secret=f"pull-{name}")
        if immediate:
            made["spec"]["deletionPolicy"] = "Immediate"
        made["spec"]["target"]["namespacesWithPods"] = {"labels": list(labels), "annotations": list(annotations)}
        self.site.put(f"{name}.yaml", made)

    def run_pod(self, namespace: str, name: str = "web-1", **meta: object) -> None:
        containers = [{"name": "c", "image": "i"}]
        metadata = {"name": name, "namespace": namespace, **meta}
        self.east.client().create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}
        )

    def finish(self, namespace: str, name: str = "web-1", phase: str = "Succeeded") -> None:
        self.east.client().merge(f"{path(namespace, name)}/status", {"status": {"phase": phase}})

    def targets(self, name: str) -> dict[str, Manifest]:
        return by_namespace(self.east, f"pull-{name}")

    def immediate(self, name: str) -> set[str]:
        """Return where a policy's targets would be deleted at once."""
        key = "imps-multi.io/deletion-policy"
        return {
            namespace
            for namespace, one in self.targets(name).items()
            if one["metadata"]["annotations"][key] == "Immediate"
        }

    def marks(self, name: str) -> dict[str, str]:
        """Return how long each marked target of a policy lingers, by namespace."""
        annotations = {namespace: one["metadata"]["annotations"] for namespace, one in self.targets(name).items()}
        return {namespace: found[LINGER] for namespace, found in annotations.items() if SINCE in found}


def path(namespace: str, name: str = "web-1") -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Iterator[Stage]:
    (east,) = bring("east")
    east.create_namespaces(SPACES)
    site.reach([east])
    site.configure()
    site.put("docker.yaml", docker_source("docker", password="docker-password"))
    program = Program(site)
    found = Stage(east=east, site=site, program=program)
    for name in ("newcomers", "finishing", "switching", "refused"):
        found.ask(name, {"matchLabels": {"app": name}})
    found.ask("wide", annotations=[{"matchAnnotations": {"example.com/registry": LONG}}])
    site.put("plain.yaml", policy("plain", sources=["docker"], namespaces={"names": ["plain-*"]}))
    found.role.extend(printed_role(site))
    east.authorize(SERVICE, found.role)
    site.drop("refused.yaml")
    site.drop("wide.yaml")
    with program:
        until(lambda: program.ready_condition("newcomers") == ("True", "AllSynced"), "pods were listed")
        yield found


def test_a_pod_brings_its_namespace_a_secret_and_touches_no_other(stage: Stage) -> None:
    traffic, began = Traffic([stage.east]), {}
    with Arrivals(stage.east, "pull-newcomers") as arrivals:
        for space in NEWCOMERS:
            began[space] = monotonic()
            stage.run_pod(space, labels={"app": "newcomers"})
            until(lambda space=space: space in arrivals.first("ADDED"), f"{space} has its Secret")  # type: ignore[misc]  # bound as a default, in a loop
        for space in NEWCOMERS:
            stage.run_pod(space, "web-2", labels={"app": "newcomers"})
            stage.finish(space, "web-2", "Running")
        until(lambda: stage.program.in_sync("newcomers", len(NEWCOMERS)), "all are in sync")
    took = [at - began[space] for space, at in arrivals.first("ADDED").items()]
    figure("pod created to Secret there, median", percentile(took, 0.5))
    figure("pod created to Secret there, slowest of 20", max(took))
    assert traffic.written() == sorted(("create", space, 201) for space in NEWCOMERS)


def test_the_last_pod_that_finishes_leaves_its_secret_for_a_day(stage: Stage) -> None:
    for name in ("web-1", "web-2"):
        stage.run_pod(FINISHING, name, labels={"app": "finishing"})
    until(lambda: FINISHING in stage.targets("finishing"), "the Secret is there")
    before = uids([stage.east], "pull-finishing")
    stage.finish(FINISHING, "web-1", "Failed")
    stage.run_pod(FINISHING, "web-3", labels={"app": "finishing"})
    stage.finish(FINISHING, "web-2")
    until(lambda: stage.program.in_sync("finishing", 1), "a pod is left")
    assert stage.marks("finishing") == {}
    stage.finish(FINISHING, "web-3")
    until(lambda: stage.marks("finishing") == {FINISHING: "24h"}, "the Secret is marked")
    assert stage.program.ready_condition("finishing") == ("True", "AllSynced")

    stage.run_pod(FINISHING, "web-4", labels={"app": "finishing"})
    until(lambda: stage.marks("finishing") == {}, "the mark is taken away")
    assert uids([stage.east], "pull-finishing") == before

    stage.east.client().delete(path(FINISHING, "web-4"))
    until(lambda: stage.marks("finishing") == {FINISHING: "24h"}, "the Secret is marked again")
    ago = (datetime.now(UTC) - timedelta(hours=25)).strftime("%Y-%m-%dT%H:%M:%SZ")
    stage.east.edit_secret(FINISHING, "pull-finishing", {"metadata": {"annotations": {SINCE: ago}}})
    until(lambda: stage.targets("finishing") == {}, "the Secret is gone after its day")


def test_another_selector_takes_nothing_away_that_it_selects_too(stage: Stage) -> None:
    """From a label, which the server narrows, to an annotation, which it cannot; with deletions that would not wait."""
    labels, annotations = {"app": "switching", "tier": "front"}, {"example.com/registry": LONG}
    stage.ask("switching", {"matchLabels": {"app": "switching"}}, immediate=True)
    for space in SWITCHING:
        stage.run_pod(space, labels=labels, annotations=annotations)
    stage.run_pod(SPACES[24], labels={"app": "switching"})
    until(lambda: stage.immediate("switching") == {*SWITCHING, SPACES[24]}, "all are there, as the policy now says")
    until(lambda: stage.program.in_sync("switching", len(SWITCHING) + 1), "all are in sync")
    before, traffic = uids([stage.east], "pull-switching"), Traffic([stage.east])
    annotated = {"matchAnnotations": {"example.com/registry": LONG}}
    stage.ask("switching", annotations=[annotated], immediate=True)
    until(lambda: set(stage.targets("switching")) == set(SWITCHING), "what has no such pod is gone")
    stage.ask("switching", {"matchLabels": {"tier": "front"}}, immediate=True)
    until(lambda: stage.program.in_sync("switching", len(SWITCHING)), "all are in sync")
    stage.run_pod(SPACES[25], labels={"tier": "front"})
    until(lambda: SPACES[25] in stage.targets("switching"), "the newest selector is in force")
    until(lambda: len(traffic.written()) >= 2, "the last answer is written down")
    assert traffic.written() == [("create", SPACES[25], 201), ("delete", SPACES[24], 200)]
    after = uids([stage.east], "pull-switching")
    assert {place: after[place] for place in after if place in before} == {
        place: uid for place, uid in before.items() if place[1] in SWITCHING
    }


def test_pods_that_may_not_be_watched_are_told_by_the_policy_that_asks(stage: Stage) -> None:
    for name in ("newcomers", "finishing", "switching"):
        stage.site.drop(f"{name}.yaml")
    until(lambda: not stage.program.policy("newcomers"), "nobody asks for pods any more")
    stage.east.authorize(SERVICE, [without_pods(one) for one in stage.role])
    stage.run_pod(SPACES[30], labels={"app": "refused"})
    stage.ask("refused", {"matchLabels": {"app": "refused"}})
    until(lambda: stage.program.ready_condition("refused") == ("False", "PartiallySynced"), "the policy says so")
    (there,) = stage.program.policy("refused")["clusters"]
    assert there["reason"] == "Forbidden"
    assert "imps-multi rbac --role target" in there["message"]
    stage.east.create_namespaces(["plain-0"])
    until(lambda: stage.program.in_sync("plain", 1), "another policy goes on")
    planned = plan(stage.site)
    assert [one for one in planned["writes"] if one["policy"] == "refused"] == []
    assert [one["subject"] for one in planned["problems"] if one["reason"] == "Forbidden"] == ["policy refused"]

    stage.east.authorize(SERVICE, stage.role)
    until(lambda: set(stage.targets("refused")) == {SPACES[30]}, "the renewed role is enough")
    until(lambda: stage.program.ready_condition("refused") == ("True", "AllSynced"), "and the policy says so")


def without_pods(manifest: Manifest) -> Manifest:
    rules = [rule for rule in manifest.get("rules", []) if rule["resources"] != ["pods"]]
    return {**manifest, "rules": rules} if "rules" in manifest else manifest
