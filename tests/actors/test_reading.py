"""What others change is told as metadata alone: it is read once, whatever else goes on, and nothing else is read."""

from collections.abc import Callable

import anyio
import pytest

from imps_multi.ports import Forbidden, PortError, Throttled, Transient
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fake_objects import Json, docker_config
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, cluster_view, ready, settled, spaces, until

pytestmark = pytest.mark.anyio
SPACE = spaces(3)[1]


def spoil(secret: Json) -> None:
    secret["data"][".dockerconfigjson"] = docker_config(quay_io="stolen")


def gets(cluster: FakeCluster) -> list[tuple[str, str]]:
    """Return what was read, and how that was answered."""
    return [(one.namespace, one.result) for one in cluster.requests if one.verb == "get"]


async def test_no_secret_is_read_for_what_we_write_ourselves(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(200))
    cluster.latency = 0.02
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await settled(service)
        cluster.close_streams()
        await anyio.sleep(30.0)
    assert len(cluster.writes) == 400
    assert gets(cluster) == []


async def test_an_edited_target_is_read_once_and_written_once(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.edit(SPACE, "pull", spoil)
        await until(lambda: cluster.passwords("quay.io")[SPACE] == "p")
        await settled(service)
    assert gets(cluster) == [(SPACE, "ok")]
    assert len(cluster.writes) == 4


async def test_an_edit_of_everything_is_right_again_soon(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(300))
    cluster.latency = 0.02
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        for space in spaces(300):
            cluster.edit(space, "pull", spoil)
        assert await until(lambda: set(cluster.passwords("quay.io").values()) == {"p"}) < 3.0
    assert len(gets(cluster)) == 300
    assert len(cluster.writes) == 600


async def test_an_edit_in_the_middle_of_a_refresh_is_not_lost(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(20), max_in_flight=4)
    cluster.latency = 0.05
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        await service.sync(next(iter(service.world.value.policies)))
        for space in spaces(20):
            cluster.edit(space, "pull", spoil)
            await anyio.sleep(0.01)
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await until(lambda: not cluster.passwords("quay.io"))
        await settled(service)


async def test_where_nothing_may_be_written_it_is_read_all_the_same(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
    stage.configure(cluster.member(observe=True))
    async with stage.running() as service:
        await settled(service)
        cluster.edit(SPACE, "pull", spoil)
        await until(lambda: gets(cluster) == [(SPACE, "ok")])
        await until(lambda: ready(service)[0] != "True")
        await anyio.sleep(60.0)
    assert gets(cluster) == [(SPACE, "ok")]
    assert len(cluster.writes) == 3


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (lambda: Transient("503", answered=True), "Transient"),
        (lambda: Forbidden('secrets "pull" is forbidden: u cannot get resource "secrets"'), "Forbidden"),
    ],
    ids=["503", "403"],
)
async def test_what_cannot_be_read_is_said_and_tried_again(
    stage: Stage, logged: list[Json], failure: Callable[[], PortError], reason: str
) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.read_error = failure
        cluster.edit(SPACE, "pull", spoil)
        await until(lambda: len(gets(cluster)) >= 3)
        assert {result for _, result in gets(cluster)} == {reason}
        assert ready(service)[0] == "False"
        refusals = [line for line in logged if line["event"] == "Read was refused"]
        assert bool(refusals) == (reason == "Forbidden")
        assert all("rbac --role target" in line["message"] for line in refusals)
        cluster.read_error = None
        await until(lambda: cluster.passwords("quay.io")[SPACE] == "p", within=90.0)
        await settled(service)
        assert ready(service)[0] == "True"


async def test_refusals_of_a_hundred_writes_are_logged_once_in_a_while(stage: Stage, logged: list[Json]) -> None:
    cluster = stage.cluster("a", *spaces(100))
    cluster.write_error = lambda *_: Forbidden("quota")
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: cluster_view(service, "a").targets.failed == 100)
        assert len([line for line in logged if line["event"] == "Write was refused"]) == 1
        await until(lambda: len([line for line in logged if line["event"] == "Write was refused"]) == 2, within=60.0)


async def test_a_cluster_that_asks_for_quiet_is_not_read_meanwhile(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.read_error = lambda: Throttled("too many requests", retry_after=20.0)
        cluster.edit(SPACE, "pull", spoil)
        await until(lambda: len(gets(cluster)) == 1)
        for space in spaces(3):
            cluster.edit(space, "pull", spoil)
        cluster.read_error = None
        await anyio.sleep(19.0)
        assert len(gets(cluster)) == 1
        await until(lambda: set(cluster.passwords("quay.io").values()) == {"p"})


async def test_a_server_that_answers_what_was_is_asked_again_after_a_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        old = cluster.get(SPACE, "pull")
        monkeypatch.setattr(cluster, "get", lambda *_: old)
        cluster.edit(SPACE, "pull", spoil)
        await anyio.sleep(60.0)
        assert 3 <= len(gets(cluster)) < 30
        monkeypatch.undo()
        await until(lambda: cluster.passwords("quay.io")[SPACE] == "p", within=90.0)


async def test_a_foreign_secret_that_nobody_wants_is_not_read(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3), "elsewhere")
    stage.hub.put(policy(namespaces={"names": ["team-*"]}), static())
    async with stage.running() as service:
        await settled(service)
        cluster.put("elsewhere", "pull")
        cluster.edit("elsewhere", "pull", spoil)
        await anyio.sleep(60.0)
        assert gets(cluster) == []
        stage.hub.put(policy(namespaces={"names": ["*"]}))
        await until(lambda: gets(cluster) == [("elsewhere", "ok")])
        await until(lambda: ready(service) == ("False", "Conflict"))
    assert cluster.config("elsewhere", "pull")["quay.io"]["password"] == "stolen"


async def test_what_is_gone_when_it_is_read_is_made_anew(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.edit(SPACE, "pull", spoil)
        cluster.fall_silent()
        cluster.remove(SPACE, "pull")  # of which the watch says nothing
        assert await until(lambda: cluster.passwords("quay.io").get(SPACE) == "p") < 0.5
        await settled(service)
    assert gets(cluster) == [(SPACE, "NotFound")]
    assert len(cluster.writes) == 4


async def test_an_edit_that_made_a_write_come_too_late_is_read_without_a_pause(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(1))
    stage.hub.put(policy(sources=("ecr",)), minted())
    space = spaces(1)[0]
    async with stage.running() as service:
        await settled(service)
        cluster.latency = 0.05
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: any(one.verb == "replace" for one in cluster.requests))
        cluster.edit(space, "pull", spoil)  # before the server takes the write up
        took = await until(lambda: cluster.passwords("ecr.example").get(space) == "token-2")
    assert [one.result for one in cluster.writes] == ["ok", "Conflict", "ok"]
    assert took < 0.25, "a backoff would be a quarter of a second, beside three answers of a tenth"
