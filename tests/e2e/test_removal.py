"""What becomes of targets that nobody wants any more, with real pods, ServiceAccounts and timers.

Time is not waited for: the timers lie on the targets, so they are put into the past there.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.dwellers import NAMING, NOT_NAMING, clear
from tests.e2e.manifests import DOCKER_HOST, PULL, docker_source, policy
from tests.e2e.program import Program, approve, printed_role, run_once
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import Logins, all_logins, by_namespace, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

SINCE, LINGER = "imps-multi.io/unwanted-since", "imps-multi.io/linger"
NAMED = {f"team-{how}": settle for how, settle in NAMING.items()}
FREE = {f"team-{how}": settle for how, settle in NOT_NAMING.items()}
OLD, STAYING = "team-seven-days", "team-stays"
LEAVERS = (*NAMED, *FREE, OLD)
TEAMS = (*LEAVERS, STAYING)
A_LITTLE_OVER = timedelta(minutes=1)


def before_now(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago) - A_LITTLE_OVER).strftime("%Y-%m-%dT%H:%M:%SZ")


def marks(secret: Manifest) -> dict[str, str]:
    return {key: value for key, value in secret["metadata"]["annotations"].items() if key in (SINCE, LINGER)}


def holding(teams: Iterable[str], password: str) -> dict[str, Logins]:
    """Return what these teams can log in with where they hold this password."""
    return {team: {DOCKER_HOST: ("robot", password)} for team in teams}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    east: RealCluster
    site: Site
    program: Program

    def rotate(self, password: str) -> None:
        self.site.put("docker.yaml", docker_source("docker", password=password))

    def select(self, *, without: Iterable[str] = ()) -> None:
        """Write the policy; the named namespaces are left out."""
        namespaces = {"names": ["team-*"], "exclude": list(without)}
        self.site.put("everyone.yaml", policy("everyone", sources=["docker"], namespaces=namespaces))

    def fleet(self, **settings: object) -> None:
        self.site.configure(clusters=[{"kubeconfig": "./fleet.kubeconfig", "contexts": ["*"], **settings}])

    def stamp(self, namespace: str, **annotations: str | None) -> None:
        """Write marks onto a target; ``since`` and ``linger`` name them."""
        keys = {"since": SINCE, "linger": LINGER, "adopted": "imps-multi.io/adopted"}
        named = {keys[word]: value for word, value in annotations.items()}
        self.east.edit_secret(namespace, PULL, {"metadata": {"annotations": named}})

    def everywhere(self, password: str) -> bool:
        """Say whether every team holds this password, unmarked."""
        secrets = by_namespace(self.east)
        unmarked = not any(marks(secret) for secret in secrets.values())
        return unmarked and all_logins(self.east) == holding(TEAMS, password)


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Iterator[Stage]:
    (east,) = bring("east")
    east.create_namespaces(TEAMS)
    site.reach([east])
    program = Program(site)
    found = Stage(east=east, site=site, program=program)
    found.fleet()
    found.rotate("first")
    found.select()
    east.authorize(SERVICE, printed_role(site))
    with program:
        yield found


@pytest.fixture
def world(stage: Stage) -> Iterator[Stage]:
    """Give the stage with every team served."""
    until(lambda: stage.everywhere("first"), "all are served before")
    yield stage
    for team in LEAVERS:
        clear(stage.east, team)
    stage.fleet()
    stage.rotate("first")
    stage.select()
    if not stage.program.running:
        stage.program.start()
    until(lambda: stage.everywhere("first"), "all are served again")


def test_a_target_goes_when_its_time_has_passed_and_nobody_names_it(world: Stage) -> None:
    """The cluster is away when the service starts, and returns after the time had passed; seven days end it anyway."""
    east, program = world.east, world.program
    for team, settle in {**NAMED, **FREE, OLD: NAMED["team-pull"]}.items():
        settle(east, team)
    assert program.stop()[0] == 0
    world.select(without=LEAVERS)
    for team in LEAVERS:
        world.stamp(team, since=before_now(days=7) if team == OLD else before_now(hours=1), linger="1h")
    stamped, before = {team: marks(one) for team, one in by_namespace(east).items()}, uids([east])
    east.kill()
    program.start()
    until(lambda: program.cluster("east")["state"] == "Degraded", "the cluster is missed")
    traffic = Traffic([east])
    east.start()
    until(lambda: by_namespace(east).keys() == {STAYING, *NAMED}, "what nobody names is gone")
    named = until(lambda: who_waits(program) if who_waits(program).keys() == NAMED.keys() else None, "the rest waits")
    assert {why.partition(" ")[0] for why in named.values()} == {"pod", "ServiceAccount"}
    until(lambda: len(traffic.writes()) >= len({*FREE, OLD}), "the last answer is written down")
    assert {entry.namespace for entry in traffic.writes()} == {*FREE, OLD}
    world.rotate("second")
    fresh = holding((STAYING, *NAMED), "second")
    until(lambda: all_logins(east) == fresh, "what lingers is kept fresh")
    assert {team: marks(one) for team, one in by_namespace(east).items()} == {
        team: stamped[team] for team in (STAYING, *NAMED)
    }
    until(lambda: program.policy("everyone")["targets"]["lingering"] == len(NAMED), "they are counted")
    until(lambda: program.ready_condition("everyone") == ("True", "AllSynced"), "what lingers is told, and no fault")
    assert program.stop()[0] == 0
    for team in NAMED:
        clear(east, team)
    assert run_once(world.site).code == 0
    assert uids([east]) == {key: uid for key, uid in before.items() if key[1] == STAYING}


def who_waits(program: Program) -> dict[str, str]:
    """Return who names the Secret, by namespace, as the log says."""
    return {line["namespace"]: line["named_by"] for line in program.logged("Deletion waits")}


def marked(cluster: RealCluster) -> dict[str, dict[str, str]]:
    """Return the marks of what is to go, by namespace."""
    found = {team: marks(one) for team, one in by_namespace(cluster).items()}
    return {team: one for team, one in found.items() if one}


def test_a_deselected_target_is_marked_for_an_hour_and_loses_the_marks_in_one_write(world: Stage) -> None:
    east, gone = world.east, tuple(FREE)
    before = uids([east])
    world.select(without=gone)
    until(lambda: world.program.policy("everyone")["targets"]["lingering"] == len(gone), "they are to go")
    until(lambda: len(marked(east)) == len(gone), "they are marked")
    assert {team: found[LINGER] for team, found in marked(east).items()} == dict.fromkeys(gone, "1h")
    traffic = Traffic([east])
    world.select()
    until(lambda: world.everywhere("first"), "the marks are gone")
    until(lambda: len(traffic.writes()) >= len(gone), "the last answer is written down")
    assert sorted((entry.namespace, entry.code) for entry in traffic.writes()) == sorted((team, 200) for team in gone)
    assert uids([east]) == before


@pytest.mark.parametrize("since", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "yesterday", ""])
def test_a_mark_that_somebody_puts_on_a_wanted_target_is_taken_off(world: Stage, since: str) -> None:
    before, traffic = uids([world.east]), Traffic([world.east])
    world.stamp(STAYING, since=since, linger="0s")
    until(lambda: not marks(by_namespace(world.east)[STAYING]), "the marks are gone")
    assert {entry.verb for entry in traffic.writes()} <= {"patch", "update"}
    assert uids([world.east]) == before


def test_a_mark_that_cannot_be_is_put_right_and_counts_from_now(world: Stage) -> None:
    east, wrong = world.east, {"team-nobody": "2999-01-01T00:00:00Z", "team-another": "yesterday"}
    assert world.program.stop()[0] == 0
    world.select(without=wrong)
    for team, since in wrong.items():
        world.stamp(team, since=since, linger="1000000d")
    began = before_now(minutes=-1)
    assert run_once(world.site).code == 0
    there = {team: marks(by_namespace(east)[team])[SINCE] for team in wrong}
    assert all(began <= since <= before_now(minutes=-2) for since in there.values()), there


def test_a_decommissioned_cluster_is_cleared_under_the_brake_and_served_again_when_taken_back(world: Stage) -> None:
    east, program = world.east, world.program
    NAMED["team-pull"](east, "team-pull")
    world.stamp("team-another", adopted="true")
    foreign = east.client().create(theirs(STAYING))
    world.fleet(decommission=True)
    (held,) = until(lambda: program.status()["held"], "so many are held")
    assert (held["deletions"], held["clusters"]) == (len(TEAMS), ["east"])
    until(lambda: "wait for approval" in program.cluster("east")["message"], "the cluster says so")
    assert len(by_namespace(east)) == len(TEAMS)
    assert approve(world.site, held["id"]).code == 0
    until(lambda: program.cluster("east")["reason"] == "Decommissioned", "the end is told")
    assert "take it out of the configuration" in program.cluster("east")["message"]
    ((left, given_back),) = by_namespace(east).items()
    assert (left, marked_ours(given_back)) == ("team-another", [])
    assert east.secret(STAYING, "theirs") == foreign
    assert program.policy("everyone")["targets"]["desired"] == 0
    assert program.ready_condition("everyone") == ("True", "AllSynced")
    east.delete_secret("team-another", PULL)
    traffic = Traffic([east])
    world.fleet(decommission=True, paused=True)
    until(lambda: program.cluster("east")["state"] == "Paused", "it is only read")
    world.fleet()
    until(lambda: world.everywhere("first"), "it is served again")
    assert {entry.verb for entry in traffic.writes()} == {"create"}


def theirs(namespace: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs", "namespace": namespace}}


def marked_ours(secret: Manifest) -> list[str]:
    """Return what of a Secret's labels and annotations is ours."""
    keys = [*secret["metadata"].get("labels", {}), *secret["metadata"].get("annotations", {})]
    return [key for key in keys if key.startswith("imps-multi.io/") or key == "app.kubernetes.io/managed-by"]
