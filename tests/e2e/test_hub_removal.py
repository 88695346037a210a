"""Removal under a hub in a cluster: what a policy left that is gone is held, and leaving wants no instance to run."""

from collections.abc import Callable

import pytest

from tests.e2e.hub_cluster import by_hand, drop_policies, hub_part, lay_hub, put
from tests.e2e.manifests import HOME, docker_source, policy
from tests.e2e.program import Program, command
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import by_namespace
from tests.e2e.waiting import until
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number}" for number in range(4))
CAUTIOUS = {"perCluster": {"maxDeletePercent": 0, "maxDeleteAtLeast": 1}}


def test_what_a_deleted_policy_left_is_held_and_goes_by_leaving_once_no_instance_runs(
    bring: Callable[..., tuple[RealCluster, ...]], site: Site
) -> None:
    (hub,) = bring("east")
    hub.create_namespaces(TEAMS)
    site.reach([hub])
    lay_hub(hub, site)
    site.configure(hub=hub_part(), sources={"namespaces": [HOME]}, safety=CAUTIOUS)
    hub.authorize(SERVICE, by_hand())
    put(hub, docker_source("docker", password="docker-password"))
    put(hub, policy("everyone", sources=["docker"], namespaces={"names": ["team-*"]}, deletionPolicy="Immediate"))
    with Program(site) as program:
        until(lambda: by_namespace(hub).keys() == set(TEAMS), "all are served")
        until(lambda: program.in_sync("everyone", len(TEAMS)), "and that is known")
        drop_policies(hub, "everyone")
        until(lambda: [one["deletions"] for one in program.status()["held"]] == [len(TEAMS)], "their removal is held")
    leave = ("leave", "--all", "--purge", "--yes", "--config", str(site.config))
    refused = command(site, *leave)
    assert (refused.code, "--stopped" in refused.err, len(by_namespace(hub))) == (2, True, len(TEAMS))
    done = command(site, *leave, "--stopped")
    assert (done.code, by_namespace(hub)) == (0, {}), done.err
