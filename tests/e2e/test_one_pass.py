"""One pass over three clusters of a hundred namespaces each, and then another one by another process."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.e2e.figures import figure
from tests.e2e.fleet import OTHERS, SELECTED, TARGET, populate
from tests.e2e.manifests import DOCKER_HOST, docker_source, ecr_source, policy
from tests.e2e.program import Finished, Program, plan, printed_role, run_once
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import HUB_ID, SERVICE, Site
from tests.e2e.targets import all_logins, by_namespace, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.audit import Entry
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

PASSWORD = "dockerhub-password"
WHERE = frozenset((name, namespace) for name in ("east", "north", "west") for namespace in SELECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What one process did, and what it left behind."""

    finished: Finished | None
    writes: list[Entry]
    mints: int
    uids: Mapping[tuple[str, str], str]
    state: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    clusters: tuple[RealCluster, ...]
    site: Site
    registry: Registry

    def serve_observing(self) -> None:
        """Let the service look at everything, and end it."""
        with Program(self.site, observe=True) as program:
            until(lambda: program.policy("everyone").get("targets", {}).get("pending") == len(WHERE), "all is missing")
            assert program.stop()[0] == 0

    def act(self, run: Callable[[Site], Finished | None]) -> Act:
        traffic, before = Traffic(self.clusters), self.registry.mints
        finished = run(self.site)
        return Act(
            finished=finished,
            writes=traffic.writes(),
            mints=self.registry.mints - before,
            uids=uids(self.clusters),
            state=self.site.state_files(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    planned: dict[str, Any]
    planning: list[Entry]
    observing: Act
    observing_service: Act
    first: Act
    second: Act
    planned_again: dict[str, Any]


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Stage:
    clusters = bring("east", "north", "west")
    for cluster in clusters:
        populate(cluster)
    east, north, west = clusters
    by_plugin = west.kubeconfig(SERVICE)
    by_plugin["users"][0]["user"] = {"exec": plugin(site, west.token(SERVICE))}
    site.reach_by(east.kubeconfig(SERVICE), north.kubeconfig(SERVICE, by="certificate"), by_plugin)
    site.configure()
    site.put("policy.yaml", policy("everyone", sources=["ecr", "docker"], namespaces=TARGET))
    site.put("sources.yaml", ecr_source("ecr", registry), docker_source("docker", password=PASSWORD))
    for cluster in clusters:
        cluster.authorize(SERVICE, printed_role(site))
    return Stage(clusters=clusters, site=site, registry=registry)


def plugin(site: Site, token: str) -> dict[str, object]:
    """Return an exec plugin that gives a token."""
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    answer = site.root / "credential.json"
    answer.write_text(json.dumps({**kind, "status": {"token": token}}))
    return {"apiVersion": kind["apiVersion"], "command": "cat", "args": [str(answer)], "interactiveMode": "Never"}


@pytest.fixture(scope="module")
def acts(stage: Stage) -> Acts:
    """Give what each of the processes did, one after the other."""
    traffic = Traffic(stage.clusters)
    shown = plan(stage.site)
    planning = traffic.writes()
    found = Acts(
        planned=shown,
        planning=planning,
        observing=stage.act(partial(run_once, observe=True)),
        observing_service=stage.act(lambda _: stage.serve_observing()),
        first=stage.act(run_once),
        second=stage.act(run_once),
        planned_again=plan(stage.site),
    )
    for what, act in (("150 targets in three clusters", found.first), ("nothing to do", found.second)):
        assert act.finished is not None
        figure(f"run --once, {what}, process start to exit", act.finished.seconds)
    return found


def test_observing_writes_and_mints_nothing_and_leaves_no_state(acts: Acts) -> None:
    for act in (acts.observing, acts.observing_service):
        assert (act.writes, act.mints, act.uids, act.state) == ([], 0, {}, {})


def test_both_passes_end_well(acts: Acts) -> None:
    for act in (acts.first, acts.second):
        assert act.finished is not None
        assert act.finished.code == 0, act.finished.err


@pytest.mark.usefixtures("acts")
def test_every_selected_namespace_has_a_secret_that_a_kubelet_can_use(stage: Stage) -> None:
    right = {DOCKER_HOST: ("robot", PASSWORD), HOST: ("AWS", stage.registry.newest)}
    for cluster in stage.clusters:
        assert all_logins(cluster) == dict.fromkeys(SELECTED, right)


@pytest.mark.usefixtures("acts")
def test_no_other_namespace_has_any_secret(stage: Stage) -> None:
    for cluster in stage.clusters:
        assert {secret["metadata"]["namespace"] for secret in cluster.secrets()} == SELECTED
        assert {item["metadata"]["name"] for item in cluster.client().items("/api/v1/namespaces")} >= OTHERS | SELECTED


@pytest.mark.usefixtures("acts")
def test_a_target_carries_our_marks_and_nothing_else(stage: Stage) -> None:
    meta = by_namespace(stage.clusters[0])["shop"]["metadata"]
    assert meta["labels"] == {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": HUB_ID}
    assert set(meta["annotations"]) == {
        "imps-multi.io/policy",
        "imps-multi.io/deletion-policy",
        "imps-multi.io/expires-at",
    }
    assert not {"ownerReferences", "finalizers"} & meta.keys()
    assert {one["manager"] for one in meta["managedFields"]} == {"imps-multi"}


def test_each_target_costs_one_request_and_the_registry_one_call(acts: Acts) -> None:
    assert {(entry.verb, entry.resource, entry.code) for entry in acts.first.writes} == {("create", "secrets", 201)}
    assert (len(acts.first.writes), acts.first.mints) == (len(WHERE), 1)


def test_a_second_pass_by_another_process_writes_and_mints_nothing(acts: Acts) -> None:
    assert (acts.second.writes, acts.second.mints) == ([], 0)
    assert acts.second.uids == acts.first.uids


def test_a_plan_shows_what_a_pass_then_writes_and_writes_nothing(acts: Acts) -> None:
    assert acts.planning == []
    assert {(one["cluster"], one["namespace"]) for one in acts.planned["writes"]} == WHERE == set(acts.first.uids)
    assert {one["operation"] for one in acts.planned["writes"]} == {"create"}
    assert (acts.planned["problems"], acts.planned["mints"]) == ([], ["registry-access/ecr"])


def test_a_plan_after_a_pass_is_empty(acts: Acts) -> None:
    assert (acts.planned_again["writes"], acts.planned_again["mints"]) == ([], [])
