"""A hub that was lost is built anew in another cluster: same id, same manifests, nothing remembered.

What lies in the fleet is recognised by its marks alone: it is refreshed in place, and nothing is taken away.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.e2e.hub_cluster import SYSTEM, drop_policies, hub_part, lay_configuration, lay_hub, put, state_secrets
from tests.e2e.manifests import DOCKER_HOST, PULL, docker_source, ecr_source, policy
from tests.e2e.program import Program, printed_hub_role, printed_role
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins, by_namespace, uids
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.audit import Entry
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:02}" for number in range(6))
LEFT = ("left-00", "left-01")
FORMER = "pull-former"
EVERYONE, SECOND = "everyone", "second"
PULL_SECOND = "pull-second"
NAMES = (PULL, PULL_SECOND, FORMER)
UNWANTED = "imps-multi.io/unwanted-since"
PASSWORD = "docker-password"


@dataclass(slots=True, kw_only=True)
class Stage:
    first: RealCluster
    """Where the hub was."""
    second: RealCluster
    """Where it is built anew."""
    fleet: RealCluster
    site: Site
    registry: Registry
    program: Program
    uids: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    """The UIDs of all targets before, by Secret name."""
    traffic: Traffic | None = None

    def lay(self, hub: RealCluster) -> None:
        """Apply the manifests that the user keeps."""
        put(hub, ecr_source("ecr", self.registry), docker_source("docker", password=PASSWORD))
        put(hub, policy(EVERYONE, sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))
        put(hub, policy(SECOND, sources=["ecr"], namespaces={"names": ["team-*"]}, secret=PULL_SECOND))

    def right(self) -> bool:
        """Say whether every target holds the newest token."""
        token = ("AWS", self.registry.newest)
        both = {DOCKER_HOST: ("robot", PASSWORD), HOST: token}
        served = {namespace: held for namespace, held in all_logins(self.fleet).items() if namespace in TEAMS}
        second = all_logins(self.fleet, PULL_SECOND)
        return (served, second) == (dict.fromkeys(TEAMS, both), {team: {HOST: token} for team in TEAMS})

    def calm(self) -> bool:
        """Say whether all is known of both policies."""
        status = self.program.status()
        whole = status["hub"]["whole"] and all(one["state"] == "Up" for one in status["clusters"])
        return whole and all(self.program.in_sync(name, len(TEAMS)) for name in (EVERYONE, SECOND))

    def marked(self) -> dict[tuple[str, str], str]:
        """Return since when which targets are not wanted, by Secret name and namespace."""
        return {
            (name, namespace): found["metadata"]["annotations"][UNWANTED]
            for name in NAMES
            for namespace, found in by_namespace(self.fleet, name).items()
            if UNWANTED in found["metadata"]["annotations"]
        }

    def target_writes(self) -> list[Entry]:
        """Return what was asked to be changed on targets since the hub was lost."""
        assert self.traffic is not None
        return [entry for entry in self.traffic.writes() if entry.resource == "secrets" and entry.namespace != SYSTEM]


def authorize(site: Site, hub: RealCluster, fleet: RealCluster) -> None:
    """Give the service what is printed for this configuration, and nothing else."""
    hub.authorize(SERVICE, printed_hub_role(site))
    fleet.authorize(SERVICE, printed_role(site))


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Iterator[Stage]:
    """Give a fleet that was served from the first cluster, and left when that was lost."""
    first, second, fleet = bring("east", "west", "north")
    fleet.create_namespaces([*TEAMS, *LEFT])
    site.reach([fleet])
    found = Stage(first=first, second=second, fleet=fleet, site=site, registry=registry, program=Program(site))
    lay_hub(first, site)
    found.lay(first)
    put(first, policy("left", sources=["docker"], namespaces={"names": list(LEFT)}))
    put(first, policy("former", sources=["docker"], namespaces={"names": list(TEAMS)}, secret=FORMER))
    lay_configuration(site, hub={**hub_part(), "formerSecretNames": [*NAMES]})
    authorize(site, first, fleet)
    with found.program:
        until(lambda: found.right() and len(uids([fleet], FORMER)) == len(TEAMS), "all are served")
        until(found.calm, "and that is known")
        drop_policies(first, "left", "former")
        until(lambda: len(found.marked()) == len(TEAMS) + len(LEFT), "what the deleted policies left is marked")
        yield found


@pytest.fixture(scope="module")
def rebuilt(stage: Stage) -> Stage:
    """Lose the hub with all that was remembered, and build it anew."""
    until(stage.calm, "all is well before")
    stage.program.stop()
    stage.uids = {name: uids([stage.fleet], name) for name in NAMES}
    marked = stage.marked()
    stage.first.kill()
    lay_hub(stage.second, stage.site)
    stage.lay(stage.second)
    lay_configuration(stage.site, hub={**hub_part(), "formerSecretNames": [FORMER]})
    authorize(stage.site, stage.second, stage.fleet)
    assert state_secrets(stage.second) == []
    stage.traffic = Traffic([stage.fleet])
    stage.program.start()
    until(lambda: stage.registry.mints == 2 and stage.calm() and stage.right(), "all is served anew")
    assert stage.marked() == marked
    return stage


def test_every_target_is_refreshed_once_in_place_and_none_is_deleted_or_made_anew(rebuilt: Stage) -> None:
    writes = rebuilt.target_writes()
    assert {entry.verb for entry in writes} <= {"update", "patch"}
    assert {entry.code for entry in writes} == {200}
    wanted = {(name, team): 1 for name in (PULL, PULL_SECOND) for team in TEAMS}
    assert Counter((entry.name, entry.namespace) for entry in writes) == wanted
    assert {name: uids([rebuilt.fleet], name) for name in NAMES} == rebuilt.uids


def test_the_token_is_asked_for_once(rebuilt: Stage) -> None:
    assert rebuilt.registry.mints == 2  # once for each hub


def test_what_deleted_policies_left_is_known_by_its_mark_also_under_a_name_of_the_past(rebuilt: Stage) -> None:
    left = {(PULL, namespace) for namespace in LEFT} | {(FORMER, team) for team in TEAMS}
    assert rebuilt.marked().keys() == left
    (cluster,) = rebuilt.program.status()["clusters"]
    assert rebuilt.program.status()["held"] == []
    assert cluster["state"] == "Up"


def test_a_mark_that_was_given_by_the_lost_hub_still_counts(rebuilt: Stage) -> None:
    """The timer lies on the target: one that ran out is over for the new hub too."""
    rebuilt.fleet.edit_secret(TEAMS[0], FORMER, {"metadata": {"annotations": {UNWANTED: "2000-01-01T00:00:00Z"}}})
    until(lambda: rebuilt.fleet.secret(TEAMS[0], FORMER) is None, "the target of the past is gone")
    assert [(entry.verb, entry.name, entry.code) for entry in rebuilt.target_writes() if entry.verb == "delete"] == [
        ("delete", FORMER, 200)
    ]
