"""Watches that end, fall silent or expire: nothing is lost by it and nothing is written for it."""

from typing import Any

import anyio
import pytest
import trio

from imps_multi.actors import reporting
from imps_multi.actors.braker import Braker
from imps_multi.model.book import AT_ONCE, Book, Due
from imps_multi.model.brake import Wishes
from imps_multi.model.names import ClusterName, NamespaceName
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio

LONG = 3 * AT_ONCE


class Steps(trio.abc.Instrument):
    """How many namespaces were looked at within one step of any task, at most."""

    def __init__(self) -> None:
        self.here = 0
        self.most = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self.here = 0

    def looked(self) -> None:
        self.here += 1
        self.most = max(self.most, self.here)


@pytest.fixture
async def long(stage: Stage) -> FakeCluster:
    """A cluster with more targets than are looked at in one go."""
    cluster = stage.cluster("a", *spaces(LONG))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service, within=60.0)
    return cluster


async def test_a_long_list_is_looked_at_a_few_at_a_time(
    stage: Stage, long: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, look = Steps(), Book.look

    def counted(self: Book, namespace: NamespaceName, **given: Any) -> list[Due]:
        steps.looked()
        return look(self, namespace, **given)

    monkeypatch.setattr(Book, "look", counted)
    trio.lowlevel.add_instrument(steps)
    async with stage.running() as service:
        await settled(service, within=60.0)
        assert status_of(service).targets.summary == f"{LONG}/{LONG}"
    trio.lowlevel.remove_instrument(steps)
    assert 0 < steps.most <= AT_ONCE
    assert len(long.writes) == LONG


async def test_of_a_long_list_nothing_is_wished_away_before_all_of_it_was_looked_at(
    stage: Stage, long: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few wishes are under the brake's limit, and the others would come later."""
    told, wish = set(), Braker.wish

    def telling(self: Braker, cluster: ClusterName, wishes: Wishes | None) -> None:
        told.add(0 if wishes is None else len(wishes.wishes))
        wish(self, cluster, wishes)

    monkeypatch.setattr(reporting, "LONGEST_PAUSE", 0.0)  # so that there is a report at every turn
    monkeypatch.setattr(Braker, "wish", telling)
    stage.hub.put(policy(namespaces={"names": ["other"]}, spec={"deletionPolicy": "Immediate"}))
    async with stage.running() as service:
        await until(lambda: service.braker.held.value, within=60.0)
        await anyio.sleep(60.0)
    assert told == {0, LONG}
    assert "delete" not in {one.verb for one in long.writes}


async def test_each_watch_lists_again_every_hour_and_writes_nothing_for_it(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(30))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(3 * 3600.0 + 600)
        assert 3 <= cluster.lists("pull") - 1 <= 4
        assert 3 <= cluster.lists("namespaces") - 1 <= 4
        assert stage.writes == 30


async def test_a_lost_answer_to_a_write_is_settled_by_what_the_watch_shows(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    cluster.losing_answers = 3
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
    assert [one.result for one in cluster.writes].count("ok") == 2
    assert len(cluster.writes) == 5


async def test_a_watch_that_fell_silent_causes_no_write_and_drift_is_found_by_the_next_list(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        cluster.fall_silent()
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await anyio.sleep(60.0)
        assert len(cluster.writes) == 10
        cluster.remove(spaces(5)[0], "pull")
        await until(lambda: (spaces(5)[0], "pull") in cluster.secrets, within=200.0)
        assert len(cluster.writes) == 11


async def test_an_expired_watch_lists_again_and_writes_nothing(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("pull")
        cluster.expire()
        await until(lambda: cluster.lists("pull") == lists + 1)
        await settled(service)
        assert len(cluster.writes) == 5


async def test_a_server_that_says_gone_at_once_is_not_hammered(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(2))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("pull")
        with anyio.move_on_after(60.0):
            while True:
                await until(lambda: cluster.streams, within=40.0)
                await anyio.sleep(0.01)
                cluster.expire()
        assert cluster.lists("pull") - lists < 40


async def test_a_stream_closed_by_the_server_goes_on_where_it_was(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("pull"), cluster.lists("namespaces")
        await anyio.sleep(5.0)
        cluster.close_streams()
        cluster.remove(spaces(5)[0], "pull")
        await until(lambda: (spaces(5)[0], "pull") in cluster.secrets)
        assert (cluster.lists("pull"), cluster.lists("namespaces")) == lists
        assert len(cluster.writes) == 6


async def test_streams_that_something_cuts_every_minute_are_taken_up_again_as_quickly_each_time(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        for number in range(12):
            await anyio.sleep(60.0)
            cluster.cut()
            cluster.add_namespace(f"team-x{number}")
            assert await until(lambda number=number: (f"team-x{number}", "pull") in cluster.secrets) < 3.0  # type: ignore[misc]  # bound as a default, in a loop
