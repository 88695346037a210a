"""The hub in a cluster: policies and sources are Kubernetes objects, and so is what the program remembers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.figures import figure
from tests.e2e.hub_cluster import by_hand, drop_policies, lay_hub, put
from tests.e2e.manifests import DOCKER_HOST, docker_source, ecr_source, policy
from tests.e2e.program import Program
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins
from tests.e2e.waiting import Watch, until
from tests.realcluster.cluster import RealCluster

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

TEAMS = tuple(f"team-{number:02}" for number in range(10))
PASSWORD = "docker-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    hub: RealCluster
    other: RealCluster
    site: Site
    registry: Registry
    program: Program

    @property
    def clusters(self) -> tuple[RealCluster, RealCluster]:
        return self.hub, self.other

    def lay(self) -> None:
        """Put the hub into its right state."""
        put(self.hub, ecr_source("ecr", self.registry), docker_source("docker", password=PASSWORD))
        put(self.hub, policy("everyone", sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))

    def right(self) -> bool:
        login = {DOCKER_HOST: ("robot", PASSWORD), HOST: ("AWS", self.registry.newest)}
        return all(all_logins(cluster) == dict.fromkeys(TEAMS, login) for cluster in self.clusters)

    def calm(self) -> bool:
        return self.program.status()["hub"]["whole"] and self.program.in_sync("everyone", 2 * len(TEAMS))

    def problems(self) -> str:
        return "\n".join(one["message"] for one in self.program.status()["hub"]["problems"])


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Iterator[Stage]:
    hub, other = bring("east", "north")
    for cluster in (hub, other):
        cluster.create_namespaces(TEAMS)
    site.reach([hub, other])
    lay_hub(hub, site)
    for cluster in (hub, other):
        cluster.authorize(SERVICE, by_hand())
    program = Program(site)
    found = Stage(hub=hub, other=other, site=site, registry=registry, program=program)
    found.lay()
    with program:
        until(found.right, "every target holds both credentials")
        yield found


@pytest.fixture
def world(stage: Stage) -> Iterator[Stage]:
    """Give the stage at rest, and lay the hub right again afterwards."""
    until(lambda: stage.right() and stage.calm(), "all is well before")
    yield stage
    stage.lay()
    until(lambda: stage.right() and stage.calm(), "all is well again")


def test_a_policy_and_its_source_come_change_and_go_within_two_seconds(world: Stage) -> None:
    watch = Watch()
    put(world.hub, docker_source("late", password="one"))
    put(
        world.hub,
        policy(
            "late", sources=["late"], namespaces={"names": [TEAMS[0]]}, secret="pull-late", deletionPolicy="Immediate"
        ),
    )
    until(lambda: late(world, "one"), "the new policy is served", within=5)
    figure("hub in a cluster: policy and source created to both targets written", watch.seconds)
    watch = Watch()
    put(world.hub, docker_source("late", password="two"))
    until(lambda: late(world, "two"), "the new password is delivered", within=5)
    figure("hub in a cluster: source edited to both targets written", watch.seconds)
    watch = Watch()
    drop_policies(world.hub, "late")
    until(
        lambda: not any(cluster.secret(TEAMS[0], "pull-late") for cluster in world.clusters), "its targets go", within=5
    )
    figure("hub in a cluster: policy deleted to both targets deleted", watch.seconds)


def late(world: Stage, password: str) -> bool:
    wanted = {TEAMS[0]: {DOCKER_HOST: ("robot", password)}}
    return all(all_logins(cluster, "pull-late") == wanted for cluster in world.clusters)
