"""The hub in a cluster: policies and sources are Kubernetes objects, and so is what the program remembers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

from imps_multi.cli.role import target_manifests
from tests.e2e.figures import figure
from tests.e2e.hub_cluster import SYSTEM, drop_policies, hub_part, lay_configuration, lay_hub, put, shown, state_secrets
from tests.e2e.manifests import DOCKER_HOST, HOME, docker_source, ecr_source, policy
from tests.e2e.program import Program, approve, command, plan, printed_hub_role, printed_role, run_once
from tests.e2e.registry import HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import KEY, Logins, all_logins, logins
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import Watch, until
from tests.realcluster.audit import Entry
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.realcluster.policies import DEFINITION, definition, install_definition, remove_definition
from tests.realcluster.rights import cluster_role, rule

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number:02}" for number in range(10))
PASSWORD = "docker-password"
EMPTY = "eyJhdXRocyI6e319"  # {"auths":{}}
LIMITS = {"maxDeletePercent": 10, "maxDeleteAtLeast": 3}
SAFETY = {"perCluster": LIMITS, "fleet": LIMITS}
POLICY_WRITER = cluster_role("policy-writer", rule("imagepullsecrets", "patch", group="images.banzaicloud.io"))
OLDER = "The CustomResourceDefinition of ImagePullSecret is an older one; what it does not name is not kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    hub: RealCluster
    other: RealCluster
    site: Site
    registry: Registry
    program: Program
    mark: int
    """Where the hub's audit log stood when the program was given its rights."""

    @property
    def clusters(self) -> tuple[RealCluster, RealCluster]:
        return self.hub, self.other

    def lay(self) -> None:
        """Put the hub into its right state."""
        put(self.hub, ecr_source("ecr", self.registry), docker_source("docker", password=PASSWORD))
        put(self.hub, policy("everyone", sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))

    def login(self) -> Logins:
        return {DOCKER_HOST: ("robot", PASSWORD), HOST: ("AWS", self.registry.newest)}

    def right(self) -> bool:
        return all(all_logins(cluster) == dict.fromkeys(TEAMS, self.login()) for cluster in self.clusters)

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
    lay_configuration(site, safety=SAFETY)
    hub.authorize(SERVICE, printed_hub_role(site))
    for cluster in (hub, other):
        cluster.authorize(SERVICE, target_role("pull", "pull-late"))
    program = Program(site)
    mark = hub.audit.mark()
    found = Stage(hub=hub, other=other, site=site, registry=registry, program=program, mark=mark)
    found.lay()
    with program:
        until(found.right, "every target holds both credentials")
        yield found


def target_role(*names: str) -> list[Manifest]:
    return list(yaml.safe_load_all(target_manifests(names, [("imps-system", "imps-multi")])))


@pytest.fixture
def world(stage: Stage) -> Iterator[Stage]:
    """Give the stage at rest, and lay the hub right again afterwards."""
    until(lambda: stage.right() and stage.calm(), "all is well before")
    yield stage
    if not stage.program.running:
        stage.program.start()
    stage.lay()
    until(lambda: stage.right() and stage.calm(), "all is well again")


def test_a_policy_and_its_source_are_taken_up_as_they_come_change_and_go(world: Stage) -> None:
    watch = Watch()
    put(world.hub, docker_source("late", password="one"))
    put(
        world.hub,
        policy(
            "late", sources=["late"], namespaces={"names": [TEAMS[0]]}, secret="pull-late", deletionPolicy="Immediate"
        ),
    )
    until(lambda: late(world, "one"), "the new policy is served")
    figure("hub in a cluster: policy and source created to both targets written", watch.seconds)
    watch = Watch()
    put(world.hub, docker_source("late", password="two"))
    until(lambda: late(world, "two"), "the new password is delivered")
    figure("hub in a cluster: source edited to both targets written", watch.seconds)
    watch = Watch()
    drop_policies(world.hub, "late")
    until(lambda: not any(cluster.secret(TEAMS[0], "pull-late") for cluster in world.clusters), "its targets go")
    figure("hub in a cluster: policy deleted to both targets deleted", watch.seconds)


