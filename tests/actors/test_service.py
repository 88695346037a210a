"""The service end to end: what is delivered, and what that costs in writes and mints."""

import anyio
import pytest

from imps_multi.ports import Section
from tests.actors.fakes import LIFE, minted, policy, static
from tests.actors.stage import Stage, ready, settled, spaces, status_of, until

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


async def test_a_first_fan_out_waits_for_the_token_rather_than_writing_twice(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(10))
    stage.provider.latency = 4.0
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    assert [one.verb for one in cluster.writes] == ["create"] * 10
    assert set(cluster.passwords("ecr.example").values()) == {"token-1"}


async def test_a_source_that_does_not_answer_is_waited_for_five_seconds_only(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.provider.hanging = True
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running():
        took = await until(lambda: len(cluster.secrets) == 3)
        assert 5.0 <= took < 5.5
        assert set(cluster.passwords("quay.io")) == set(spaces(3))
        assert cluster.passwords("ecr.example") == {}


async def test_a_new_token_reaches_all_with_one_write_each_and_every_uid_stays(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.cluster(name, *spaces(30))
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        uids = [secret["metadata"]["uid"] for one in stage.clusters.values() for secret in one.secrets.values()]
        await anyio.sleep(LIFE / 2 * 1.1 + 60)
        await settled(service)
        for cluster in stage.clusters.values():
            assert set(cluster.passwords("ecr.example").values()) == {"token-2"}
            assert [one.verb for one in cluster.writes] == ["create"] * 30 + ["replace"] * 30
        after = [secret["metadata"]["uid"] for one in stage.clusters.values() for secret in one.secrets.values()]
        assert after == uids
    assert len(stage.provider.mints) == 2


async def test_at_rest_nothing_is_written_and_nothing_is_minted(stage: Stage) -> None:
    stage.cluster("a", *spaces(30))
    stage.hub.put(policy(sources=("static",)), static())
    async with stage.running() as service:
        await settled(service)
        writes, saves = stage.writes, len(stage.store.saves)
        await anyio.sleep(2 * 3600.0)
        assert (stage.writes, len(stage.store.saves)) == (writes, saves)


async def test_a_restart_mints_nothing_and_writes_nothing(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.cluster(name, *spaces(20))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    writes, saves = stage.writes, list(stage.store.saves)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(600)
        assert ready(service) == ("True", "AllSynced")
    assert (stage.writes, len(stage.provider.mints), stage.store.saves) == (writes, 1, saves)


async def test_a_restart_with_another_hub_content_writes_only_what_differs(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5), *spaces(5, "prod-"))
    stage.hub.put(policy(), policy("other", secret="other", namespaces={"names": ["prod-*"]}), static())
    async with stage.running() as service:
        await settled(service)
    before = len(cluster.writes)
    stage.hub.put(policy("other", secret="other", namespaces={"names": ["prod-*"]}, labels={"team": "x"}))
    async with stage.running() as service:
        await settled(service)
    assert {one.name for one in cluster.writes[before:]} == {"other"}
    assert len(cluster.writes) == before + 5


async def test_a_new_world_while_a_cluster_is_down_is_there_when_it_returns(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("ecr",)), minted())
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        cluster.go_down()
        await anyio.sleep(400.0)
        assert len(stage.provider.mints) == 2
        cluster.thaw()
        took = await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        assert took < 10.0
        await settled(service)
        assert len([one for one in cluster.writes if one.result == "ok"]) == 10


async def test_observe_writes_nothing_mints_nothing_and_tells_what_is_missing(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    stage.observe = True
    async with stage.running() as service:
        await until(lambda: service.world.value.synced and status_of(service).targets.desired == 5)
        await anyio.sleep(300.0)
        assert status_of(service).targets.pending == 5
    assert (cluster.writes, stage.provider.mints) == ([], [])


async def test_observe_with_stored_tokens_that_are_due_rests(stage: Stage) -> None:
    stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
    stage.clock.step(LIFE * 0.7)
    stage.observe = True
    async with stage.running() as service:
        await settled(service)
        await service.sync(next(iter(service.world.value.policies)))
        await anyio.sleep(3600.0)
    assert len(stage.provider.mints) == 1
    assert stage.writes == 5


async def test_a_paused_cluster_is_read_and_never_written(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5), paused=True)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: service.world.value.synced and status_of(service).targets.desired == 5)
        await anyio.sleep(60.0)
        assert cluster.writes == []
        assert ready(service) == ("True", "AllSynced")
        stage.configure(cluster.member(paused=False))
        await until(lambda: len(cluster.secrets) == 5)


async def test_nothing_of_a_credential_is_stored_but_in_its_own_sections(stage: Stage) -> None:
    stage.cluster("a", *spaces(2))
    stage.hub.put(policy(sources=("static", "ecr")), static(quay_io="hush"), minted(), static("unused", x_io="idle"))
    async with stage.running() as service:
        await settled(service)
    assert stage.store.keys(Section.TOKENS) == {"one"}
    assert stage.store.keys(Section.SOURCES) == {"registry-access/static", "registry-access/ecr"}
    assert not any(b"idle" in content for content in stage.store.items.values())
