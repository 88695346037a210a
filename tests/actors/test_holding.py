"""The brake in the whole service: what would take away too much is held, stays fresh, and goes when approved."""

from typing import Any

import anyio
import pytest
from msgspec import structs

from imps_multi.actors.service import Service
from imps_multi.ports import Section
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import minted, policy, static
from tests.actors.letting_go import OPEN, marked, only
from tests.actors.stage import HOUR, Stage, held_ids, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """Four namespaces, and a brake that holds nothing."""
    stage.safety.set(OPEN)
    return stage.cluster("a", *spaces(4))


async def test_what_would_remove_more_than_the_limit_is_held_stays_fresh_and_goes_when_approved(stage: Stage) -> None:
    clusters = [stage.cluster(name, *spaces(100)) for name in "abc"]
    stage.hub.put(policy(sources=("ecr",)), minted())
    stage.provider.life = 600.0
    some = {"exclude": ["team-002[0-6]", "team-000?", "team-001?"], "names": ["team-*"]}
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(sources=("ecr",), namespaces=some))
        await until(lambda: ready(service) == ("False", "DeletionHeld"))
        [held] = service.braker.held.value
        assert len(held.members) == 81
        await anyio.sleep(700.0)
        for cluster in clusters:
            assert not marked(cluster)
            assert set(cluster.passwords("ecr.example").values()) == {f"token-{len(stage.provider.mints)}"}
        assert held_ids(service) == [held.id]
        assert not await service.braker.approve("nonsense")
        assert await service.braker.approve(held.id)
        await until(lambda: all(len(marked(cluster)) == 27 for cluster in clusters))
        await settled(service)
        assert held_ids(service) == []