def late(world: Stage, password: str) -> bool:
    wanted = {TEAMS[0]: {DOCKER_HOST: ("robot", password)}}
    return all(all_logins(cluster, "pull-late") == wanted for cluster in world.clusters)


def test_only_what_the_printed_role_grants_is_asked_for(world: Stage) -> None:
    asked = world.hub.audit.since(world.mark)
    assert [entry for entry in asked if entry.user == SERVICE and entry.code == 403] == []
    secrets = {entry.namespace for entry in asked if asks_for_secrets(entry)}
    assert secrets == {HOME, SYSTEM}


def asks_for_secrets(entry: Entry) -> bool:
    """Say whether Secrets of a whole namespace, or of the cluster, were asked for."""
    return entry.user == SERVICE and entry.resource == "secrets" and entry.verb in {"list", "watch"} and not entry.name


def test_the_status_of_a_policy_is_shown_on_it_and_observed_generation_is_the_servers(world: Stage) -> None:
    found = until(lambda: ready(world), "the policy is Ready")
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert found["status"]["status"] == "Ready"
    assert found["status"]["targets"]["summary"] == f"{2 * len(TEAMS)}/{2 * len(TEAMS)}"
    assert "finalizers" not in found["metadata"]


def ready(world: Stage) -> Manifest | None:
    found = shown(world.hub, "everyone")
    conditions = {one["type"]: one["status"] for one in found.get("status", {}).get("conditions", [])}
    return found if conditions.get("Ready") == "True" else None


def test_policies_that_go_with_their_definition_take_nothing_away(world: Stage) -> None:
    traffic, mints = Traffic(world.clusters), world.registry.mints
    remove_definition(world.hub)
    until(lambda: "imps-multi crd | kubectl apply" in world.problems(), "the status says what to do")
    install_definition(world.hub)
    until(lambda: " not back (" in world.problems(), "the policies are missed")
    world.lay()
    until(world.calm, "the hub is whole again")
    assert [entry for entry in traffic.writes() if entry.resource == "secrets" and entry.name == "pull"] == []
    assert (world.right(), world.registry.mints) == (True, mints)


def test_a_hub_that_hangs_or_is_gone_takes_nothing_away_and_is_taken_up_again(world: Stage) -> None:
    world.other.create_namespaces(["team-late"])
    world.hub.kill()
    until(lambda: not world.program.status()["hub"]["whole"], "the hub is missed")
    world.other.edit_secret(TEAMS[1], "pull", {"data": {KEY: EMPTY}})
    until(lambda: logins_in(world.other, TEAMS[1]) == world.login(), "targets are still put right")
    world.hub.start()
    until(lambda: world.program.status()["hub"]["whole"], "the hub is back")
    put(world.hub, docker_source("docker", password="while-away"))
    until(lambda: logins_in(world.other, TEAMS[1])[DOCKER_HOST] == ("robot", "while-away"), "changes are seen again")
    world.hub.freeze()
    until(lambda: not world.program.status()["hub"]["whole"], "the frozen hub is missed")
    world.hub.thaw()
    until(lambda: world.program.status()["hub"]["whole"], "it is whole again")
    world.other.terminate_namespace("team-late")
    world.other.finish_namespace("team-late")


def logins_in(cluster: RealCluster, namespace: str) -> Logins:
    secret = cluster.secret(namespace, "pull")
    return {} if secret is None else logins(secret)


def test_a_held_set_is_shown_in_the_hub_and_let_go_from_there(world: Stage) -> None:
    everyone = policy("everyone", sources=["ecr", "docker"], namespaces={"names": [TEAMS[0]]})
    put(world.hub, everyone)
    held = until(lambda: held_sets(world), "the removal is held")
    (held_id,) = held
    assert "policy: everyone" in held[held_id] or "over the fleet" in held[held_id]
    assert approve(world.site, "no-such").code == 1
    assert unmarked(world)
    finished = approve(world.site, held_id)
    assert finished.code == 0, finished.err
    until(lambda: not unmarked(world), "the targets are marked")
    until(lambda: held_sets(world) == {}, "nothing is held any more")


def held_sets(world: Stage) -> dict[str, str] | None:
    answer = world.hub.client().ask("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/imps-multi-held")
    return answer.json.get("data", {}) if answer.status == 200 else None


