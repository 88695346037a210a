"""Leaving real clusters: Secrets handed over or removed by hand, and what of that a running instance forbids."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.dwellers import clear, pod
from tests.e2e.manifests import PULL, docker_source, policy
from tests.e2e.program import Finished, Program, command, printed_role, run_once
from tests.e2e.site import HUB_ID, SERVICE, Site
from tests.e2e.targets import by_namespace, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:02}" for number in range(12))
ADOPTED, OTHERS, FORMER = TEAMS[:3]
TOOLS = ("tools-0", "tools-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    east: RealCluster
    north: RealCluster
    site: Site

    def lay(self) -> None:
        """Put configuration and hub into their right state."""
        self.configure()
        self.site.put("docker.yaml", docker_source("docker", password="docker-password"))
        self.select()
        self.site.put("tools.yaml", policy("tools", sources=["docker"], namespaces={"names": ["tools-*"]}))

    def configure(self, safety: Mapping[str, object] | None = None, **settings: object) -> None:
        hub = {"id": HUB_ID, "previousIDs": ["old-hub"], "directory": "./hub", "stateDirectory": "./state"}
        clusters = [{"kubeconfig": "./fleet.kubeconfig", "contexts": ["*"], **settings}]
        self.site.configure(hub=hub, clusters=clusters, safety=dict(safety or {}))

    def select(self, *, suspend: bool = False) -> None:
        namespaces = {"names": ["team-*"]}
        self.site.put("teams.yaml", policy("teams", sources=["docker"], namespaces=namespaces, suspend=suspend))

    def leave(self, *words: str) -> Finished:
        return command(self.site, "leave", *words, "--config", str(self.site.config))

    def left(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Leave without being asked; return the exit code, and what is said of it."""
        finished = self.leave(*words, "--yes", "-o", "json")
        decoded: dict[str, Any] = json.loads(finished.out)
        return finished.code, decoded

    def mark(self, namespace: str, *, labels: Manifest | None = None, annotations: Manifest | None = None) -> None:
        patch = {"metadata": {"labels": labels or {}, "annotations": annotations or {}}}
        self.east.edit_secret(namespace, PULL, patch)


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Stage:
    east, north = bring("east", "north")
    site.reach([east, north])
    found = Stage(east=east, north=north, site=site)
    found.lay()
    for cluster in (east, north):
        cluster.create_namespaces((*TEAMS, *TOOLS))
        cluster.authorize(SERVICE, printed_role(site))
    return found


@pytest.fixture
def world(stage: Stage) -> Iterator[Stage]:
    """Give the stage with everything served by a pass, and nothing running."""
    for cluster in (stage.east, stage.north):
        for namespace in by_namespace(cluster):
            cluster.delete_secret(namespace, PULL)
    stage.lay()
    assert run_once(stage.site).code == 0
    yield stage
    clear(stage.east, TEAMS[5])


def our_marks(secret: Manifest) -> list[str]:
    keys = [*secret["metadata"].get("labels", {}), *secret["metadata"].get("annotations", {})]
    return [key for key in keys if key.startswith("imps-multi.io/") or key == "app.kubernetes.io/managed-by"]


def test_one_policys_secrets_are_handed_over_in_place_and_a_second_run_finds_nothing(world: Stage) -> None:
    clusters = (world.east, world.north)
    before, data = uids(clusters), {name: one["data"] for name, one in by_namespace(world.east).items()}
    code, said = world.left("teams", "--keep")
    assert (code, len(said["secrets"])) == (0, 2 * len(TEAMS))
    assert {(one["operation"], one["result"]) for one in said["secrets"]} == {("release", "done")}
    assert any("policy teams is still in the hub" in note for note in said["notes"])
    for cluster in clusters:
        there = by_namespace(cluster)
        assert [our_marks(there[team]) for team in TEAMS] == [[]] * len(TEAMS)
        assert all(our_marks(there[space]) for space in TOOLS)
    assert uids(clusters) == before
    assert {name: one["data"] for name, one in by_namespace(world.east).items()} == data
    assert world.left("teams", "--keep")[1]["secrets"] == []
    conflict = run_once(world.site)
    assert (conflict.code, "Conflict" in conflict.err or "conflict" in conflict.err) == (1, True)


