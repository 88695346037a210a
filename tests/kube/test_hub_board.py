"""Where policies show how they stand: status under a fence, Events counted up; on the sandbox and on a real server."""

from typing import Any

import anyio
import pytest

from imps_multi.kube.cluster_hub import ClusterHub
from imps_multi.kube.policy_board import HubBoard
from imps_multi.kube.shared import Shared
from imps_multi.model.names import PolicyName, Uid
from imps_multi.model.status import Condition, PolicyClusterStatus, PolicyStatus
from imps_multi.ports import Conflict, NotFound, PolicyEvent
from tests.kube.hub_world import define, edit_policy, linked, make_policy, reading, running
from tests.kube.world import World
from tests.realcluster.policies import COLLECTION

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the service runs; the transport has its own tests on both loops


A = PolicyName("a")
EVENTS = "/api/v1/namespaces/default/events"
NOW = "2026-01-01T00:00:00Z"


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


def status(ready: str = "True") -> PolicyStatus:
    return PolicyStatus(
        status="Ready",
        observed_generation=1,
        conditions=[Condition("Ready", ready, "AllSynced", "", NOW, 1)],
        clusters=[PolicyClusterStatus("east", 1, 1)],
    )


def board(hub: ClusterHub, clock: Clock | None = None) -> HubBoard:
    return HubBoard(hub.link, hub.cache, clock=clock or Clock(), instance="here")


async def stored(world: World) -> dict[str, Any]:
    found: dict[str, Any] = await world.send("GET", f"{COLLECTION}/a")
    return found


async def test_a_status_is_written_again_and_again_without_a_reading_between(world: World, shared: Shared) -> None:
    await define(world)
    made = await make_policy(world, "a")
    uid = Uid(made["metadata"]["uid"])
    async with running(world.connection, shared) as hub:
        await reading(hub, lambda found: found.whole)
        mine = board(hub)
        await mine.put_status(A, uid, status())
        await mine.put_status(A, uid, status("False"))
    found = await stored(world)
    assert found["status"]["conditions"][0]["status"] == "False"
    assert found["status"]["clusters"] == [{"name": "east", "inSync": 1, "desired": 1, "reason": "", "message": ""}]
    assert (found["spec"], found["metadata"]["generation"]) == (made["spec"], 1)
    assert "validitySeconds" not in found["status"]


async def test_a_policy_that_moved_on_since_it_was_read_is_a_conflict(world: World, shared: Shared) -> None:
    await define(world)
    uid = Uid((await make_policy(world, "a"))["metadata"]["uid"])
    async with linked(world.connection, shared) as link:
        hub = ClusterHub(link, allowed=lambda _: True, rand=lambda: 0.5)
        async with anyio.create_task_group() as group:
            group.start_soon(hub.run)
            await reading(hub, lambda found: found.whole)
            group.cancel_scope.cancel()
        await edit_policy(world, "a", {"metadata": {"labels": {"moved": "on"}}})
        with pytest.raises(Conflict):
            await board(hub).put_status(A, uid, status())
    assert "status" not in await stored(world)


async def test_a_policy_that_is_gone_or_was_never_read_is_not_found(world: World, shared: Shared) -> None:
    await define(world)
    uid = Uid((await make_policy(world, "a"))["metadata"]["uid"])
    async with running(world.connection, shared) as hub:
        with pytest.raises(NotFound):
            await board(hub).put_status(A, uid, status())
        await reading(hub, lambda found: found.whole)
        with pytest.raises(Conflict, match="made anew"):
            await board(hub).put_status(A, Uid("another"), status())
        await world.delete(f"{COLLECTION}/a")
        with pytest.raises(NotFound):
            await board(hub).put_status(A, uid, status())


async def events(world: World, uid: str) -> list[dict[str, Any]]:
    listed = await world.send("GET", EVENTS)
    return [one for one in listed["items"] if one["involvedObject"].get("uid") == uid]


async def test_a_like_event_is_counted_up_and_another_is_made(world: World, shared: Shared) -> None:
    await define(world)
    made = await make_policy(world, "a")
    uid, clock = made["metadata"]["uid"], Clock()
    event = PolicyEvent(A, Uid(uid), "Conflict", "a Secret is in the way", warning=True)
    async with running(world.connection, shared) as hub:
        mine = board(hub, clock)
        for _ in range(3):
            clock.now += 60
            await mine.post_event(event)
        (found,) = await events(world, uid)
        assert (found["count"], found["type"], found["reason"]) == (3, "Warning", "Conflict")
        assert (found["source"]["component"], found["reportingComponent"]) == ("imps-multi", "imps-multi")
        assert found["involvedObject"]["kind"] == "ImagePullSecret"
        assert found["firstTimestamp"] < found["lastTimestamp"]
        await mine.post_event(PolicyEvent(A, Uid(uid), "Synced", "all is well"))
        clock.now += 3601
        await mine.post_event(event)
        assert sorted(one["count"] for one in await events(world, uid)) == [1, 1, 3]


async def test_an_event_that_the_server_forgot_is_made_anew(world: World, shared: Shared) -> None:
    await define(world)
    made = await make_policy(world, "a")
    uid = made["metadata"]["uid"]
    event = PolicyEvent(A, Uid(uid), "Conflict", "x" * 2000)
    async with running(world.connection, shared) as hub:
        mine = board(hub)
        await mine.post_event(event)
        (found,) = await events(world, uid)
        await world.delete(f"{EVENTS}/{found['metadata']['name']}")
        await mine.post_event(event)
        (again,) = await events(world, uid)
    assert (again["count"], len(again["message"])) == (1, 1024)