async def test_an_approval_by_annotation_works_also_at_a_start(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000")))
        await until(lambda: held_ids(service))
        held = held_ids(service)[0]
    approve: dict[str, Any] = {"annotations": {"imps-multi.io/approve": held}}
    stage.hub.put(policy(**only("team-0000"), **approve))
    async with stage.running() as service:
        await until(lambda: len(marked(cluster)) == 99, within=5.0)


async def test_what_joins_a_held_set_is_a_new_hold_and_an_approval_releases_its_members_only(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(namespaces={"names": ["team-*"], "exclude": ["team-00[0-3]?"]}))
        await until(lambda: held_ids(service))
        [first] = held_ids(service)
        stage.hub.put(policy(namespaces={"names": ["team-*"], "exclude": ["team-00[0-6]?"]}))
        await until(lambda: held_ids(service) and held_ids(service) != [first])
        assert await service.braker.approve(first)
        await until(lambda: len(marked(cluster)) == 40)
        await settled(service)
        [held] = service.braker.held.value
        assert len(held.members) == 30


async def test_an_approval_outlives_a_restart(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000")))
        await until(lambda: held_ids(service))
        [held] = held_ids(service)
        cluster.go_down()
        await until(lambda: not held_ids(service))
        assert await service.braker.approve(held)
    cluster.thaw()
    async with stage.running() as service:
        await until(lambda: len(marked(cluster)) == 99)
        assert held_ids(service) == []


async def test_a_registry_that_every_target_would_lose_is_held_and_stays(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(sources=("static", "two")), static(), static("two", ghcr_io="g"))
    async with stage.running() as service:
        await settled(service)
        stage.hub.remove("two", kind="Secret")
        await until(lambda: held_ids(service))
        await anyio.sleep(600.0)
        assert len(cluster.passwords("ghcr.io")) == 100
        await service.braker.approve(held_ids(service)[0])
        await until(lambda: not cluster.passwords("ghcr.io"))
        assert len(cluster.passwords("quay.io")) == 100


async def test_a_held_registry_of_a_source_that_is_not_named_any_more_stays_fresh(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(sources=("static",)))
        await until(lambda: held_ids(service))
        await anyio.sleep(400.0)
        assert len(stage.provider.mints) == 2
        assert set(cluster.passwords("ecr.example").values()) == {"token-2"}
        await service.braker.approve(held_ids(service)[0])
        await until(lambda: not cluster.passwords("ecr.example"))
        await anyio.sleep(600.0)
        assert len(stage.provider.mints) == 2
        assert stage.store.keys(Section.TOKENS) == set()


async def test_a_held_registry_whose_source_is_gone_is_said_not_to_be_refreshed_any_more(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    stage.provider.life = HOUR
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(sources=("static",)))
        await until(lambda: held_ids(service))
        assert "cannot be refreshed" not in status_of(service).reason
        stage.hub.remove("ecr", kind="Secret")
        await until(lambda: "cannot be refreshed meanwhile" in status_of(service).reason, within=60.0)
        assert "ecr.example (expires 20" in status_of(service).reason
        assert set(cluster.passwords("ecr.example").values()) == {"token-1"}
        await until(lambda: ready(service) == ("False", "Expired"), within=HOUR + 60.0)


async def test_a_registry_that_few_targets_would_lose_is_let_go(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(8))
    stage.hub.put(policy(sources=("static", "two")), static(), static("two", ghcr_io="g"))
    async with stage.running() as service:
        await settled(service)
        stage.hub.remove("two", kind="Secret")
        await until(lambda: not cluster.passwords("ghcr.io"))
        await settled(service)
        assert len(cluster.writes) == 16


async def test_two_edits_in_a_row_do_not_slip_a_loss_past_the_brake(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(100))
    stage.hub.put(policy(sources=("static", "two")), static(), static("two", ghcr_io="g"))
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(10.0)
        stage.hub.put(policy(sources=("static",)))
        await until(lambda: len(service.world.value.policies["team"].sources) == 1)  # type: ignore[index]  # its name
        stage.hub.put(policy(sources=("static",), labels={"x": "y"}))
        await until(lambda: held_ids(service))
        await anyio.sleep(60.0)
        assert len(cluster.passwords("ghcr.io")) == 100


async def test_nothing_is_let_go_that_could_not_be_stored(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.store.failing = True
        stage.hub.put(policy(**only("team-0000")))
        await anyio.sleep(30.0)
        assert not marked(cluster)
        stage.store.failing = False
        await until(lambda: len(marked(cluster)) == 3)


def expansions(service: Service) -> list[str]:
    """Return the ids of the edits that wait."""
    return [one.id for one in service.braker.expansions.value]


def limit(stage: Stage, new_targets: int) -> None:
    """Let an edit add so many targets without asking."""
    stage.safety.set(structs.replace(OPEN, max_new_targets=new_targets))


async def test_an_edit_that_adds_too_many_targets_waits_for_approval(stage: Stage) -> None:
    clusters = [stage.cluster(name, *spaces(20), *spaces(20, "prod-")) for name in "ab"]
    limit(stage, 50)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert all(len(cluster.secrets) == 20 for cluster in clusters)
        stage.safety.set(structs.replace(OPEN, max_new_targets=30))
        stage.hub.put(policy(namespaces={"names": ["team-*", "prod-*"]}))
        await until(lambda: expansions(service))
        await anyio.sleep(60.0)
        assert all(len(cluster.secrets) == 20 for cluster in clusters)
        assert ready(service) == ("False", "PartiallySynced")
        clusters[0].remove("team-0000", "pull")
        await anyio.sleep(10.0)
        assert await service.braker.approve(expansions(service)[0])
        await until(lambda: all(len(cluster.secrets) == 40 for cluster in clusters))
        await until(lambda: ready(service) == ("True", "AllSynced"))


async def test_an_edit_made_while_nothing_ran_waits_for_approval_too(stage: Stage) -> None:
    clusters = [stage.cluster(name, *spaces(2), *spaces(20, "prod-")) for name in "ab"]
    clusters[1].latency = 0.3
    limit(stage, 10)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
    stage.hub.put(policy(namespaces={"names": ["team-*", "prod-*"]}))
    async with stage.running() as service:
        await until(lambda: expansions(service))
        await anyio.sleep(60.0)
        assert all(len(cluster.secrets) == 2 for cluster in clusters)


async def test_namespaces_that_come_later_are_no_edit(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(2))
    limit(stage, 3)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        for space in spaces(10):
            cluster.add_namespace(space)
        await until(lambda: len(cluster.secrets) == 10)


async def test_an_edit_is_approved_by_annotation_too(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(20))
    limit(stage, 10)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: expansions(service))
        assert cluster.secrets == {}
        stage.hub.put(policy(annotations={"imps-multi.io/approve": expansions(service)[0]}))
        await until(lambda: len(cluster.secrets) == 20)
        await until(lambda: expansions(service) == [])


async def test_an_edit_whose_sources_are_asked_first_waits_for_approval_all_the_same(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(20))
    stage.provider.latency = 2.0
    limit(stage, 10)
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await until(lambda: expansions(service))
        await anyio.sleep(30.0)
        assert cluster.secrets == {}


async def test_a_cluster_that_was_away_during_an_edit_grows_only_when_approved(stage: Stage) -> None:
    near, far = stage.cluster("near", *spaces(2)), stage.cluster("far", *spaces(20))
    limit(stage, 10)
    far.freeze()
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: len(near.secrets) == 2)
        far.thaw()
        await until(lambda: expansions(service), within=30.0)
        await anyio.sleep(60.0)
        assert far.secrets == {}
        near.add_namespace("team-later")
        await until(lambda: len(near.secrets) == 3)
    async with stage.running() as service:
        await until(lambda: expansions(service))
        assert far.secrets == {}
        assert await service.braker.approve(expansions(service)[0])
        await until(lambda: len(far.secrets) == 20)
        await until(lambda: expansions(service) == [])


async def test_a_cluster_that_does_not_answer_keeps_no_edit_waiting_for_long(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.cluster("dead").freeze()
    limit(stage, 10)
    stage.hub.put(policy(), static())
    async with stage.running():
        assert await until(lambda: len(cluster.secrets) == 5) < 4.0
