"""The running service over three clusters and three hundred targets: refreshes, drift, newcomers, departures, rest."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.arrivals import Arrivals
from tests.e2e.figures import figure, percentile
from tests.e2e.manifests import DOCKER_HOST, docker_source, ecr_source, policy
from tests.e2e.program import Program, printed_role, sync
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import KEY, Logins, all_logins, by_namespace, logins, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import Watch, until
from tests.realcluster.client import Manifest, in_bulk
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

PASSWORD = "docker-password"
TEAMS = tuple(f"team-{number:03}" for number in range(100))
LEAVING = {"immediate": "Immediate", "retain": "Retain", "linger": "WhenUnreferenced"}
OUR_LABELS = {"app.kubernetes.io/managed-by", "imps-multi.io/hub"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    clusters: tuple[RealCluster, ...]
    site: Site
    registry: Registry
    program: Program

    @property
    def east(self) -> RealCluster:
        return self.clusters[0]

    def right(self) -> Logins:
        return {DOCKER_HOST: ("robot", PASSWORD), HOST: ("AWS", self.registry.newest)}

    def all_right(self) -> bool:
        """Say whether exactly the teams have Secrets, with the newest token."""
        wanted = dict.fromkeys(TEAMS, self.right())
        return all(all_logins(cluster) == wanted for cluster in self.clusters)

    def renew(self) -> None:
        """Have a token minted, and wait until it is."""
        mints = self.registry.mints
        sync(self.site, "everyone")
        until(lambda: self.registry.mints > mints, "a token is minted")

    def settle(self) -> None:
        until(lambda: self.program.in_sync("everyone", 300), "all 300 targets are in sync")


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Iterator[Stage]:
    clusters = bring("east", "north", "west")
    for cluster in clusters:
        cluster.create_namespaces(TEAMS)
        cluster.create_namespaces(f"other-{number}" for number in range(10))
    for leaving in LEAVING:
        clusters[0].create_namespaces([f"leaves-{leaving}"], labels={"stays": leaving})
    site.reach(clusters)
    site.configure()
    site.put("sources.yaml", ecr_source("ecr", registry), docker_source("docker", password=PASSWORD))
    site.put("everyone.yaml", policy("everyone", sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))
    for leaving, how in LEAVING.items():
        selector = {"labels": [{"matchLabels": {"stays": leaving}}]}
        given = policy(leaving, sources=["ecr"], namespaces=selector, secret=f"pull-{leaving}", deletionPolicy=how)
        site.put(f"{leaving}.yaml", given)
    for cluster in clusters:
        cluster.authorize(SERVICE, printed_role(site))
    watch = Watch()
    with Program(site) as program:
        found = Stage(clusters=clusters, site=site, registry=registry, program=program)
        until(found.all_right, "every target holds both credentials")
        figure("run: process start to 300 targets in three clusters", watch.seconds)
        found.settle()
        figure("fan-out to 300 targets as the service measured it", program.metric("imps_fanout_duration_seconds_sum"))
        figure("resident memory after the first sync of 3 x 100 namespaces", program.resident, "MB")
        yield found


@pytest.fixture
def world(stage: Stage) -> Stage:
    """Give the stage at rest, whatever an earlier test did to it."""
    stage.registry.live(12 * 3600.0)
    until(stage.all_right, "every target is as it should be")
    stage.settle()
    return stage


def test_a_refresh_reaches_every_target_in_place_for_one_call_and_one_request_each(world: Stage) -> None:
    before, mints, traffic = uids(world.clusters), world.registry.mints, Traffic(world.clusters)
    with Arrivals(world.clusters[0]) as arrivals:
        watch = Watch()
        world.renew()
        until(world.all_right, "the new token is everywhere")
        figure("sync command to 300 targets verified", watch.seconds)
        until(lambda: len(arrivals.first("MODIFIED")) == len(TEAMS), "the watch beside it has shown every update")
        moments = arrivals.first("MODIFIED").values()
        figure("rotation of 100 targets in one of three clusters", max(moments) - min(moments))
    world.settle()
    assert world.registry.mints == mints + 1
    assert uids(world.clusters) == before
    targets = [entry for entry in traffic.writes() if entry.name == "pull"]
    assert {(entry.verb, entry.code) for entry in targets} == {("update", 200)}
    assert len(targets) == 300
    assert traffic.reads() == []


def test_a_short_lived_token_is_refreshed_in_time_and_nothing_is_written_meanwhile(world: Stage) -> None:
    world.registry.live(36.0)
    world.renew()
    until(world.all_right, "the short-lived token is everywhere")
    world.settle()
    world.registry.live(12 * 3600.0)
    mints, traffic = world.registry.mints, Traffic(world.clusters)
    turns = world.program.metric("imps_event_loop_lag_seconds_count")
    until(
        lambda: world.program.metric("imps_event_loop_lag_seconds_count") >= turns + 10,
        "the service's loop turned for five seconds",
    )
    assert (traffic.writes(), traffic.reads(), world.registry.mints) == ([], [], mints)
    until(lambda: world.registry.mints > mints and world.all_right(), "the token is refreshed by itself")
    assert world.registry.mints == mints + 1


@pytest.mark.parametrize("change", ["edited", "emptied", "stripped", "deleted"])
def test_a_target_that_somebody_changed_is_put_right_at_once(world: Stage, change: str) -> None:
    east, namespace = world.east, TEAMS[7]
    before = by_namespace(east)[namespace]
    traffic, changes = Traffic(world.clusters), world.program.metric("imps_target_uid_changes_total")
    spoil(east, namespace, change)
    watch = Watch()
    until(lambda: restored(east, namespace, before), "the target is right again", poll=0.002)
    figure(f"a target was {change} until it is right again", watch.seconds)
    world.settle()
    writes = [(entry.verb, entry.namespace) for entry in traffic.writes()]
    same = by_namespace(east)[namespace]["metadata"]["uid"] == before["metadata"]["uid"]
    verbs = {"create"} if change == "deleted" else {"update", "patch"}
    assert len(writes) == 1
    assert writes[0][0] in verbs
    assert writes[0][1] == namespace
    assert traffic.reads() == ([] if change == "deleted" else [(namespace, 200)])
    assert same is (change != "deleted")
    changes += change == "deleted"
    until(
        lambda: world.program.metric("imps_target_uid_changes_total") == changes,
        "another UID is counted, and only that",
    )


def spoil(cluster: RealCluster, namespace: str, change: str) -> None:
    wrong = json.dumps({"auths": {"evil.example.com": {"auth": base64.b64encode(b"a:b").decode()}}}).encode()
    match change:
        case "edited":
            cluster.edit_secret(namespace, "pull", {"data": {KEY: base64.b64encode(wrong).decode(), "more": "eA=="}})
        case "emptied":
            cluster.edit_secret(namespace, "pull", {"data": {KEY: base64.b64encode(b"{}").decode()}})
        case "stripped":
            labels = dict.fromkeys(OUR_LABELS)
            cluster.edit_secret(namespace, "pull", {"metadata": {"labels": labels, "annotations": None}})
        case _:
            assert cluster.delete_secret(namespace, "pull")


def restored(cluster: RealCluster, namespace: str, before: Manifest) -> bool:
    now = cluster.secret(namespace, "pull")
    return now is not None and look(now) == look(before)


def target(cluster: RealCluster, leaving: str) -> Manifest:
    return until(lambda: cluster.secret(f"leaves-{leaving}", f"pull-{leaving}"), f"the target of {leaving}")


def look(secret: Manifest) -> tuple[object, ...]:
    meta = secret["metadata"]
    return secret["type"], secret["data"], meta.get("labels"), meta.get("annotations")


def test_new_namespaces_are_served_while_everything_else_is_being_refreshed(world: Stage) -> None:
    made: dict[str, float] = {}
    mints = world.registry.mints
    with Arrivals(world.east) as arrivals:
        for turn in range(3):
            world.renew()
            for number in range(25):
                name = f"team-new-{turn}-{number:02}"
                world.east.create_namespaces([name])
                made[name] = time.monotonic()
            until(lambda: made.keys() <= arrivals.first("ADDED").keys(), "every new namespace has its Secret")
        until(lambda: len(arrivals.first("MODIFIED")) >= len(TEAMS), "the refreshes were seen too")
        served = arrivals.first("ADDED")
        refreshed = [at for at, kind, _ in arrivals.events if kind == "MODIFIED"]
    late = [max(0.0, served[name] - at) for name, at in made.items()]
    figure("new namespace to its Secret during refreshes, p50 of 75", percentile(late, 0.5) * 1000, "ms")
    figure("new namespace to its Secret during refreshes, p99 of 75", percentile(late, 0.99) * 1000, "ms")
    figure("targets refreshed in that cluster meanwhile", len(refreshed), "")
    assert world.registry.mints == mints + 3
    assert len(refreshed) >= 100
    for name in made:
        leave(world.east, name)


def leave(cluster: RealCluster, name: str) -> None:
    cluster.terminate_namespace(name)
    cluster.finish_namespace(name)


def test_a_namespace_that_stops_matching_keeps_or_loses_its_secret_as_its_policy_says(world: Stage) -> None:
    east = world.east
    kept, marked, _ = (target(east, leaving) for leaving in ("retain", "linger", "immediate"))
    watch = Watch()
    in_bulk(lambda name: relabel(east, name, "no-more"), LEAVING)
    until(lambda: east.secret("leaves-immediate", "pull-immediate") is None, "Immediate is deleted", poll=0.005)
    figure("a namespace stopped matching until its Secret was deleted (Immediate)", watch.seconds)
    until(lambda: not marks(east, "retain"), "Retain lost our marks")
    until(lambda: "imps-multi.io/unwanted-since" in marks(east, "linger"), "WhenUnreferenced is marked")
    retained = target(east, "retain")
    assert retained["data"] == kept["data"]
    assert not OUR_LABELS & retained["metadata"].get("labels", {}).keys()
    sync(world.site, "linger")
    until(
        lambda: (
            logins(east.client().get("/api/v1/namespaces/leaves-linger/secrets/pull-linger"))[HOST]
            == ("AWS", world.registry.newest)
        ),
        "the marked one stays fresh",
    )
    in_bulk(lambda name: relabel(east, name, name), LEAVING)
    until(lambda: "imps-multi.io/unwanted-since" not in marks(east, "linger"), "wanted again: the marks go")
    assert target(east, "immediate")["type"] == kept["type"]
    assert target(east, "linger")["metadata"]["uid"] == marked["metadata"]["uid"]


def relabel(cluster: RealCluster, leaving: str, value: str) -> None:
    cluster.client().merge(f"/api/v1/namespaces/leaves-{leaving}", {"metadata": {"labels": {"stays": value}}})


def marks(cluster: RealCluster, leaving: str) -> set[str]:
    annotations: dict[str, str] = target(cluster, leaving)["metadata"].get("annotations") or {}
    return {key for key in annotations if key.startswith("imps-multi.io/")}


def test_a_policy_that_is_deleted_takes_its_secret_along_and_nobody_else_s(world: Stage) -> None:
    first, policy_file = target(world.east, "immediate"), world.site.hub / "immediate.yaml"
    content = policy_file.read_text()
    world.site.drop("immediate.yaml")
    until(lambda: world.east.secret("leaves-immediate", "pull-immediate") is None, "its Secret is deleted")
    assert world.all_right()
    world.site.put_text("immediate.yaml", content)
    assert target(world.east, "immediate")["metadata"]["uid"] != first["metadata"]["uid"]


def test_a_sync_that_a_policy_asks_for_is_done_once(world: Stage) -> None:
    mints = world.registry.mints
    asking = policy(
        "everyone",
        sources=["ecr", "docker"],
        namespaces={"names": ["team-*"]},
        metadata={"annotations": {"imps-multi.io/sync": "please"}},
    )
    world.site.put("everyone.yaml", asking)
    until(lambda: world.registry.mints > mints and world.all_right(), "it is minted anew")
    until(lambda: world.program.policy("everyone")["lastHandledSync"] == "please", "it is said to be done")
    asking["metadata"]["labels"] = {"another": "edit"}
    world.site.put("everyone.yaml", asking)
    sync(world.site, "linger")  # of the same identity: whatever the edit had asked for came before it
    until(lambda: world.registry.mints > mints + 1, "the next one is minted")
    assert world.registry.mints == mints + 2


def test_a_terminating_namespace_is_left_alone_without_a_fuss(world: Stage) -> None:
    north, namespace = world.clusters[1], TEAMS[3]
    lines = len(world.program.log())
    north.terminate_namespace(namespace)
    until(lambda: world.program.in_sync("everyone", 299), "the Terminating namespace does not count")
    traffic = Traffic([north])
    north.delete_secret(namespace, "pull")
    world.renew()
    until(lambda: len(set(all_logins(north)) & set(TEAMS)) == 99, "its Secret is not made anew")
    until(
        lambda: (
            all(one == world.right() for one in all_logins(north).values()) and world.program.in_sync("everyone", 299)
        ),
        "all the others are refreshed",
    )
    assert [entry for entry in traffic.writes() if entry.namespace == namespace] == []
    assert [line for line in world.program.log()[lines:] if line["level"] in ("warning", "error")] == []
    north.finish_namespace(namespace)
    north.create_namespaces([namespace])
    until(lambda: north.secret(namespace, "pull"), "it is served when it is back")


def test_what_is_seen_from_outside_tells_the_truth(world: Stage) -> None:
    program = world.program
    status = program.status()
    assert {(one["name"], one["state"], one["targets"]["inSync"] >= 100) for one in status["clusters"]} == {
        (cluster.name, "Up", True) for cluster in world.clusters
    }
    assert (status["hub"]["whole"], status["held"]) == (True, [])
    assert program.ready_condition("everyone") == ("True", "AllSynced")
    assert [program.metric("imps_target_up", target_cluster=cluster.name) for cluster in world.clusters] == [1.0] * 3
    assert program.metric("imps_target_secrets", target_cluster="west", state="in_sync") == 100
    assert program.metric("imps_actor_restarts_total") == 0
    assert {line["level"] for line in program.log()} <= {"debug", "info"}
