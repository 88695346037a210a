"""The hub in a cluster, the sandbox's and a real kube-apiserver's: what is read, and what keeps it from being whole."""

import anyio
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest
from msgspec import structs

from imps_multi.kube.cluster_hub import ClusterHub
from imps_multi.kube.connection import Connection
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.reflector import Support
from imps_multi.kube.shared import Shared
from imps_multi.ports import NotFound
from tests.kube.hub_world import (
    HOME,
    define,
    edit_policy,
    linked,
    make_policy,
    make_source,
    names,
    policy,
    reading,
    running,
)
from tests.kube.scripted import answer, scripted
from tests.kube.world import World
from tests.realcluster.policies import COLLECTION
from tests.realcluster.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the service runs; the transport has its own tests on both loops


READS = [
    {"apiGroups": ["images.banzaicloud.io"], "resources": ["imagepullsecrets"], "verbs": ["list", "watch"]},
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get"]},
]
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}


@pytest.fixture(params=[True, False], ids=["watch list", "list and watch"])
def support(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let hubs think that their server has WatchList, or not."""
    given = bool(request.param)
    monkeypatch.setattr("imps_multi.kube.cluster_hub.Support", lambda: Support(watch_list=given))
    return given


async def test_policies_and_named_sources_from_first_to_last(world: World, shared: Shared, *, support: bool) -> None:
    await define(world)
    await make_source(world, "one")
    await make_source(world, "unnamed")
    await make_policy(world, "a", "one", "late")
    async with running(world.connection, shared) as hub:
        first = await reading(hub, lambda found: found.whole)
        assert names(first) == {"ImagePullSecret a", "Secret one"}
        found = {one.kind: one for one in first.objects}
        assert found["ImagePullSecret"].generation == 1
        assert found["ImagePullSecret"].content["spec"] == policy("a", "one", "late")["spec"]
        assert found["Secret"].content["data"].keys() == {".dockerconfigjson"}
        assert "managedFields" not in found["Secret"].content["metadata"]

        await make_source(world, "late")
        await reading(hub, lambda found: names(found) == {"ImagePullSecret a", "Secret one", "Secret late"})
        await make_policy(world, "b", "unnamed")
        await reading(hub, lambda found: {"ImagePullSecret b", "Secret unnamed"} <= names(found))
        await edit_policy(world, "a", {"spec": {"suspend": True}})
        edited = await reading(hub, lambda found: any(one.generation == 2 for one in found.objects))
        assert edited.whole

        await world.delete(f"/api/v1/namespaces/{HOME}/secrets/late")
        await reading(hub, lambda found: "Secret late" not in names(found))
        await world.delete(f"{COLLECTION}/b")
        gone = await reading(hub, lambda found: bool(found.deleted))
        assert [one.name for one in gone.deleted] == ["b"]
        assert names(gone) == {"ImagePullSecret a", "Secret one"}
        assert hub._support.watch_list == support


async def test_a_source_that_is_named_again_is_read_again(world: World, shared: Shared) -> None:
    await define(world)
    await make_source(world, "s")
    await make_source(world, "t")
    async with running(world.connection, shared) as hub:
        await make_policy(world, "a", "s", "t")
        for named in (("s", "t"), ("s",), ("s", "t")):
            await edit_policy(world, "a", {"spec": policy("a", *named)["spec"]})
            wanted = {"ImagePullSecret a", *(f"Secret {name}" for name in named)}
            await reading(hub, lambda found, wanted=wanted: found.whole and names(found) == wanted)  # type: ignore[misc]  # bound as a default, in a loop


async def test_a_status_that_somebody_writes_is_read_as_well(world: World, shared: Shared) -> None:
    await define(world)
    made = await make_policy(world, "a")
    async with running(world.connection, shared) as hub:
        await reading(hub, lambda found: found.whole)
        await world.send("PUT", f"{COLLECTION}/a/status", {**made, "status": {"status": "Ready"}})
        await reading(hub, lambda found: found.objects[0].content.get("status") == {"status": "Ready"})


async def test_who_may_not_read_is_told_what_is_lacking_and_goes_on_by_itself(world: World, shared: Shared) -> None:
    await define(world)
    await make_policy(world, "a", "one")
    await make_source(world, "one")
    async with running(world.stranger, shared) as hub:
        first = await hub.read()
        assert not first.whole
        assert "imps-multi rbac --role hub" in first.problems[0].message
        await world.grant(READS)
        second = await reading(hub, lambda found: "ImagePullSecret a" in names(found))
        assert f'secrets" in API group "" in the namespace "{HOME}"' in second.problems[0].message
        await world.grant([*READS, SECRETS])
        await reading(hub, lambda found: found.whole and "Secret one" in names(found))


async def test_a_command_that_lists_policies_is_told_that_their_definition_is_missing(shared: Shared) -> None:
    async def nothing_there(_: BaseRequest) -> web.StreamResponse:
        return answer({"reason": "NotFound"}, status=404)

    async with scripted(nothing_there) as server, linked(Connection(server=server.url), shared) as link:
        hub = ClusterHub(link, allowed=lambda _: True, rand=lambda: 0.5)
        with pytest.raises(NotFound, match=r"is not installed; install it: imps-multi crd \|"):
            await hub.list_policies()


async def test_sources_outside_of_what_is_allowed_are_never_asked_for(world: World, shared: Shared) -> None:
    await define(world)
    await make_policy(world, "a", "one")
    await world.grant(READS)
    async with linked(world.stranger, shared) as link, anyio.create_task_group() as group:
        hub = ClusterHub(link, allowed=lambda ref: ref.namespace != HOME, rand=lambda: 0.5)
        group.start_soon(hub.run)
        assert (await reading(hub, lambda found: found.whole)).objects[0].name == "a"
        group.cancel_scope.cancel()


async def test_a_hub_that_does_not_answer_is_not_whole_and_another_connection_is_taken_up(
    world: World, shared: Shared
) -> None:
    await define(world)
    await make_policy(world, "a")
    nowhere = structs.replace(world.connection, server=f"http://127.0.0.1:{free_port()}", place="nowhere")
    async with running(nowhere, shared) as hub:
        first = await hub.read()
        assert (first.whole, first.objects) == (False, ())
        assert str(first.problems[0].place) == "nowhere"
        assert "no connection" in first.problems[0].message
        hub.link.adopt(world.connection)
        await reading(hub, lambda found: found.whole and names(found) == {"ImagePullSecret a"})


async def test_policies_can_be_listed_once(world: World, shared: Shared) -> None:
    await define(world)
    for name in "ab":
        await make_policy(world, name)
    async with linked(world.connection, shared) as link:
        hub = ClusterHub(link, allowed=lambda _: True, rand=lambda: 0.5)
        assert {one.name for one in await hub.list_policies()} == {"a", "b"}


async def test_an_equal_connection_is_not_adopted(world: World, shared: Shared) -> None:
    async with linked(world.connection, shared) as link:
        before = await link.transport()
        link.adopt(structs.replace(world.connection, place="elsewhere"))
        assert await link.transport() is before
        link.adopt(world.stranger)
        assert await link.transport() is not before


def test_a_link_is_made_without_a_loop(shared: Shared) -> None:
    assert HubLink(_plain(), request_timeout=1.0, shared=shared).place == "here"


def _plain() -> Connection:
    return Connection(server="http://127.0.0.1:1", place="here")
