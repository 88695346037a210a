"""The service end to end, on fakes and virtual time."""

import pytest

from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, ready, settled, spaces

pytestmark = pytest.mark.anyio


async def test_every_selected_namespace_of_every_cluster_gets_one_write(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        stage.cluster(name, *spaces(20), "kube-system")
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
    for cluster in stage.clusters.values():
        assert sorted(cluster.secrets) == [(space, "pull") for space in spaces(20)]
        assert set(cluster.passwords("ecr.example").values()) == {"token-1"}
        assert set(cluster.passwords("quay.io").values()) == {"p"}
        assert [one.verb for one in cluster.writes] == ["create"] * 20
    assert len(stage.provider.mints) == 1
