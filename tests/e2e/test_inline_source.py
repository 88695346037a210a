"""A source that stands in a policy of a hub in a cluster: the process's own identity mints, and no Secret is there."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from imps_multi.cli.role import target_manifests
from imps_multi.sandbox.identities import Trust
from tests.e2e.hub_cluster import SYSTEM, hub_part, lay_configuration, lay_hub, put, shown
from tests.e2e.manifests import PULL, policy
from tests.e2e.program import Finished, plan, printed_hub_role, run_once
from tests.e2e.registry import ACCOUNT, HOST, REGION, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

ROLE, OTHER = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("pull", "other"))
ECR = {"region": REGION, "accountIDs": [ACCOUNT], "roleARN": ROLE, "externalID": "tenant:7", "sessionName": "team-a"}


@pytest.fixture(scope="module")
def hub(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> RealCluster:
    """A hub that is its own target, and a role that only the process's own identity may take on."""
    (cluster,) = bring("east")
    cluster.create_namespaces(["team-0", "team-1"])
    site.reach([cluster])
    lay_hub(cluster, site)
    identity = {"namespaces": [], "roleARNs": ["arn:aws:iam::*:role/pull"]}
    lay_configuration(site, hub=hub_part(), sources={"namespaces": [], "ambientIdentity": identity})
    user = f"arn:aws:iam::{ACCOUNT}:user/imps"
    registry.ecr.identities.trust[ROLE] = Trust(by=user, external_id="tenant:7", session_name="team-a")
    return cluster


def lay(hub: RealCluster, **ecr: Any) -> None:
    wanted = policy("everyone", sources=[], namespaces={"names": ["team-*"]})
    wanted["spec"]["registry"]["credentials"] = [{"ecr": ECR | ecr}]
    put(hub, wanted)


def one_pass(site: Site, registry: Registry) -> Finished:
    key = registry.ecr.credential
    own = {"AWS_ACCESS_KEY_ID": key.access_key, "AWS_SECRET_ACCESS_KEY": key.secret_key}
    return run_once(site, environment={"AWS_ENDPOINT_URL": registry.url, **own})


def test_an_inline_source_is_minted_once_by_the_process_s_own_identity_and_the_role(
    hub: RealCluster, site: Site, registry: Registry
) -> None:
    lay(hub)
    hub.authorize(SERVICE, printed_hub_role(site))
    hub.authorize(SERVICE, list(yaml.safe_load_all(target_manifests([PULL], [(SYSTEM, "imps-multi")]))))
    planned = plan(site)["mints"]
    assert [name.rpartition(":")[0] for name in planned] == [f"ecr:{REGION}:{ACCOUNT}"]
    first = one_pass(site, registry)
    assert first.code == 0, first.err
    right = {team: {HOST: ("AWS", registry.newest)} for team in ("team-0", "team-1")}
    assert all_logins(hub) == right
    status = shown(hub, "everyone")["status"]
    assert status["sourceSecretStatus"] == {planned[0]: "OK"}
    assert [(one["namespace"], one["name"], one["registries"]) for one in status["credentials"]] == [
        ("", planned[0], [HOST])
    ]
    assert one_pass(site, registry).code == 0
    assert registry.mints == 1

    lay(hub, roleARN=OTHER)
    refused = one_pass(site, registry)
    assert (refused.code, registry.mints, all_logins(hub)) == (1, 1, right)
    reason = shown(hub, "everyone")["status"]["reason"]
    assert "key roleARN names a role" in reason
    assert "add it to sources.ambientIdentity.roleARNs" in reason
    assert not [one for one in hub.secrets(SYSTEM) if "sources" in json.dumps(one["metadata"])]
