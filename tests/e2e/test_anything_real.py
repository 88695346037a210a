"""Anything in any order against two real API servers: what is not ours stays as it was, byte for byte, and we heal.

Sixty steps of a seeded driver: edits of the hub, Secrets made, spoilt and deleted by others, broken files, kills. The
judge is what the API servers hold.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.e2e.manifests import DOCKER_HOST, PULL, docker_source, policy
from tests.e2e.program import Program, printed_role
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import TYPE, by_namespace, logins
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

STEPS = 60
SPACES = tuple(f"team-{number}" for number in range(6))
LIMITS = {"maxDeletePercent": 100, "maxDeleteAtLeast": 1000}


@dataclass(kw_only=True)
class World:
    clusters: tuple[RealCluster, ...]
    site: Site
    program: Program
    foreign: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    """By cluster and namespace, as the API server gave it back."""
    word: str = "p0"
    names: tuple[str, ...] = ("team-*",)
    told: list[str] = field(default_factory=list)

    def write_hub(self) -> None:
        chosen = {"names": list(self.names)}
        asked = policy("everyone", sources=["docker"], namespaces=chosen, deletionPolicy="Immediate")
        self.site.put("everyone.yaml", asked)
        self.site.put("docker.yaml", docker_source("docker", password=self.word))

    def wanted(self, cluster: RealCluster) -> set[str]:
        spaces = SPACES if self.names == ("team-*",) else self.names
        return {space for space in spaces if (cluster.name, space) not in self.foreign}

    def right(self) -> bool:
        return all(self.right_in(cluster) for cluster in self.clusters)

    def right_in(self, cluster: RealCluster) -> bool:
        there = by_namespace(cluster)
        ours = {space for space in there if (cluster.name, space) not in self.foreign}
        expected = {DOCKER_HOST: ("robot", self.word)}
        return ours == self.wanted(cluster) and all(logins(there[space]) == expected for space in ours)

    def untouched(self) -> bool:
        there = {cluster.name: by_namespace(cluster) for cluster in self.clusters}
        return all(there[cluster].get(space) == found for (cluster, space), found in self.foreign.items())


@pytest.fixture
def world(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Iterator[World]:
    clusters = bring("east", "west")
    found = World(clusters=clusters, site=site, program=Program(site))
    found.write_hub()
    site.reach(clusters)
    site.configure(safety={"perCluster": LIMITS, "fleet": LIMITS})
    for cluster in clusters:
        cluster.create_namespaces(SPACES)
        cluster.authorize(SERVICE, printed_role(site))
        for space in SPACES[3:]:
            plant(found, cluster, space)
    with found.program:
        yield found


def take_step(world: World, draw: random.Random) -> None:
    cluster, space = draw.choice(world.clusters), draw.choice(SPACES)
    there = by_namespace(cluster).get(space)
    mine = (cluster.name, space) in world.foreign
    kind = draw.choice(["plant", "plant", "spoil", "delete", "unplant", "rotate", "select", "break", "kill"])
    world.told.append(f"{kind} {cluster.name}/{space}")
    match kind:
        case "plant" if not mine:
            cluster.delete_secret(space, PULL)
            plant(world, cluster, space)
        case "spoil" if there is not None and not mine:
            path, patch = f"/api/v1/namespaces/{space}/secrets/{PULL}", {"data": {".dockerconfigjson": "e30="}}
            cluster.client().ask("PATCH", path, body=patch, content_type="application/merge-patch+json")
        case "delete" if there is not None and not mine:
            cluster.delete_secret(space, PULL)
        case "unplant" if mine:
            del world.foreign[cluster.name, space]
            cluster.delete_secret(space, PULL)
        case "rotate":
            world.word = f"p{draw.randrange(1000)}"
            world.write_hub()
        case "select":
            world.names = draw.choice([("team-*",), ("team-0", "team-1"), ("team-2",)])
            world.write_hub()
        case "break":
            world.site.put_text("everyone.yaml", "kind: [")
        case "kill" if draw.random() < 0.3:
            world.program.kill()
            world.program.start()


def plant(world: World, cluster: RealCluster, space: str) -> None:
    """Make a Secret of somebody else, unless the service is quicker."""
    metadata = {"name": PULL, "namespace": space, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    body: Manifest = {"apiVersion": "v1", "kind": "Secret", "type": TYPE, "metadata": metadata}
    body["stringData"] = {".dockerconfigjson": '{"auths":{}}'}
    answer = cluster.client().ask("POST", f"/api/v1/namespaces/{space}/secrets", body=body)
    if answer.status == 201:
        found = world.foreign[cluster.name, space] = by_namespace(cluster)[space]
        assert found["metadata"]["resourceVersion"] == answer.json["metadata"]["resourceVersion"]


@pytest.mark.parametrize("seed", [1])
def test_after_anything_what_is_not_ours_is_as_it_was_and_all_else_is_right(world: World, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311  # repeatable
    until(world.right, "the clusters are served")
    traffic = Traffic(world.clusters)
    for _ in range(STEPS):
        take_step(world, draw)
        assert world.untouched(), world.told
    world.write_hub()
    until(world.right, f"all is right after {world.told}")
    assert world.untouched(), world.told
    assert world.foreign
    assert traffic.writes()
    for cluster in world.clusters:
        assert all("finalizers" not in one["metadata"] for one in by_namespace(cluster).values())
