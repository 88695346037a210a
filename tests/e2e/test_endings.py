"""How a process ends in the middle of its work, and how the next one goes on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.figures import figure
from tests.e2e.manifests import DOCKER_HOST, docker_source, ecr_source, policy
from tests.e2e.program import Program, command, printed_role, run_once
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:03}" for number in range(100))
SLOW = {"requestsPerSecond": 15, "burst": 1}  # some six seconds in which it can be interrupted
FAST = {"requestsPerSecond": 2000, "burst": 2000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    clusters: tuple[RealCluster, ...]
    site: Site
    registry: Registry

    def pace(self, limits: dict[str, int]) -> None:
        self.site.configure(defaults=limits)

    def written(self) -> int:
        return sum(len(cluster.secrets(fieldSelector="metadata.name=pull")) for cluster in self.clusters)

    def all_right(self) -> bool:
        return all(
            logins.keys() == set(TEAMS) and {one[HOST][1] for one in logins.values()} == {self.registry.newest}
            for logins in map(all_logins, self.clusters)
        )


@pytest.fixture
def stage(real_clusters: tuple[RealCluster, ...], site: Site, registry: Registry) -> Stage:
    for cluster in real_clusters:
        cluster.create_namespaces(TEAMS)
    site.reach(real_clusters)
    found = Stage(clusters=real_clusters, site=site, registry=registry)
    found.pace(SLOW)
    site.put("sources.yaml", ecr_source("ecr", registry), docker_source("docker", password="docker-password"))
    site.put("everyone.yaml", policy("everyone", sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))
    for cluster in real_clusters:
        cluster.authorize(SERVICE, printed_role(site))
    return found


def interrupted(stage: Stage, end: Callable[[Program], object]) -> int:
    """Start the service, end it in the middle of its fan-out, and return how many targets there were then."""
    with Program(stage.site) as program:
        until(lambda: stage.written() >= 30, "the fan-out is under way", poll=0.005)
        end(program)
    there = stage.written()
    assert 30 <= there < 300, "it ended in the middle"
    return there


def completes(stage: Stage, there: int) -> None:
    """See that one more pass makes everything right, with one request for each target that was missing."""
    before, traffic, mints = uids(stage.clusters), Traffic(stage.clusters), stage.registry.mints
    stage.pace(FAST)
    finished = run_once(stage.site)
    assert finished.code == 0, finished.err
    assert stage.all_right()
    writes = Counter((entry.verb, entry.code) for entry in traffic.writes())
    assert writes == {("create", 201): 300 - there}
    assert stage.registry.mints == mints
    after = uids(stage.clusters)
    assert {where: after[where] for where in before} == before
    assert len([one for cluster in stage.clusters for one in cluster.secrets()]) == 300


def test_sigterm_in_a_fan_out_ends_in_order_and_the_next_process_goes_on(stage: Stage) -> None:
    def end(program: Program) -> None:
        code, seconds = program.stop()
        figure("SIGTERM in a fan-out until the exit", seconds)
        assert code == 0
        assert not [line for line in program.log() if line["level"] == "error"]

    traffic = Traffic(stage.clusters)
    there = interrupted(stage, end)
    assert {entry.code for entry in traffic.writes()} == {201}
    assert len(traffic.writes()) == there == len([one for one in stage.site.written() if one["result"] == "ok"])
    completes(stage, there)


def test_sigkill_in_a_fan_out_leaves_nothing_that_the_next_process_has_to_undo(stage: Stage) -> None:
    completes(stage, interrupted(stage, Program.kill))


def test_sigterm_while_a_cluster_hangs_ends_in_time_all_the_same(stage: Stage) -> None:
    stage.pace(FAST)
    with Program(stage.site) as program:
        until(stage.all_right, "all targets are there")
        stage.clusters[0].freeze()
        stage.site.put("sources.yaml", ecr_source("ecr", stage.registry), docker_source("docker", password="other"))
        others = stage.clusters[1:]
        until(lambda: all(holds(cluster, "other") for cluster in others), "the writes to the others are done")
        code, seconds = program.stop()
    stage.clusters[0].thaw()
    figure("SIGTERM with writes in flight to a frozen cluster until the exit", seconds)
    assert code == 0
    assert run_once(stage.site).code == 0


def holds(cluster: RealCluster, password: str) -> bool:
    return {one[DOCKER_HOST][1] for one in all_logins(cluster).values()} == {password}


def test_a_second_process_on_the_same_state_is_refused_and_names_the_first(stage: Stage) -> None:
    with Program(stage.site) as program:
        finished = run_once(stage.site)
        assert finished.code == 2
        assert f"the process {program.pid}" in finished.err
        beside = command(stage.site, "plan", "--config", str(stage.site.config))
        assert beside.code in (0, 1), "to look is not refused, whether the fan-out is over or not"
