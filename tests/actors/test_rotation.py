"""A source Secret that is edited, taken away or made anew, and a process that is killed: which token is where."""

from collections import Counter

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.app.settling import wait_settled
from imps_multi.model.hub import HubObject
from imps_multi.ports import Section, Transient
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import LIFE, minted, policy
from tests.actors.stage import Stage, ready, settled, until

pytestmark = pytest.mark.anyio

REGISTRY = "ecr.example"


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """One cluster with a namespace that is selected."""
    return stage.cluster("a", "team-0000")


@pytest.fixture(autouse=True)
def _one_source(stage: Stage, cluster: FakeCluster) -> None:
    assert not cluster.secrets
    stage.hub.put(policy(sources=("ecr",)), minted())


def delivered(cluster: FakeCluster) -> str:
    return cluster.passwords(REGISTRY).get("team-0000", "")


def asked(stage: Stage) -> Counter[str]:
    return Counter(key for _, key in stage.provider.mints)


async def killed(stage: Stage, when: object) -> None:
    """Run a service and cancel it all of a sudden, once something holds."""
    service = Service(stage.ports())
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, StopSignal())
        assert callable(when)
        await until(when)
        group.cancel_scope.cancel()


async def test_other_keys_are_taken_up_at_once_and_the_old_identity_ends(stage: Stage, cluster: FakeCluster) -> None:
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(minted(identity="two"))
        assert await until(lambda: delivered(cluster) == "token-2") < 2.0
        await until(lambda: stage.store.keys(Section.TOKENS) == {"two"})
        assert service.keepers is not None
        assert service.keepers.states().keys() == {"two"}
        await anyio.sleep(600.0)
        assert asked(stage) == {"one": 1, "two": 1}
    assert [one.verb for one in cluster.writes] == ["create", "replace"]


async def test_the_new_identity_does_not_wait_for_the_end_of_an_old_one_that_hangs(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.provider.hanging = True
    async with stage.running():
        await until(lambda: stage.provider.minting == 1)
        stage.provider.hanging = False
        stage.hub.put(minted(identity="two"))
        assert await until(lambda: delivered(cluster) == "token-2") < 2.0
        assert stage.provider.minting == 0


async def test_other_keys_that_are_wrong_take_nothing_away_and_say_so(stage: Stage, cluster: FakeCluster) -> None:
    async with stage.running() as service:
        await settled(service)
        stage.provider.error = Transient("503")
        stage.hub.put(minted(identity="two"))
        await until(lambda: ready(service) == ("False", "SourceError"))
        await anyio.sleep(600.0)
        assert (delivered(cluster), len(cluster.writes)) == ("token-1", 1)
        stage.provider.error = None
        await until(lambda: delivered(cluster) not in {"", "token-1"}, within=301.0)


async def test_a_source_that_is_edited_to_and_fro_ends_as_it_was_written_last(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.provider.latency = 0.3
    async with stage.running() as service:
        await settled(service)
        for identity in ["two", "one"] * 5:
            stage.hub.put(minted(identity=identity))
            await anyio.sleep(0.5)
        await settled(service)
        assert service.keepers is not None
        assert service.keepers.states().keys() == {"one"}
        assert stage.store.keys(Section.TOKENS) == {"one"}
        assert delivered(cluster) == f"token-{len(stage.provider.mints)}"
        assert sum(asked(stage).values()) <= 11
        mints = len(stage.provider.mints)
        await anyio.sleep(600.0)
        assert (len(stage.provider.mints), stage.provider.minting) == (mints, 0)


async def test_a_source_that_is_taken_away_and_made_anew_is_minted_once_more(
    stage: Stage, cluster: FakeCluster
) -> None:
    async with stage.running() as service:
        await settled(service)
        stage.hub.remove("ecr", "Secret")
        await until(lambda: ready(service) == ("False", "SourceError"))
        await until(lambda: not stage.store.keys(Section.TOKENS), within=20.0)
        await anyio.sleep(600.0)
        assert len(stage.provider.mints) == 1
        stage.hub.put(minted())
        assert await until(lambda: delivered(cluster) == "token-2") < 2.0
        assert len(stage.provider.mints) == 2


async def test_a_kill_between_storing_and_writing_costs_no_second_mint(stage: Stage, cluster: FakeCluster) -> None:
    cluster.go_down()
    await killed(stage, lambda: stage.store.keys(Section.TOKENS))
    assert cluster.writes == []
    cluster.thaw()
    async with stage.running() as service:
        await until(lambda: delivered(cluster) == "token-1")
        await settled(service)
    assert len(stage.provider.mints) == 1


async def test_a_token_that_is_being_stored_is_nowhere_else_yet(stage: Stage, cluster: FakeCluster) -> None:
    async with stage.running() as service:
        await settled(service)
        stage.store.slow = 1.0
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: len(stage.provider.mints) == 2)
        await until(lambda: stage.store.saving)
        await anyio.sleep(0.9)
        assert delivered(cluster) == "token-1"
        await until(lambda: delivered(cluster) == "token-2")


async def test_a_kill_while_a_token_is_being_stored_leaves_the_last_one_everywhere(
    stage: Stage, cluster: FakeCluster
) -> None:
    async with stage.running() as service:
        await settled(service)
    await anyio.sleep(0.6 * LIFE)
    stage.store.slow = 1.0
    await killed(stage, lambda: stage.store.saving and len(stage.provider.mints) == 2)
    assert delivered(cluster) == "token-1"
    stage.store.slow = 0.0
    async with stage.running():
        await until(lambda: delivered(cluster) == "token-3")


async def test_a_full_disk_takes_nothing_from_the_targets_and_is_caught_up_with(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.store.failing = True
    async with stage.running() as service:
        await settled(service)
        assert (delivered(cluster), ready(service)) == ("token-1", ("True", "AllSynced"))
        stage.hub.put(minted(identity="two"))
        await until(lambda: delivered(cluster) == "token-2")
        stage.store.failing = False
        await until(lambda: stage.store.keys(Section.TOKENS) == {"two"}, within=61.0)
    async with stage.running() as service:
        await settled(service)
    assert len(stage.provider.mints) == 2


async def test_policies_that_ask_for_a_sync_together_get_one_mint_together(stage: Stage, cluster: FakeCluster) -> None:
    def asking(what: str) -> list[HubObject]:
        given = {"sources": ("ecr",), "annotations": {"imps-multi.io/sync": what}}
        return [policy(f"p-{number}", secret=f"pull-{number}", **given) for number in range(5)]

    stage.hub.put(*asking("first"))
    async with stage.running() as service:
        await settled(service)
        assert len(stage.provider.mints) == 1
        stage.store.slow = 0.3
        stage.hub.put(*asking("second"))
        await until(lambda: set(cluster.passwords(REGISTRY, "pull-4").values()) == {"token-2"})
        await anyio.sleep(600.0)
        assert len(stage.provider.mints) == 2
    stage.store.slow = 0.0
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(600.0)
    assert len(stage.provider.mints) == 2


async def test_a_pass_waits_for_the_token_that_follows_one_past_half_of_its_life(
    stage: Stage, cluster: FakeCluster
) -> None:
    async with stage.running() as service:
        await settled(service)
    await anyio.sleep(0.6 * LIFE)
    stage.provider.latency = 5.0
    async with stage.running() as service:
        await wait_settled(service, StopSignal())
        assert delivered(cluster) == "token-2"
