"""Removal under a hub in a cluster: what is held is shown there, and leaving wants no instance to run."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.hub_cluster import SYSTEM, by_hand, drop_policies, hub_part, lay_hub, put
from tests.e2e.manifests import HOME, docker_source, policy
from tests.e2e.program import Program, command
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import by_namespace
from tests.e2e.waiting import until
from tests.realcluster.cluster import RealCluster

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

TEAMS = tuple(f"team-{number}" for number in range(4))
CAUTIOUS = {"perCluster": {"maxDeletePercent": 0, "maxDeleteAtLeast": 1}}


def test_what_is_held_is_in_a_config_map_and_goes_by_annotation_and_by_leaving(
    bring: Callable[..., tuple[RealCluster, ...]], site: Site
) -> None:
    (hub,) = bring("east")
    hub.create_namespaces(TEAMS)
    site.reach([hub])
    lay_hub(hub, site)
    site.configure(hub=hub_part(), sources={"namespaces": [HOME]}, safety=CAUTIOUS)
    hub.authorize(SERVICE, by_hand())
    put(hub, docker_source("docker", password="docker-password"))
    select(hub)
    with Program(site) as program:
        until(lambda: by_namespace(hub).keys() == set(TEAMS), "all are served")
        select(hub, without=TEAMS[:2])
        (held,) = until(lambda: held_there(hub), "the held set is shown in the hub")
        assert (held["policy"], held["clusters"], held["deletions"]) == ("everyone", ["east"], 2)
        until(lambda: [one["id"] for one in program.status()["held"]] == [held["id"]], "and in the status")
        select(hub, without=TEAMS[:2], approve=held["id"])
        until(lambda: by_namespace(hub).keys() == set(TEAMS[2:]), "what was approved goes")
        until(lambda: held_there(hub) == [], "and is not shown any more")
        drop_policies(hub, "everyone")
        (gone,) = until(lambda: held_there(hub), "that of a policy that is gone is shown too")
        assert (gone["policy"], gone["deletions"]) == ("everyone", 2)
    assert len(by_namespace(hub)) == 2
    leave = ("leave", "--all", "--purge", "--yes", "--config", str(site.config))
    refused = command(site, *leave)
    assert (refused.code, "--stopped" in refused.err, len(by_namespace(hub))) == (2, True, 2)
    done = command(site, *leave, "--stopped")
    assert (done.code, by_namespace(hub)) == (0, {}), done.err


def select(hub: RealCluster, *, without: tuple[str, ...] = (), approve: str = "") -> None:
    metadata = {"annotations": {"imps-multi.io/approve": approve}}
    namespaces = {"names": ["team-*"], "exclude": list(without)}
    everyone = policy("everyone", sources=["docker"], namespaces=namespaces, metadata=metadata)
    put(hub, {**everyone, "spec": {**everyone["spec"], "deletionPolicy": "Immediate"}})


def held_there(hub: RealCluster) -> list[dict[str, Any]]:
    """Return what the ConfigMap in the hub shows."""
    answer = hub.client().ask("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/imps-multi-held")
    return [json.loads(text) for text in answer.json.get("data", {}).values()]
