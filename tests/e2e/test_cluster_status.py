"""What a user sees of a policy with kubectl: conditions, columns and Events on a real API server, and at what cost."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import yaml

from tests.e2e.figures import figure
from tests.e2e.hub_cluster import drop_policies, lay_hub, put, shown
from tests.e2e.manifests import HOME, PULL, docker_source, ecr_source, policy
from tests.e2e.program import Program, command, printed_hub_role, run_once
from tests.e2e.registry import Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import Watch, until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.realcluster.policies import COLLECTION

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:02}" for number in range(5))
NAME = "everyone"
SECOND = "second"
REST_SECONDS = 10.0
REFUSED, FORBIDDEN = 422, 403
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
FINE = ("True", "AllSynced")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    hub: RealCluster
    other: RealCluster
    site: Site
    registry: Registry
    program: Program

    def lay(self) -> None:
        """Put the hub into its right state."""
        put(self.hub, ecr_source("ecr", self.registry), docker_source("docker", password="word"))
        put(self.hub, policy(NAME, sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))

    def grant(self, *names: str) -> None:
        """Give the second cluster's role these Secret names, as its administrator does."""
        self.other.authorize(SERVICE, self.role(*names))

    def role(self, *names: str) -> list[Manifest]:
        """Return the role of a target cluster as it is printed."""
        words = [word for name in names for word in ("--secret-name", name)]
        return list(yaml.safe_load_all(command(self.site, "rbac", "--role", "target", *words).out))

    def condition(self, kind: str, name: str = NAME) -> tuple[str, str]:
        """Return status and reason of a condition as the object shows it."""
        return _condition(shown(self.hub, name).get("status", {}), kind)

    def known(self, kind: str, name: str = NAME) -> tuple[str, str]:
        """Return the same as the program knows it."""
        return _condition(self.program.policy(name), kind)

    def events(self, name: str = NAME) -> list[Manifest]:
        """Return the Events on a policy, oldest first."""
        found = self.hub.client().items(
            "/api/v1/namespaces/default/events", fieldSelector=f"involvedObject.name={name}"
        )
        return sorted(found, key=lambda one: int(one["metadata"]["resourceVersion"]))

    def reasons(self, name: str = NAME) -> list[str]:
        """Return the reasons of those."""
        return [one["reason"] for one in self.events(name)]

    def shows(self, what: str, name: str = NAME, **conditions: tuple[str, str]) -> None:
        """Wait until the object says what the program knows; the figure is how long that took."""
        for kind, expected in conditions.items():
            until(partial(self._is, self.known, kind, name, expected), f"{what}: {kind} {expected} is known")
            watch = Watch()
            until(partial(self._is, self.condition, kind, name, expected), f"{what}: it is shown")
            figure(f"{what}: {kind} known to shown on the object", watch.seconds)

    @staticmethod
    def _is(look: Callable[[str, str], tuple[str, str]], kind: str, name: str, expected: tuple[str, str]) -> bool:
        return look(kind, name) == expected


def _condition(status: Manifest, kind: str) -> tuple[str, str]:
    return next(
        ((one["status"], one["reason"]) for one in status.get("conditions", ()) if one["type"] == kind), ("", "")
    )


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Iterator[Stage]:
    hub, other = bring("east", "north")
    for cluster in (hub, other):
        cluster.create_namespaces(TEAMS)
    site.reach([hub, other])
    lay_hub(hub, site)
    found = Stage(hub=hub, other=other, site=site, registry=registry, program=Program(site))
    hub.authorize(SERVICE, printed_hub_role(site))
    hub.authorize(SERVICE, found.role(PULL, "pull-second", "pull-brief"))
    found.grant(PULL)
    found.lay()
    with found.program:
        yield found


@pytest.fixture
def world(stage: Stage) -> Iterator[Stage]:
    """Give the stage at rest, and lay the hub right again afterwards."""
    until(lambda: stage.condition("Ready") == FINE, "all is well before")
    yield stage
    stage.lay()
    until(lambda: stage.condition("Ready") == FINE, "all is well again")