def unmarked(world: Stage) -> bool:
    secret = world.other.secret(TEAMS[1], "pull")
    return secret is not None and "imps-multi.io/unwanted-since" not in secret["metadata"]["annotations"]


def test_a_sync_is_asked_for_on_the_policy_by_who_may_write_it(world: Stage) -> None:
    mints = world.registry.mints
    refused = command(world.site, "sync", "everyone", "--config", str(world.site.config))
    assert refused.code == 1
    assert "kubectl annotate --overwrite imps everyone imps-multi.io/sync=" in refused.err
    assert world.registry.mints == mints
    world.hub.authorize(SERVICE, [POLICY_WRITER])
    asked = command(world.site, "sync", "everyone", "--config", str(world.site.config))
    assert asked.code == 0, asked.err
    until(lambda: world.registry.mints == mints + 1 and world.right(), "a fresh token is everywhere")
    assert command(world.site, "sync", "nobody", "--config", str(world.site.config)).code == 1
    world.hub.client().delete("/apis/rbac.authorization.k8s.io/v1/clusterroles/policy-writer")


def test_the_target_role_names_what_the_hub_and_the_state_know(world: Stage) -> None:
    granted = [one for part in printed_role(world.site) for one in part.get("rules", []) if "resourceNames" in one]
    assert {"pull", "pull-late"} >= set(granted[0]["resourceNames"]) >= {"pull"}


def test_a_restart_mints_nothing_and_writes_no_target(world: Stage) -> None:
    until(lambda: ready(world), "all is said")
    world.program.stop()
    traffic, mints, kept = Traffic(world.clusters), world.registry.mints, len(state_secrets(world.hub))
    world.program.start()
    until(world.calm, "all is known again")
    assert [entry for entry in traffic.writes() if entry.name == "pull"] == []
    assert (world.registry.mints, len(state_secrets(world.hub))) == (mints, kept)


def test_a_pass_and_a_plan_read_the_hub_and_leave_the_state_alone(world: Stage) -> None:
    world.program.stop()
    before = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in state_secrets(world.hub)}
    world.other.edit_secret(TEAMS[2], "pull", {"data": {KEY: EMPTY}})
    planned = plan(world.site)
    assert [(one["cluster"], one["namespace"], one["operation"]) for one in planned["writes"]] == [
        ("north", TEAMS[2], "update")
    ]
    assert {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in state_secrets(world.hub)} == before
    assert run_once(world.site).code == 0
    assert world.right()


def test_without_its_namespace_nothing_starts_and_the_command_is_told(world: Stage) -> None:
    world.program.stop()
    lay_configuration(world.site, hub={**hub_part(), "namespace": "no-such"})
    world.hub.authorize(SERVICE, [role_everywhere()])
    finished = run_once(world.site)
    world.hub.client().delete("/apis/rbac.authorization.k8s.io/v1/clusterroles/everywhere")
    lay_configuration(world.site, safety=SAFETY)
    assert finished.code == 2
    assert "kubectl create namespace no-such" in finished.err


def role_everywhere() -> Manifest:
    return cluster_role("everywhere", rule("secrets", "create"))


def test_an_old_definition_of_imps_is_told_of_and_serves(world: Stage) -> None:
    world.program.stop()
    old = definition()
    schema = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for field in ("conditions", "targets", "clusters", "credentials", "held", "observedGeneration"):
        del schema["status"]["properties"][field]
    world.hub.client().merge(DEFINITION, {"spec": {"versions": old["spec"]["versions"]}})
    world.program.start()
    try:
        told = until(lambda: world.program.logged(OLDER), "the log says so")
        assert "status.conditions" in told[0]["missing"]
        assert "--force-conflicts" in told[0]["renew"], "Helm owns the fields of IMPS's"
        until(lambda: shown(world.hub, "everyone")["status"]["status"] == "Ready", "IMPS's own fields are kept up")
    finally:
        install_definition(world.hub)


def test_a_hub_that_cannot_be_reached_ends_a_plan_with_three(world: Stage) -> None:
    world.program.stop()
    world.hub.kill()
    finished = command(world.site, "plan", "--config", str(world.site.config))
    world.hub.start()
    assert (finished.code, "the hub cannot be reached" in finished.err) == (3, True)
