"""What is never done: touch what is not ours, take an entry away by accident, delete for a mistake in the hub."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.e2e.manifests import DOCKER_HOST, docker_source, ecr_source, policy
from tests.e2e.program import Program, approve, command, plan, printed_role, run_once, sync
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import KEY, all_logins, by_namespace, logins
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:02}" for number in range(50))
LEAVERS = TEAMS[:13]
PASSWORD = "docker-password"
LATE, IGNORE = "late-0", "imps-multi.io/ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    east: RealCluster
    site: Site
    registry: Registry
    program: Program

    def lay(self) -> None:
        """Put the hub and the kubeconfig into their right state."""
        self.site.reach([self.east])
        self.site.put("docker.yaml", docker_source("docker", password=PASSWORD))
        self.site.put("ecr.yaml", ecr_source("ecr", self.registry))
        self.site.put("everyone.yaml", everyone())

    def right(self) -> bool:
        wanted = {DOCKER_HOST: ("robot", PASSWORD), HOST: ("AWS", self.registry.newest)}
        return all_logins(self.east) == dict.fromkeys(TEAMS, wanted)

    def calm(self) -> bool:
        return self.program.status()["hub"]["whole"] and self.program.ready_condition("everyone")[1] == "AllSynced"

    def taken(self) -> "Taken":
        return Taken(by_namespace(self.east))


class Taken:
    """The targets as they were at one moment."""

    def __init__(self, secrets: dict[str, Manifest]) -> None:
        self.content = {namespace: (one["metadata"]["uid"], one["data"]) for namespace, one in secrets.items()}


def everyone(**changes: object) -> Manifest:
    given: dict[str, object] = {"sources": ["ecr", "docker"], "namespaces": {"names": ["team-*", "late-*"]}}
    return policy("everyone", **(given | changes))  # type: ignore[arg-type]  # any part may be broken on purpose


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Iterator[Stage]:
    (east,) = bring("east")
    east.create_namespaces(TEAMS)
    program = Program(site)
    found = Stage(east=east, site=site, registry=registry, program=program)
    site.configure()
    found.lay()
    east.authorize(SERVICE, printed_role(site))
    with program:
        until(found.right, "every target holds both credentials")
        yield found


@pytest.fixture
def world(stage: Stage) -> Iterator[Stage]:
    """Give the stage at rest, and lay the hub right again afterwards."""
    until(lambda: stage.right() and stage.calm(), "all is well before")
    yield stage
    if stage.east.namespace(LATE) is not None:
        stage.east.terminate_namespace(LATE)
        stage.east.finish_namespace(LATE)
    if not stage.program.running:
        stage.program.start()
    stage.registry.wait_for(stage.registry.ecr.faults.heal)
    stage.lay()
    until(lambda: stage.right() and stage.calm(), "all is well again")


def test_a_foreign_secret_keeps_its_bytes_and_labels_and_is_served_once_it_goes(world: Stage) -> None:
    east = world.east
    theirs: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pull", "namespace": LATE, "labels": {"app.kubernetes.io/managed-by": "somebody"}},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {
            KEY: json.dumps({"auths": {"theirs.example.com": {"username": "a", "password": "b", "auth": "YTpi"}}})
        },
    }
    east.create_namespaces([LATE], annotations={IGNORE: "true"})
    east.apply(theirs)
    before = east.secret(LATE, "pull")
    east.client().merge(f"/api/v1/namespaces/{LATE}", {"metadata": {"annotations": {IGNORE: None}}})
    until(lambda: world.program.ready_condition("everyone") == ("False", "Conflict"), "the conflict is reported")
    assert world.program.policy("everyone")["targets"]["conflict"] == 1
    assert world.program.metric("imps_target_secrets", state="conflict") == 1
    sync(world.site, "everyone")
    until(
        lambda: (
            len([one for one in all_logins(east).values() if one.get(HOST) == ("AWS", world.registry.newest)]) == 50
        ),
        "the others are refreshed",
    )
    assert east.secret(LATE, "pull") == before
    east.delete_secret(LATE, "pull")
    until(lambda: HOST in logins_of(east, LATE), "ours comes when it goes")
    until(lambda: world.program.ready_condition("everyone") == ("True", "AllSynced"), "the conflict clears itself")


def logins_of(cluster: RealCluster, namespace: str) -> dict[str, tuple[str, str]]:
    secret = cluster.secret(namespace, "pull")
    return {} if secret is None else logins(secret)


BROKEN: dict[str, tuple[str, str | Manifest, str]] = {
    "no YAML": ("everyone.yaml", "kind: ImagePullSecret\n  metadata: [", "everyone.yaml:2:"),
    "no known field": ("everyone.yaml", everyone(conflictPolicyy="Fail"), "conflictPolicyy"),
    "a selector that cannot be": (
        "everyone.yaml",
        everyone(namespaces={"labels": [{"matchExpressions": [{"key": "a", "operator": "Is", "values": ["b"]}]}]}),
        "operator",
    ),
    "no base64": (
        "docker.yaml",
        {**docker_source("docker", password="x"), "stringData": None, "data": {KEY: "%%%"}},
        KEY,
    ),
    "no JSON": ("docker.yaml", {**docker_source("docker", password="x"), "stringData": {KEY: "{auths"}}, KEY),
    "auth without a colon": (
        "docker.yaml",
        {
            **docker_source("docker", password="x"),
            "stringData": {KEY: '{"auths": {"a.example.com": {"auth": "eHk="}}}'},
        },
        "a.example.com",
    ),
    "an empty file": ("everyone.yaml", "", "everyone.yaml"),
    "ECR without a region": (
        "ecr.yaml",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "ecr", "namespace": "registry-access"},
            "type": "banzaicloud.io/aws-ecr-login-config",
            "stringData": {"accountID": "1"},
        },
        "region",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_mistake_in_the_hub_is_told_with_its_place_and_takes_nothing_away(world: Stage, what: str) -> None:
    file, content, told = BROKEN[what]
    before, traffic = world.taken().content, Traffic([world.east])
    if isinstance(content, str):
        world.site.put_text(file, content)
    else:
        world.site.put(file, content)
    shown = until(lambda: troubles(world), "the status tells of it")
    assert told in shown
    checked = command(world.site, "validate", str(world.site.hub))
    assert checked.code == 2
    assert f"{file}:" in checked.out
    assert told in checked.out
    assert [entry for entry in traffic.writes() if entry.verb == "delete"] == []
    assert world.taken().content == before


def troubles(world: Stage) -> str:
    """Return everything that the status complains about."""
    status = world.program.status()
    hub = [f"{one['file']}:{one['line']}:{one['column']}: {one['message']}" for one in status["hub"]["problems"]]
    conditions = [
        f"{one['reason']}: {one['message']}"
        for shown in status["policies"]
        for one in shown["status"]["conditions"]
        if one["status"] == "False" and one["reason"] in ("InvalidSpec", "SourceError")
    ]
    sources = [one["message"] for one in status["credentials"] if one["reason"]]
    return "\n".join((*hub, *conditions, *sources))


def test_an_emptied_hub_directory_takes_nothing_away(world: Stage) -> None:
    before, traffic = world.taken().content, Traffic([world.east])
    for file in ("everyone.yaml", "docker.yaml", "ecr.yaml"):
        world.site.drop(file)
    turns = world.program.metric("imps_event_loop_lag_seconds_count")
    until(lambda: world.program.metric("imps_event_loop_lag_seconds_count") > turns + 8, "four seconds of the service")
    assert [entry for entry in traffic.writes() if entry.verb == "delete"] == []
    assert world.taken().content == before


def test_a_failing_source_never_takes_an_entry_away(world: Stage) -> None:
    before = world.taken().content
    world.registry.call(world.registry.ecr.faults.fail, "AccessDeniedException")
    world.site.put("docker.yaml", docker_source("docker", password=PASSWORD, username="robot"))
    sync(world.site, "everyone")
    until(lambda: world.program.ready_condition("everyone") == ("False", "SourceError"), "the failing source is told")
    assert world.taken().content == before


def test_a_broken_kubeconfig_keeps_the_last_good_fleet(world: Stage) -> None:
    good = world.site.kubeconfig.read_text()
    wrong = good.replace('"token": "', '"token": [], "password": "')
    before = world.taken().content
    world.site.kubeconfig.write_text(wrong)
    until(lambda: not world.program.status()["configuration"]["lastReloadSuccessful"], "the reload is refused")
    assert "fleet.kubeconfig" in world.program.status()["configuration"]["error"]
    assert world.program.metric("imps_config_last_reload_successful") == 0
    assert world.program.cluster("east")["state"] == "Up"
    world.site.kubeconfig.write_text(good)
    until(lambda: world.program.status()["configuration"]["lastReloadSuccessful"], "it is taken up again")
    assert world.taken().content == before


def test_a_change_that_removes_too_much_is_held_until_it_is_approved(world: Stage) -> None:
    """Thirteen of fifty are 26 %, and more than ten."""
    east, before = world.east, world.taken().content
    narrowed = {"names": ["team-*"], "exclude": list(LEAVERS)}
    world.site.put("everyone.yaml", everyone(namespaces=narrowed, deletionPolicy="Immediate"))
    (held,) = until(lambda: world.program.status()["held"], "the removal is held and shown")
    assert (held["deletions"], held["policy"], held["clusters"]) == (13, "everyone", ["east"])
    until(lambda: world.program.ready_condition("everyone") == ("False", "DeletionHeld"), "the policy says so")
    assert world.program.logged("Removal is held and waits for approval", id=held["id"])
    assert world.taken().content.keys() == before.keys()
    wrong = approve(world.site, "no-such-id")
    assert (wrong.code, set(TEAMS) - by_namespace(east).keys()) == (1, set())
    assert approve(world.site, held["id"]).code == 0
    until(lambda: by_namespace(east).keys() == set(TEAMS) - set(LEAVERS), "what was approved goes")
    until(lambda: world.program.ready_condition("everyone") == ("True", "AllSynced"), "nothing is held any more")
    assert world.program.status()["held"] == []


def test_a_held_removal_is_let_go_by_an_approval_that_was_left_for_the_next_pass(world: Stage) -> None:
    east = world.east
    assert world.program.stop()[0] == 0
    narrowed = {"names": ["team-*"], "exclude": list(LEAVERS)}
    world.site.put("everyone.yaml", everyone(namespaces=narrowed, deletionPolicy="Immediate"))
    shown = [one for one in plan(world.site)["writes"] if one["operation"] == "delete"]
    assert {(one["namespace"], one["held"]) for one in shown} == {(leaver, True) for leaver in LEAVERS}
    held = run_once(world.site)
    assert (held.code, set(by_namespace(east))) == (1, set(TEAMS))
    (line,) = [json.loads(text) for text in held.err.splitlines() if "Removal is held" in text]
    assert approve(world.site, line["id"]).code == 0
    assert run_once(world.site).code == 0
    assert by_namespace(east).keys() == set(TEAMS) - set(LEAVERS)


def test_a_restart_while_the_registry_is_down_takes_nothing_away(world: Stage) -> None:
    """And a new namespace gets the stored token."""
    east, registry = world.east, world.registry
    before, traffic, mints = world.taken().content, Traffic([east]), registry.mints
    assert world.program.stop()[0] == 0
    registry.wait_for(registry.ecr.faults.refuse)
    once = run_once(world.site)
    assert once.code == 0, once.err
    world.program.start()
    until(world.calm, "it is up again")
    assert (traffic.writes(), registry.mints, world.taken().content) == ([], mints, before)
    east.create_namespaces([LATE])
    until(lambda: HOST in logins_of(east, LATE), "a newcomer gets the stored token")


def test_an_expired_token_of_a_registry_that_is_down_stays_and_is_told(world: Stage) -> None:
    registry = world.registry
    mints = registry.mints
    registry.live(12.0)
    sync(world.site, "everyone")
    until(lambda: registry.mints > mints and world.right(), "the short-lived token is everywhere")
    registry.wait_for(registry.ecr.faults.refuse)
    registry.live(12 * 3600.0)
    until(world.right, "the last one that there is, too")
    before, ended = world.taken().content, registry.ecr.issued[-1].expires_at
    assert world.program.stop()[0] == 0
    until(lambda: datetime.now(UTC) > ended, "the token has expired")
    assert run_once(world.site).code == 1
    world.program.start()
    until(lambda: world.program.ready_condition("everyone")[0] == "False", "it is told")
    assert world.taken().content == before


def test_a_restart_with_a_broken_file_goes_on_with_what_was_stored(world: Stage) -> None:
    east, before, traffic = world.east, world.taken().content, Traffic([world.east])
    assert world.program.stop()[0] == 0
    world.site.put_text("everyone.yaml", "kind: [")
    world.site.put_text("docker.yaml", "kind: [")
    once = run_once(world.site)
    assert once.code == 1, once.err
    assert "everyone.yaml:" in once.err
    world.program.start()
    east.create_namespaces([LATE])
    until(lambda: set(logins_of(east, LATE)) == {HOST, DOCKER_HOST}, "a newcomer is served as the stored says")
    assert {entry.verb for entry in traffic.writes()} == {"create"}
    assert {key: value for key, value in world.taken().content.items() if key in before} == before


def test_a_broken_configuration_is_refused_with_every_place(world: Stage) -> None:
    site = Site(world.site.root / "broken")
    site.configure(clusters=[{"kubeconfig": "./missing.kubeconfig", "contxt": "a"}], nonsense=1)
    finished = run_once(site)
    assert finished.code == 2
    assert "imps-multi.yaml:" in finished.err
    assert "contxt" in finished.err
    assert "nonsense" in finished.err
    assert "did you mean context" in finished.err