def test_what_kubectl_wait_looks_at_says_that_all_is_well(world: Stage) -> None:
    one = shown(world.hub, NAME)
    status, generation = one["status"], one["metadata"]["generation"]
    assert [each["type"] for each in status["conditions"]] == [
        *("Ready", "SourcesResolved", "TargetsSynced", "TargetsReachable", "CredentialsFresh")
    ]
    assert {each["status"] for each in status["conditions"]} == {"True"}
    assert {each["observedGeneration"] for each in status["conditions"]} == {generation}
    assert (status["observedGeneration"], status["status"]) == (generation, "Ready")
    assert (status["targets"]["summary"], status["managedNamespaces"]) == ("10/10", list(TEAMS))
    assert set(status["sourceSecretStatus"]) == {f"{HOME}.ecr", f"{HOME}.docker"}
    assert status["validitySeconds"] > 0
    assert "finalizers" not in one["metadata"]
    assert world.reasons() == ["Reconciled"]


def test_the_columns_show_readiness_targets_and_the_first_expiry(world: Stage) -> None:
    answer = world.hub.client().ask("GET", f"{COLLECTION}/{NAME}", accept=TABLE)
    table = answer.json
    names = [column["name"] for column in table["columnDefinitions"]]
    row: dict[str, Any] = dict(zip(names, table["rows"][0]["cells"], strict=True))
    expiry = next(one["expiresAt"] for one in world.program.policy(NAME)["credentials"] if one["name"] == "ecr")
    assert (row["Name"], row["State"], row["Ready"], row["Targets"]) == (NAME, "Ready", "True", "10/10")
    assert (row["Expires"], row["Secret Name"]) == (expiry, PULL)


def test_a_missing_source_shows_and_clears_itself(world: Stage) -> None:
    world.hub.delete_secret(HOME, "docker")
    world.shows("missing source", Ready=("False", "SourceError"), SourcesResolved=("False", "SourceError"))
    assert "registry-access/docker is not in the hub" in shown(world.hub, NAME)["status"]["reason"]
    assert shown(world.hub, NAME)["status"]["status"] == "Failed"
    put(world.hub, docker_source("docker", password="word"))
    world.shows("source is back", Ready=FINE, SourcesResolved=("True", "AllResolved"))
    until(lambda: world.reasons()[-2:] == ["SourceCredentialsError", "Reconciled"], "both are told")


def test_a_conflict_shows_and_clears_itself(world: Stage) -> None:
    world.other.create_namespaces(["foreign"])
    world.other.client().create(_foreign("foreign"))
    put(world.hub, policy(NAME, sources=["ecr", "docker"], namespaces={"names": ["team-*", "foreign"]}))
    world.shows("conflict", Ready=("False", "Conflict"), TargetsSynced=("False", "PartiallySynced"))
    assert "north/foreign: a Secret of that name is there" in shown(world.hub, NAME)["status"]["reason"]
    world.other.delete_secret("foreign", PULL)
    world.shows("conflict is over", Ready=FINE, TargetsSynced=FINE)
    until(lambda: world.reasons()[-1] == "Reconciled", "it is told")
    assert "Conflict" in world.reasons()


def test_a_denied_write_shows_and_clears_itself(world: Stage) -> None:
    put(world.hub, policy(SECOND, sources=["docker"], namespaces={"names": ["team-*"]}, secret="pull-second"))
    failing = ("False", "PartiallySynced")
    world.shows("denied write", name=SECOND, Ready=failing, TargetsSynced=failing)
    reason = shown(world.hub, SECOND)["status"]["reason"]
    assert "is forbidden" in reason
    assert "imps-multi rbac --role target --secret-name pull-second" in reason
    until(  # the refusal may be told before the other cluster is served
        lambda: shown(world.hub, SECOND)["status"]["targets"]["summary"] == "5/10", "the other cluster is served"
    )
    assert world.condition("Ready") == FINE
    until(lambda: "SecretReconciliationError" in world.reasons(SECOND), "it is told")
    world.grant(PULL, "pull-second")
    until(lambda: world.known("Ready", SECOND) == FINE, "the role is taken up", within=90)
    world.shows("denied write is allowed", name=SECOND, Ready=FINE, TargetsSynced=FINE)
    drop_policies(world.hub, SECOND)


