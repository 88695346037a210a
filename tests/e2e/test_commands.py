"""The commands that look, on a real API server and with the printed roles alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from imps_multi.cli.role import target_manifests
from tests.e2e.hub_cluster import lay_configuration, lay_hub, put
from tests.e2e.manifests import docker_source, policy
from tests.e2e.program import command, printed_hub_role, run_once
from tests.e2e.site import SERVICE, Site
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

PASSWORD = "a-password-of-no-worth"
ACCOUNT = ("imps-system", "imps-multi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    hub: RealCluster
    site: Site

    def data(self, *words: str, code: int) -> Any:
        """Run a command, look at its exit code and for the password, and return what it printed."""
        done = command(self.site, *words, "--config", str(self.site.config), "-o", "json")
        assert done.code == code, done.out + done.err
        assert PASSWORD not in done.out + done.err
        return json.loads(done.out)


@pytest.fixture(scope="module")
def stage(bring: Callable[..., tuple[RealCluster, ...]], site: Site) -> Stage:
    """Give one cluster that is hub and target, with the roles that are printed, after one pass."""
    (hub,) = bring("east")
    hub.create_namespaces(["team-a", "team-b"])
    site.reach([hub])
    lay_hub(hub, site)
    lay_configuration(site)
    hub.authorize(SERVICE, [*printed_hub_role(site), *yaml.safe_load_all(target_manifests(["pull"], [ACCOUNT]))])
    put(hub, docker_source("docker", password=PASSWORD))
    put(hub, policy("everyone", sources=["docker"], namespaces={"names": ["team-*"]}))
    assert run_once(site).code == 0
    return Stage(hub=hub, site=site)


def test_the_doctor_finds_all_right_with_the_printed_roles(stage: Stage) -> None:
    found = stage.data("doctor", code=0)
    states = {(one["subject"].split()[0], one["check"]): (one["state"], one["message"]) for one in found}
    assert states["hub", "permissions"][0] == states["cluster", "permissions"][0] == "ok"
    assert states["hub", "CRD"] == ("ok", "complete")
    assert states["cluster", "clock"] == ("ok", "as ours")
    assert {one["state"] for one in found} <= {"ok", "skipped"}


def test_the_doctor_finds_a_name_that_the_role_lacks(stage: Stage) -> None:
    found = stage.data("doctor", "--secret-name", "another", code=1)
    wrong = [one["message"].split(";")[0] for one in found if one["state"] == "wrong"]
    verbs = ["delete", "get", "list", "patch", "update", "watch"]
    assert [message.split(" (")[0] for message in wrong] == [f"may not {verb} secrets/another" for verb in verbs]


def test_a_namespace_is_explained(stage: Stage) -> None:
    found = stage.data("plan", "--explain", "east/team-a", code=0)
    assert [(one["policy"], one["selected"]) for one in found["policies"]] == [("everyone", True)]
    (target,) = found["targets"]
    assert (target["whose"], target["policy"], target["operation"], target["namedBy"]) == (
        "ours",
        "everyone",
        "none",
        "",
    )
    put(stage.hub, account("team-b"))
    (named,) = stage.data("plan", "--explain", "east/team-b", code=0)["targets"]
    assert named["namedBy"] == "ServiceAccount puller"


def account(namespace: str) -> dict[str, Any]:
    """Make a ServiceAccount that names the Secret."""
    metadata = {"name": "puller", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "imagePullSecrets": [{"name": "pull"}]}


def test_a_change_is_planned_before_it_is_made(stage: Stage) -> None:
    narrower = policy("everyone", sources=["docker"], namespaces={"names": ["team-a"]})
    path = stage.site.root / "narrower.yaml"
    path.write_text(json.dumps(narrower))
    found = stage.data("plan", "-f", str(path), code=1)
    assert [(one["namespace"], one["operation"]) for one in found["writes"]] == [("team-b", "mark")]
    assert found["policies"] == [{"policy": "everyone", "before": 2, "after": 1}]
    assert stage.data("plan", code=0)["writes"] == []


def test_without_an_instance_the_status_comes_from_the_hub(stage: Stage) -> None:
    found = stage.data("status", code=0)
    assert [(one["name"], one["status"]["targets"]["summary"]) for one in found["policies"]] == [("everyone", "2/2")]
    assert [(one["name"], one["state"]) for one in found["clusters"]] == [("east", "Up")]