def test_one_cluster_is_purged_of_what_is_ours_and_of_nothing_else(world: Stage) -> None:
    """Whoever names a Secret; what was adopted is given back; every write is in the audit log."""
    east, north = world.east, by_namespace(world.north)
    pod(imagePullSecrets=[{"name": PULL}])(east, TEAMS[5])
    world.mark(ADOPTED, annotations={"imps-multi.io/adopted": "true"})
    world.mark(OTHERS, labels={"imps-multi.io/hub": "another-hub"})
    world.mark(FORMER, labels={"imps-multi.io/hub": "old-hub"})
    theirs = by_namespace(east)[OTHERS]
    traffic = Traffic([east, world.north])
    code, said = world.left("--cluster", "east", "--purge")
    assert code == 0, said
    assert by_namespace(east).keys() == {ADOPTED, OTHERS}
    assert by_namespace(east)[OTHERS] == theirs
    assert our_marks(by_namespace(east)[ADOPTED]) == []
    assert by_namespace(world.north) == north
    assert sorted(entry.verb for entry in traffic.writes()) == ["delete"] * (len(TEAMS) + len(TOOLS) - 2) + ["patch"]
    audited = [line for line in world.site.written() if line["why"] == "left (purge)"]
    assert len(audited) == len(said["secrets"]) == len(TEAMS) + len(TOOLS) - 1


def test_on_a_terminal_it_asks_and_does_what_was_agreed_on(world: Stage) -> None:
    words = ("leave", "tools", "--purge", "--config", str(world.site.config))
    code, said = on_a_terminal(*words, answer="n")
    assert (code, len(by_namespace(world.east))) == (2, len(TEAMS) + len(TOOLS))
    assert "Delete 4 Secrets in 2 clusters?" in said
    code, said = on_a_terminal(*words, answer="y")
    assert (code, set(by_namespace(world.east))) == (0, set(TEAMS)), said


def on_a_terminal(*words: str, answer: str) -> tuple[int, str]:
    """Run a command with a terminal to ask on; return the exit code and what it said."""
    ours, its = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(  # noqa: S603 - the program under test
            [sys.executable, "-m", "imps_multi", *words], stdin=its, capture_output=True, timeout=60, check=False
        )
    finally:
        os.close(ours)
        os.close(its)
    return done.returncode, done.stderr.decode()


def test_a_cluster_that_is_away_is_told_and_a_second_run_goes_on(world: Stage) -> None:
    world.north.kill()
    try:
        code, said = world.left("--all", "--purge")
    finally:
        world.north.start()
    assert (code, by_namespace(world.east)) == (3, {})
    ((problem),) = said["problems"]
    assert (problem["subject"], problem["away"]) == ("cluster north", True)
    assert "stays" in problem["message"]
    assert len(by_namespace(world.north)) == len(TEAMS) + len(TOOLS)
    code, said = world.left("--all", "--purge")
    assert (code, {one["cluster"] for one in said["secrets"]}) == (0, {"north"})
    assert by_namespace(world.north) == {}


def test_what_a_running_instance_would_write_again_is_refused(world: Stage) -> None:
    before = uids([world.east, world.north])
    with Program(world.site) as program:
        for words in (["teams", "--purge"], ["--cluster", "east", "--keep"], ["--all", "--purge"]):
            refused = world.leave(*words, "--yes")
            assert (refused.code, str(program.pid) in refused.err) == (2, True), refused.err
        assert uids([world.east, world.north]) == before
        world.select(suspend=True)
        until(lambda: program.ready_condition("teams")[1] == "Suspended", "the policy is suspended")
        assert world.left("teams", "--purge")[0] == 0
        world.configure(overrides=[{"contexts": ["east"], "paused": True}])
        until(lambda: program.cluster("east")["state"] == "Paused", "one cluster is paused")
        assert world.left("--cluster", "east", "--keep")[0] == 0
        turns = program.metric("imps_event_loop_lag_seconds_count")
        until(lambda: program.metric("imps_event_loop_lag_seconds_count") > turns + 4, "two seconds of the service")
    assert by_namespace(world.east).keys() == by_namespace(world.north).keys() == set(TOOLS)
    assert [our_marks(one) for one in by_namespace(world.east).values()] == [[], []]
    assert all(our_marks(one) for one in by_namespace(world.north).values())


def test_a_pass_clears_a_decommissioned_cluster_and_says_so(world: Stage) -> None:
    before = uids([world.north])
    leaving = [{"contexts": ["east"], "decommission": True}]
    world.configure(overrides=leaving)
    held = run_once(world.site)
    assert (held.code, len(by_namespace(world.east))) == (1, len(TEAMS))  # the two of the other policy went at once
    assert f"{len(TEAMS)} wait for approval" in held.err
    world.configure({"perCluster": {"maxDeleteAtLeast": 20}}, overrides=leaving)
    done = run_once(world.site)
    assert (done.code, by_namespace(world.east), uids([world.north])) == (0, {}, before)
    assert "nothing of ours is left; take it out of the configuration" in done.err


def test_names_that_are_not_known_are_said(world: Stage) -> None:
    wrong = world.leave("--cluster", "eats", "--purge", "--yes")
    assert (wrong.code, "did you mean east" in wrong.err) == (2, True)
    wrong = world.leave("teems", "--purge", "--yes")
    assert (wrong.code, "did you mean teams" in wrong.err) == (1, True)