def test_a_role_that_lets_nothing_be_read_shows_and_clears_itself(world: Stage) -> None:
    """Without ``get`` all that nobody changes goes on; what somebody changes can be looked at by its metadata alone."""
    role = world.role(PULL)
    for rule in (rule for part in role for rule in part.get("rules", ()) if rule.get("resourceNames")):
        rule["verbs"].remove("get")
    world.other.authorize(SERVICE, role)
    path = f"/api/v1/namespaces/{TEAMS[0]}/secrets/{PULL}"
    until(lambda: world.other.client(SERVICE).ask("GET", path).status == FORBIDDEN, "the role is in force")
    world.other.edit_secret(TEAMS[0], PULL, {"data": {"more": "eA=="}})
    world.shows("denied read", Ready=("False", "PartiallySynced"))
    status = shown(world.hub, NAME)["status"]
    assert f"north/{TEAMS[0]}: read Secret {TEAMS[0]}/{PULL}" in status["reason"]
    assert "cannot get resource" in status["reason"]
    assert "imps-multi rbac --role target --secret-name pull" in status["reason"]
    assert status["targets"]["summary"] == "9/10"
    assert world.program.logged("Read was refused", target_cluster="north", namespace=TEAMS[0], secret=PULL)
    world.grant(PULL)
    world.shows("read again", Ready=FINE)


def test_what_the_server_refuses_shows_in_its_own_words_and_nothing_else_suffers(world: Stage) -> None:
    world.other.create_namespaces(["guarded"])
    with _guarded(world.other, "guarded"):
        put(world.hub, policy(NAME, sources=["ecr", "docker"], namespaces={"names": ["team-*", "guarded"]}))
        world.shows("admission refuses", Ready=("False", "PartiallySynced"), TargetsSynced=("False", "PartiallySynced"))
        status = shown(world.hub, NAME)["status"]
        assert "north/guarded: " in status["reason"]
        assert "no Secrets in here" in status["reason"]
        assert "imps-multi rbac" not in status["reason"]
        assert status["targets"]["summary"] == "10/11"
    until(lambda: world.condition("Ready") == FINE, "it clears itself", within=70)


def test_an_immutable_target_shows_and_clears_itself(world: Stage) -> None:
    world.other.edit_secret(TEAMS[0], PULL, {"immutable": True})
    put(world.hub, docker_source("docker", password="newer"))
    world.shows("immutable target", Ready=("False", "PartiallySynced"))
    assert f"north/{TEAMS[0]}: the Secret is immutable; delete it" in shown(world.hub, NAME)["status"]["reason"]
    world.other.delete_secret(TEAMS[0], PULL)
    world.shows("target made anew", Ready=FINE)


