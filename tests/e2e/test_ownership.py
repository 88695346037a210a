"""Whose a Secret is, on a real API server: taken over only as asked, from IMPS in one patch, and given back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.manifests import DOCKER_HOST, PULL, docker_source, policy
from tests.e2e.program import Program, command, printed_role
from tests.e2e.site import HUB_ID, SERVICE, Site
from tests.e2e.targets import KEY, TYPE, by_namespace, logins
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

FORMER_HUB = "older"
OWNER_UID, LAST_APPLIED = "images.banzaicloud.io/owner-uid", "banzaicloud.com/last-applied"
MANAGED_BY, HUB, ADOPTED = "app.kubernetes.io/managed-by", "imps-multi.io/hub", "imps-multi.io/adopted"
IMPS = {
    "apiVersion": "images.banzaicloud.io/v1alpha1",
    "kind": "ImagePullSecret",
    "name": "old",
    "uid": "7d1c1b0e-0000-4000-8000-000000000001",
}
BESIDE = {"apiVersion": "v1", "kind": "ConfigMap", "name": "beside", "uid": "7d1c1b0e-0000-4000-8000-000000000002"}
CONTROLLER = {**BESIDE, "kind": "ExternalSecret", "apiVersion": "external-secrets.io/v1", "controller": True}
PASSWORD = "docker-password"
OURS = {DOCKER_HOST: ("robot", PASSWORD)}
PLAIN, FROM_IMPS, IMPS_ALONE, FORMER, NEW = "team-plain", "team-imps", "team-imps-alone", "team-former", "team-new"
ADOPTABLE = {PLAIN: None, FROM_IMPS: [BESIDE], IMPS_ALONE: None}
"""What may be taken over, with the ownerReferences that are left then."""


def theirs(namespace: str, metadata: dict[str, Any], **more: Any) -> Manifest:
    """Return a Secret of somebody else."""
    config = {"auths": {"theirs.example.com": {"username": "a", "password": "b", "auth": "YTpi"}}}
    given = {"name": PULL, "namespace": namespace, "labels": {"team": "x"}, "annotations": {"note": "y"}}
    data = {KEY: json.dumps(config)}
    return {"apiVersion": "v1", "kind": "Secret", "type": TYPE, "metadata": given | metadata, "stringData": data} | more


def imps_wrote(namespace: str, *beside: dict[str, str]) -> Manifest:
    """Return a Secret as the IMPS operator leaves it, and perhaps other owners beside."""
    return theirs(
        namespace,
        {
            "labels": {OWNER_UID: IMPS["uid"], "team": "x"},
            "annotations": {LAST_APPLIED: "UEsDBBQACAAIAA", "note": "y"},
            "ownerReferences": [{**IMPS, "controller": True, "blockOwnerDeletion": True}, *beside],
        },
    )


REFUSED = {
    "team-opaque": (theirs("team-opaque", {}, type="Opaque"), "its type is Opaque"),
    "team-fixed": (theirs("team-fixed", {}, immutable=True), "it is immutable"),
    "team-ruled": (theirs("team-ruled", {"ownerReferences": [CONTROLLER]}), "a controller of kind ExternalSecret"),
    "team-helm": (theirs("team-helm", {"labels": {MANAGED_BY: "Helm"}}), f"its label {MANAGED_BY} is Helm"),
    "team-hub": (
        theirs("team-hub", {"labels": {MANAGED_BY: "imps-multi", HUB: "other"}}),
        "it carries the mark of another hub (other)",
    ),
    "team-stray": (theirs("team-stray", {"ownerReferences": [IMPS]}), "it lacks IMPS's label"),
}
EVERYBODY = {*ADOPTABLE, FORMER, NEW, *REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    east: RealCluster
    site: Site
    program: Program
    before: dict[str, Manifest]
    """What lay there before the program came."""

    def ask(self, **changes: Any) -> None:
        given = {"sources": ["docker"], "namespaces": {"names": ["team-*"]}, "conflictPolicy": "Adopt"}
        self.site.put("everyone.yaml", policy("everyone", **(given | changes)))

    def conflicts(self) -> int:
        found: int = self.program.policy("everyone").get("targets", {}).get("conflict", -1)
        return found

    def there(self, namespace: str) -> Manifest:
        return by_namespace(self.east)[namespace]

    def ready(self) -> tuple[str, str]:
        return self.program.ready_condition("everyone")

    def said(self) -> str:
        conditions = self.program.policy("everyone")["conditions"]
        message: str = next(one["message"] for one in conditions if one["type"] == "Ready")
        return message


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Iterator[Stage]:
    """A cluster in which others were first, and a policy that does not adopt."""
    (east,) = bring("east")
    east.create_namespaces(EVERYBODY)
    former = theirs(
        FORMER,
        {
            "labels": {MANAGED_BY: "imps-multi", HUB: FORMER_HUB},
            "annotations": {"imps-multi.io/policy": "everyone", "imps-multi.io/deletion-policy": "Retain"},
        },
    )
    written = (imps_wrote(FROM_IMPS, BESIDE), imps_wrote(IMPS_ALONE))
    east.apply(theirs(PLAIN, {}), *written, former, *(found for found, _ in REFUSED.values()))
    before = by_namespace(east)
    program = Program(site)
    hub = {"id": HUB_ID, "previousIDs": [FORMER_HUB], "directory": "./hub", "stateDirectory": "./state"}
    site.configure(hub=hub)
    site.reach([east])
    site.put("docker.yaml", docker_source("docker", password=PASSWORD))
    found = Stage(east=east, site=site, program=program, before=before)
    found.ask(conflictPolicy="Fail")
    east.authorize(SERVICE, printed_role(site))
    with program:
        until(lambda: found.conflicts() == len(ADOPTABLE) + len(REFUSED), "what is not ours is in conflict")
        yield found


def test_with_fail_nothing_foreign_is_touched_and_the_way_out_is_named(stage: Stage) -> None:
    after = by_namespace(stage.east)
    untouched = {*ADOPTABLE, *REFUSED}
    assert {name: after[name] for name in untouched} == {name: stage.before[name] for name in untouched}
    assert stage.ready() == ("False", "Conflict")
    assert "conflictPolicy: Adopt would take it over" in explained(stage, FROM_IMPS)


def explained(stage: Stage, namespace: str) -> str:
    """Return what ``plan --explain`` says of the target there."""
    words = ("plan", "--explain", f"east/{namespace}", "--config", str(stage.site.config), "-o", "json")
    return command(stage.site, *words).out


def test_the_secrets_of_a_previous_hub_are_ours_in_place(stage: Stage) -> None:
    after = stage.there(FORMER)
    assert after["metadata"]["labels"] == {MANAGED_BY: "imps-multi", HUB: HUB_ID}
    assert ADOPTED not in after["metadata"]["annotations"]
    assert after["metadata"]["uid"] == stage.before[FORMER]["metadata"]["uid"]
    assert logins(after) == OURS


def test_with_adopt_each_is_taken_over_by_one_patch_and_keeps_its_uid(stage: Stage) -> None:
    traffic = Traffic([stage.east])
    stage.ask()

    def patches() -> list[tuple[str, str, int]]:
        return sorted(one for one in traffic.written() if one[1] in ADOPTABLE)

    until(lambda: stage.conflicts() == len(REFUSED) and len(patches()) >= len(ADOPTABLE), "what may be adopted is")
    assert patches() == [("patch", namespace, 200) for namespace in sorted(ADOPTABLE)]
    for namespace, owners in ADOPTABLE.items():
        after = stage.there(namespace)
        metadata = after["metadata"]
        assert metadata["uid"] == stage.before[namespace]["metadata"]["uid"]
        assert metadata["labels"] == {MANAGED_BY: "imps-multi", HUB: HUB_ID, "team": "x"}
        assert metadata["annotations"].keys() == {
            "note",
            ADOPTED,
            "imps-multi.io/policy",
            "imps-multi.io/deletion-policy",
        }
        assert metadata.get("ownerReferences") == owners
        assert logins(after) == OURS


@pytest.mark.parametrize("namespace", REFUSED)
def test_what_may_not_be_adopted_is_untouched_and_says_why(stage: Stage, namespace: str) -> None:
    stage.ask()
    until(lambda: stage.conflicts() == len(REFUSED), "the rest is adopted")
    assert stage.there(namespace) == stage.before[namespace]
    told = explained(stage, namespace)
    assert "it cannot be adopted: " in told
    assert REFUSED[namespace][1] in told


def test_an_imps_that_still_runs_is_a_contest_that_names_it(stage: Stage) -> None:
    path = f"/api/v1/namespaces/{FROM_IMPS}/secrets/{PULL}"
    exclude_the_refused(stage)
    for _ in range(2):
        stage.east.client().put(path, imps_wrote(FROM_IMPS, BESIDE))
        until(lambda: OWNER_UID not in stage.there(FROM_IMPS)["metadata"]["labels"], "it is taken back")
    until(lambda: stage.ready() == ("False", "Contested"), "it is told")
    assert "an IMPS operator that still runs there" in stage.said()
    after = stage.there(FROM_IMPS)
    assert (after["metadata"]["annotations"][ADOPTED], logins(after)) == ("true", OURS)
    assert after["metadata"]["ownerReferences"] == [BESIDE]


def exclude_the_refused(stage: Stage, **changes: Any) -> None:
    """Leave only what can be in sync."""
    stage.ask(namespaces={"names": ["team-*"], "exclude": sorted(REFUSED)}, **changes)
    until(lambda: stage.conflicts() == 0, "no conflict is left")


def test_a_source_says_where_it_may_go_and_takes_nothing_away(stage: Stage) -> None:
    exclude_the_refused(stage)
    before = by_namespace(stage.east)
    bound = docker_source("docker", password=PASSWORD)
    bound["metadata"]["annotations"] = {"imps-multi.io/allow-namespaces": f"{NEW},{PLAIN}"}
    stage.site.put("docker.yaml", bound)
    until(lambda: stage.ready() == ("False", "SourceNotAllowed"), "it is refused")
    assert f"may not go to east/{FORMER}: allow-namespaces" in stage.said()
    assert PLAIN not in stage.said()
    assert by_namespace(stage.east) == before
    stage.site.put("docker.yaml", docker_source("docker", password=PASSWORD))
    until(lambda: stage.ready()[1] != "SourceNotAllowed", "it may go there again")
    assert by_namespace(stage.east) == before


def test_the_last_source_of_a_policy_that_goes_takes_nothing_away(stage: Stage) -> None:
    exclude_the_refused(stage)
    before = by_namespace(stage.east)
    stage.site.drop("docker.yaml")
    until(lambda: stage.ready() == ("False", "SourceError"), "the missing source is told")
    until(lambda: stage.program.policy("everyone")["targets"]["pending"] == 5, "its targets have nothing to hold")
    assert by_namespace(stage.east) == before
    stage.site.put("docker.yaml", docker_source("docker", password=PASSWORD))
    until(lambda: stage.ready()[1] != "SourceError", "it is back")
    assert by_namespace(stage.east) == before


def test_of_rivals_the_loser_waits_until_the_winner_goes(stage: Stage) -> None:
    exclude_the_refused(stage)
    uid = stage.there(NEW)["metadata"]["uid"]
    rival = policy("rival", sources=["docker"], namespaces={"names": [NEW]})
    stage.site.put("rival.yaml", rival)
    until(lambda: stage.program.ready_condition("rival") == ("False", "Conflict"), "the younger loses")
    stage.ask(namespaces={"names": ["team-*"], "exclude": sorted({NEW, *REFUSED})})
    until(lambda: stage.program.in_sync("rival", 1), "it has its turn")
    after = stage.there(NEW)["metadata"]
    assert (after["uid"], after["annotations"]["imps-multi.io/policy"]) == (uid, "rival")


def test_adopted_secrets_are_given_back_after_a_restart_too(stage: Stage) -> None:
    """And what we made ourselves goes, since the policy says so."""
    exclude_the_refused(stage, deletionPolicy="Immediate")
    until(lambda: stage.ready()[1] in ("AllSynced", "Contested"), "all is well before")
    assert stage.program.stop()[0] == 0
    stage.program.start()
    stage.ask(namespaces={"names": ["nowhere"]}, deletionPolicy="Immediate")
    until(lambda: stage.east.secret(FORMER, PULL) is None, "what is not adopted is deleted")
    until(
        lambda: not any(HUB in stage.there(namespace)["metadata"]["labels"] for namespace in ADOPTABLE),
        "what was adopted is given back",
    )
    for namespace in ADOPTABLE:
        after = stage.there(namespace)
        assert after["metadata"]["labels"] == {"team": "x"}
        assert after["metadata"]["annotations"] == {"note": "y"}
        assert after["metadata"]["uid"] == stage.before[namespace]["metadata"]["uid"]
        assert logins(after) == OURS
    assert {name: stage.there(name) for name in REFUSED} == {name: stage.before[name] for name in REFUSED}
