"""What watches tell of a cluster's pods, the sandbox's and a real kube-apiserver's, with WatchList and without."""

from typing import Any

import pytest

from imps_multi.kube.reflector import Support
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.observed import WatchEvent
from imps_multi.model.pods import PodGone, PodsAsked, PodSeen, PodsReplaced
from imps_multi.model.selection import Operator, PodField, PodRule, Requirement, Selector
from imps_multi.ports import Forbidden, Resume, WatchPods
from tests.kube.manifests import A
from tests.kube.scripted import client_of
from tests.kube.watching import watching
from tests.kube.world import MERGE_PATCH, World

pytestmark = pytest.mark.anyio

WEB = PodRule(PodField.LABELS, Selector((Requirement("app", Operator.IN, frozenset({"web", ""})),)))
NOTED = PodRule(PodField.ANNOTATIONS, Selector((Requirement("note", Operator.IN, frozenset({"https://a b/ä"})),)))
NARROW, WIDE = PodsAsked((WEB,)), PodsAsked((NOTED, WEB))
LIST_AND_WATCH = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]


@pytest.fixture(params=[True, False], ids=["watch list", "list and watch"])
def watch_list(request: pytest.FixtureRequest, client: TargetClient) -> bool:
    """Let the client think that the server has WatchList, or not."""
    supported = bool(request.param)
    client._support = Support(watch_list=supported)
    return supported


def pod(name: str, **meta: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "example.com/x"}], "automountServiceAccountToken": False}
    return {"metadata": {"name": name, **meta}, "spec": spec}


async def run(world: World, name: str, phase: str = "Running", **meta: Any) -> None:
    await world.create(A, pod(name, **meta), "pods")
    await finish(world, name, phase)


async def finish(world: World, name: str, phase: str = "Succeeded") -> None:
    await world.send("PATCH", f"{path(name)}/status", {"status": {"phase": phase}}, MERGE_PATCH)


async def edit(world: World, name: str, **meta: Any) -> None:
    await world.send("PATCH", path(name), {"metadata": meta}, MERGE_PATCH)


def path(name: str) -> str:
    return f"/api/v1/namespaces/{A}/pods/{name}"


def about(name: str) -> Any:
    """Return a test for an event about a pod."""
    return lambda event: isinstance(event, PodSeen | PodGone) and event.name == name


async def account(world: World) -> None:
    """Make what a real API server wants to be there before a pod."""
    await world.create(A, {"metadata": {"name": "default"}}, "serviceaccounts")


def brief(event: WatchEvent) -> tuple[str, int]:
    """Return name and matches; 0 of one that is gone."""
    assert isinstance(event, PodSeen | PodGone)
    assert event.namespace == A
    return event.name, event.matches if isinstance(event, PodSeen) else 0


async def test_unfinished_pods_that_match_from_first_to_last(
    world: World, client: TargetClient, *, watch_list: bool
) -> None:
    await account(world)
    await run(world, "web-1", labels={"app": "web"})
    await run(world, "done", "Succeeded", labels={"app": "web"})
    await run(world, "db-1", labels={"app": "db"})
    async with watching(client, WatchPods(NARROW)) as told:
        replaced = await told.kind(PodsReplaced)
        assert isinstance(replaced, PodsReplaced)
        assert replaced.pods == ((A, "web-1", 1),)

        await world.create(A, pod("web-2", labels={"app": ""}), "pods")
        assert brief(await told.next(about("web-2"))) == ("web-2", 1)
        await edit(world, "db-1", labels={"app": "web"})
        assert brief(await told.next(about("db-1"))) == ("db-1", 1)
        await edit(world, "web-1", labels={"app": "other"})
        assert brief(await told.next(about("web-1"))) == ("web-1", 0)

        await finish(world, "web-2")
        assert brief(await told.next(about("web-2"))) == ("web-2", 0), "a finished pod is told as deleted"
        await finish(world, "db-1", "Failed")
        assert brief(await told.next(about("db-1"))) == ("db-1", 0)
        assert watch_list is client._support.watch_list


async def test_annotations_are_looked_at_here_with_values_of_any_kind(
    world: World, client: TargetClient, *, watch_list: bool
) -> None:
    await account(world)
    await run(world, "noted", labels={"app": "web"}, annotations={"note": "https://a b/ä"})
    await run(world, "plain")
    await run(world, "done", "Failed", annotations={"note": "https://a b/ä"})
    async with watching(client, WatchPods(WIDE)) as told:
        replaced = await told.kind(PodsReplaced)
        assert isinstance(replaced, PodsReplaced)
        assert replaced.pods == ((A, "noted", 3),)
        await edit(world, "plain", annotations={"note": "https://a b/ä"})
        assert brief(await told.next(about("plain"))) == ("plain", 1)
        await edit(world, "noted", annotations={"note": None})
        assert brief(await told.next(about("noted"))) == ("noted", 2)
        await finish(world, "noted")
        assert brief(await told.next(about("noted"))) == ("noted", 0)
        await world.delete(f"{path('plain')}?gracePeriodSeconds=0")
        assert brief(await told.next(lambda event: brief(event) == ("plain", 0))) == ("plain", 0)
        assert watch_list is client._support.watch_list


async def test_a_watch_of_pods_goes_on_where_the_last_one_was(world: World, client: TargetClient) -> None:
    await account(world)
    async with watching(client, WatchPods(NARROW)) as told:
        replaced = await told.kind(PodsReplaced)
        assert isinstance(replaced, PodsReplaced)
    await run(world, "web-1", labels={"app": "web"})
    async with watching(client, WatchPods(NARROW), Resume(replaced.resource_version)) as told:
        assert brief(await told.next(about("web-1"))) == ("web-1", 1)
        assert not any(isinstance(event, PodsReplaced) for event in told.events)


async def test_pods_need_no_more_than_list_and_watch(world: World, shared: Shared) -> None:
    async with client_of(world.stranger, shared, request_timeout=15.0) as stranger:
        with pytest.raises(Forbidden, match="pods"):
            await stranger.watch(WatchPods(NARROW), None, lambda _: None)
        await world.grant(LIST_AND_WATCH)
        async with watching(stranger, WatchPods(NARROW)) as told:
            assert isinstance(await told.kind(PodsReplaced), PodsReplaced)