@contextmanager
def _guarded(cluster: RealCluster, namespace: str) -> Iterator[None]:
    """Let no Secret into a namespace, by an admission policy of the API server."""
    root = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpol"
    version = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "guard"}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    check = {"expression": f"object.metadata.namespace != '{namespace}'", "message": "no Secrets in here"}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [check]}
    bound = {"policyName": "guard", "validationActions": ["Deny"]}
    admin = cluster.client()
    admin.post(f"{root}icies", {**version, "kind": "ValidatingAdmissionPolicy", "spec": spec})
    try:
        admin.post(f"{root}icybindings", {**version, "kind": "ValidatingAdmissionPolicyBinding", "spec": bound})
        trial = {**_foreign(namespace), "metadata": {"name": "trial", "namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/secrets"
        until(lambda: admin.ask("POST", path, body=trial, query={"dryRun": "All"}).status == REFUSED, "it is guarded")
        yield
    finally:
        admin.delete(f"{root}icybindings/guard")
        admin.delete(f"{root}icies/guard")


def test_a_dead_cluster_shows_and_clears_itself_and_keeps_no_policy(world: Stage) -> None:
    world.other.freeze()
    try:
        put(
            world.hub,
            policy(NAME, sources=["ecr", "docker"], namespaces={"names": ["team-*"]}, deletionPolicy="Retain"),
        )
        away = ("Unknown", "TargetUnreachable")
        world.shows("dead cluster", Ready=away, TargetsReachable=("False", "TargetUnreachable"))
        status = shown(world.hub, NAME)["status"]
        assert (status["status"], status["clusters"][0]["name"]) == ("Ready", "north")
        assert status["clusters"][0]["reason"] in ("Timeout", "Unreachable")
        put(world.hub, policy("brief", sources=["docker"], namespaces={"names": ["nobody"]}, secret="pull-brief"))
        until(lambda: world.condition("Ready", "brief") == away, "the other one says so too")
        drop_policies(world.hub, "brief")
        assert world.hub.client().ask("GET", f"{COLLECTION}/brief").status == 404
    finally:
        world.other.thaw()
    world.shows("cluster is back", Ready=FINE, TargetsReachable=("True", "AllReachable"))
    until(lambda: {"TargetUnreachable", "TargetsReachable"} <= set(world.reasons()), "both are told")


def test_at_rest_and_over_a_restart_no_status_is_written_until_somebody_edits_it(world: Stage) -> None:
    until(partial(_all_is_shown, world), "all is shown")
    before, told = shown(world.hub, NAME), len(world.events())
    traffic, watch = Traffic([world.hub]), Watch()
    until(lambda: watch.seconds > REST_SECONDS, "a while goes by", poll=0.5)
    assert _writes(traffic) == []
    world.program.stop()
    world.program.start()
    watch = Watch()
    until(lambda: watch.seconds > REST_SECONDS / 2 and world.known("Ready") == FINE, "it has settled", poll=0.5)
    assert (_writes(traffic), shown(world.hub, NAME)["status"]) == ([], before["status"])
    assert shown(world.hub, NAME)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert len(world.events()) == told
    cleared = {"conditions": None, "status": "Failed", "reason": "so I say"}
    world.hub.client().merge(f"{COLLECTION}/{NAME}/status", {"status": cleared})
    until(lambda: world.condition("Ready") == FINE, "what somebody did to it is put right")
    assert shown(world.hub, NAME)["status"]["status"] == "Ready"
    assert len(world.events()) == told


def test_one_pass_leaves_the_status_right_behind(world: Stage) -> None:
    world.program.stop()
    try:
        put(world.hub, policy(SECOND, sources=["docker"], namespaces={"names": ["team-00"]}))
        put(world.hub, policy("third", sources=["absent"], namespaces={"names": ["nobody"]}))
        assert run_once(world.site).code == 1
        assert (world.condition("Ready", SECOND), world.reasons(SECOND)[-1]) == (("False", "Conflict"), "Conflict")
        assert world.condition("Ready", "third") == ("False", "SourceError")
        assert world.condition("Ready") == FINE
        drop_policies(world.hub, SECOND, "third")
        assert run_once(world.site).code == 0
    finally:
        world.program.start()


def _all_is_shown(world: Stage) -> bool:
    """Say whether what is written within half a minute was written, of the newest generation."""
    one, known = shown(world.hub, NAME), world.program.policy(NAME)
    newest = one["metadata"]["generation"] == known["observedGeneration"]
    return newest and _essence(one["status"]) == _essence(known)


def _essence(status: Manifest) -> object:
    clusters = [(one["name"], one["inSync"], one["reason"]) for one in status["clusters"]]
    return status["conditions"], status["targets"], status["reason"], status["managedNamespaces"], clusters


def _writes(traffic: Traffic) -> Iterable[str]:
    return [entry.uri for entry in traffic.writes() if entry.resource in ("imagepullsecrets/status", "events")]


def _foreign(namespace: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL, "namespace": namespace},
        "type": "Opaque",
        "stringData": {"theirs": "yes"},
    }
