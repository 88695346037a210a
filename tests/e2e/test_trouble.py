"""Clusters in trouble of every kind beside a sound one: each degraded alone, and right again without a restart."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.e2e.arrivals import Arrivals
from tests.e2e.figures import figure
from tests.e2e.gate import Gate
from tests.e2e.manifests import docker_source, policy
from tests.e2e.program import Program, printed_role
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins, by_namespace, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import Watch, until
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:02}" for number in range(30))
SOUND, FROZEN, REFUSED, NOWHERE, MUTE, TWIN = "east", "north", "west", "south", "mute", "twin"
REASONS = {REFUSED: "Unauthorized", NOWHERE: "Unreachable", MUTE: "Timeout", TWIN: "Duplicate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    clusters: dict[str, RealCluster]
    site: Site
    gate: Gate
    program: Program

    def holds(self, name: str, password: str) -> bool:
        """Say whether every team of a cluster holds this password."""
        found = all_logins(self.clusters[name])
        return found.keys() == set(TEAMS) and all(
            login == ("robot", password) for logins in found.values() for login in logins.values()
        )

    def rotate(self, password: str) -> None:
        self.site.put("docker.yaml", docker_source("docker", password=password))

    def connect(self, *, token: str | None) -> None:
        """Write the kubeconfig; a token replaces that for the cluster that refuses."""
        clusters = self.clusters
        self.site.reach_by(
            clusters[SOUND].kubeconfig(SERVICE),
            clusters[FROZEN].kubeconfig(SERVICE),
            clusters[REFUSED].kubeconfig(SERVICE, token=token),
            clusters[NOWHERE].kubeconfig(SERVICE),
            clusters[MUTE].kubeconfig(SERVICE, server=self.gate.url),
            clusters[SOUND].kubeconfig(SERVICE, name=TWIN),
        )


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Iterator[Stage]:
    names = (SOUND, FROZEN, REFUSED, NOWHERE, MUTE)
    clusters = dict(zip(names, bring(*names), strict=True))
    site.put("everyone.yaml", policy("everyone", sources=["docker"], namespaces={"names": ["team-*"]}))
    with Gate(clusters[MUTE].port) as gate:
        program = Program(site)
        found = Stage(clusters=clusters, site=site, gate=gate, program=program)
        found.rotate("first")
        found.connect(token="wrong-token")
        site.configure(clusters=fleet())
        for cluster in clusters.values():
            cluster.create_namespaces(TEAMS)
            cluster.authorize(SERVICE, printed_role(site))
        clusters[NOWHERE].kill()
        watch = Watch()
        with program:
            until(lambda: found.holds(SOUND, "first") and found.holds(FROZEN, "first"), "the sound ones are served")
            figure("process start to two sound clusters served, beside four in trouble", watch.seconds)
            yield found


def fleet(**more: object) -> list[dict[str, object]]:
    impatient = {"contexts": [MUTE], "requestTimeout": "2s"}
    return [{"kubeconfig": "./fleet.kubeconfig", "contexts": ["*"], "overrides": [impatient], **more}]


def state(stage: Stage, name: str) -> tuple[str, str]:
    shown = stage.program.cluster(name)
    return shown["state"], shown["reason"]


def up(stage: Stage, name: str) -> float:
    return stage.program.metric("imps_target_up", target_cluster=name)


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_a_cluster_in_trouble_says_why_and_when_it_is_tried_again(stage: Stage, name: str, reason: str) -> None:
    kind = "Quarantined" if reason == "Duplicate" else "Degraded"
    until(lambda: state(stage, name) == (kind, reason), f"{name} is {kind} for {reason}")
    shown = stage.program.cluster(name)
    assert shown["message"]
    assert shown["since"]
    assert shown["nextAttempt"] >= shown["since"]
    assert up(stage, name) == 0
    assert (state(stage, SOUND), up(stage, SOUND)) == (("Up", ""), 1)


def test_a_cluster_that_is_configured_twice_names_both_and_is_served_once(stage: Stage) -> None:
    until(lambda: state(stage, TWIN)[0] == "Quarantined", "the twin is quarantined")
    message = stage.program.cluster(TWIN)["message"]
    assert SOUND in message
    assert TWIN in message
    assert stage.program.cluster(TWIN)["targets"]["desired"] == 0
    assert all(one["metadata"]["resourceVersion"] for one in by_namespace(stage.clusters[SOUND]).values())


def test_nobody_waits_for_a_cluster_in_trouble(stage: Stage) -> None:
    watch = Watch()
    stage.rotate("second")
    until(lambda: stage.holds(SOUND, "second") and stage.holds(FROZEN, "second"), "the sound ones have it")
    figure("hub edit to 60 targets in two clusters, beside four in trouble", watch.seconds)


def test_a_cluster_that_freezes_is_degraded_alone_and_catches_up(stage: Stage) -> None:
    frozen = stage.clusters[FROZEN]
    until(lambda: up(stage, FROZEN) == 1, "it is up before")
    before = uids([frozen])
    with Arrivals(frozen) as arrivals:
        frozen.freeze()
        watch = Watch()
        stage.rotate("third")
        until(lambda: stage.holds(SOUND, "third"), "the others are served meanwhile")
        figure("hub edit to the sound cluster while another is frozen", watch.seconds)
        until(lambda: state(stage, FROZEN) == ("Degraded", "Timeout"), "it is degraded")
        figure("frozen until it is degraded", watch.seconds)
        assert up(stage, FROZEN) == 0
        assert stage.program.ready_condition("everyone")[0] != "True"
        frozen.thaw()
        watch = Watch()
        until(lambda: stage.holds(FROZEN, "third"), "it is right again")
        figure("thawed until all its targets are right", watch.seconds)
        until(lambda: up(stage, FROZEN) == 1, "it is up again")
        until(lambda: len(arrivals.events) >= len(TEAMS), "the watch beside it has shown every write")
        changed = sorted(namespace for _, _, namespace in arrivals.events)
    assert uids([frozen]) == before
    assert changed == sorted(TEAMS)


def test_a_cluster_that_was_nowhere_is_right_soon_after_it_comes(stage: Stage) -> None:
    stage.clusters[NOWHERE].start()
    heals(stage, NOWHERE)


def test_a_cluster_that_was_mute_is_right_soon_after_it_answers(stage: Stage) -> None:
    stage.gate.open()
    heals(stage, MUTE)


def test_a_cluster_that_refused_is_right_soon_after_its_kubeconfig_is(stage: Stage) -> None:
    traffic = Traffic([stage.clusters[SOUND]])
    stage.connect(token=None)
    heals(stage, REFUSED)
    assert [entry for entry in traffic.all() if entry.changes or entry.verb in ("list", "watch")] == []


def heals(stage: Stage, name: str) -> None:
    watch = Watch()
    until(lambda: stage.holds(name, current(stage)), f"{name} is served")
    figure(f"{name}: return until all its targets are right", watch.seconds)
    until(lambda: (state(stage, name), up(stage, name)) == (("Up", ""), 1), f"{name} is up")


def current(stage: Stage) -> str:
    passwords = {password for logins in all_logins(stage.clusters[SOUND]).values() for _, password in logins.values()}
    (password,) = passwords
    return password


def test_a_twin_that_leaves_the_configuration_leaves_the_other_alone(stage: Stage) -> None:
    traffic = Traffic([stage.clusters[SOUND]])
    stage.site.configure(clusters=[{"kubeconfig": "./fleet.kubeconfig", "contexts": ["*"], "excludeContexts": [TWIN]}])
    until(lambda: TWIN not in [one["name"] for one in stage.program.status()["clusters"]], "the twin is gone")
    until(lambda: stage.program.ready_condition("everyone") == ("True", "AllSynced"), "all is well")
    assert traffic.writes() == []
    assert stage.program.metric("imps_actor_restarts_total") == 0


def test_watches_that_die_in_silence_cost_no_extra_write(stage: Stage) -> None:
    """Every connection is lost on the way; what is written after that over new ones comes back on no watch."""
    cluster = stage.clusters[MUTE]
    until(lambda: up(stage, MUTE) == 1, "it is up before")
    with Arrivals(cluster) as arrivals:
        stage.gate.forget()
        for password in ("fourth", "fifth"):
            stage.rotate(password)
            until(partial(stage.holds, MUTE, password), f"its targets hold the {password}")
        until(lambda: len(arrivals.events) >= 2 * len(TEAMS), "the watch beside it has shown every write")
        changed = Counter(namespace for _, _, namespace in arrivals.events)
    assert changed == dict.fromkeys(TEAMS, 2)
    assert state(stage, MUTE) == ("Up", "")
