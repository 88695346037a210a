"""WATCH: what a stream starts with, what it says, and how it ends."""

import pytest

from tests.contract.client import Api, Server
from tests.contract.conftest import EVENTS, NAMESPACE, SECRETS
from tests.contract.manifests import KEY, config, event, namespace, opaque, secret

pytestmark = pytest.mark.anyio

ALL = "/api/v1/secrets"
BY_NAME = {"fieldSelector": "metadata.name=pull"}
STREAMED = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}


async def now(api: Api, path: str = SECRETS) -> str:
    return (await api.get(path)).version


async def test_a_life_is_told_in_whole_objects_and_rising_versions(api: Api) -> None:
    async with api.watch(SECRETS, resourceVersion=await now(api)) as stream:
        made = await api.made(SECRETS, secret())
        changed = await api.put(f"{SECRETS}/pull", secret(password="two"))
        await api.delete(f"{SECRETS}/pull")
        added, modified, deleted = [await stream.event() for _ in range(3)]
    assert added is not None
    assert modified is not None
    assert deleted is not None
    assert added["type"] == "ADDED"
    assert added["object"]["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert (added["object"]["kind"], added["object"]["data"]) == ("Secret", {KEY: config()})
    assert (modified["type"], modified["object"]["metadata"]["resourceVersion"]) == ("MODIFIED", changed.version)
    assert (deleted["type"], deleted["object"]["data"]) == ("DELETED", {KEY: config("two")})
    # the last state, at the version of the deletion
    assert int(deleted["object"]["metadata"]["resourceVersion"]) > int(changed.version)


async def test_a_watch_resumes_after_a_version(api: Api) -> None:
    first = await api.made(SECRETS, opaque("a"))
    await api.made(SECRETS, opaque("b"))
    await api.delete(f"{SECRETS}/a")
    async with api.watch(SECRETS, resourceVersion=first["metadata"]["resourceVersion"]) as stream:
        assert [await stream.change() for _ in range(2)] == [("ADDED", "b"), ("DELETED", "a")]


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
async def test_a_watch_from_no_version_begins_with_what_is_there(api: Api, query: dict[str, str]) -> None:
    for name in "ab":
        await api.made(SECRETS, opaque(name))
    await now(api)  # a real server's cache has caught up once it has answered a consistent list
    async with api.watch(SECRETS, **query) as stream:
        assert [await stream.change() for _ in range(2)] == [("ADDED", "a"), ("ADDED", "b")]
        await api.made(SECRETS, opaque("c"))
        assert await stream.change() == ("ADDED", "c")


async def test_a_write_that_changes_nothing_is_not_told(api: Api) -> None:
    await api.made(SECRETS, secret())
    async with api.watch(SECRETS, resourceVersion=await now(api)) as stream:
        await api.put(f"{SECRETS}/pull", secret())
        await api.merge(f"{SECRETS}/pull", {"metadata": {"labels": {"none": None}}})
        await api.made(SECRETS, opaque("next"))
        assert await stream.change() == ("ADDED", "next")


async def test_a_watch_by_name_hears_of_that_name_in_every_namespace(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("team-b"))
    async with api.watch(ALL, resourceVersion=await now(api, ALL), **BY_NAME) as stream:
        await api.made(SECRETS, opaque("other"))
        for where in (NAMESPACE, "team-b"):
            await api.made(f"/api/v1/namespaces/{where}/secrets", secret())
        seen = [await stream.event() for _ in range(2)]
    assert [each["object"]["metadata"]["namespace"] for each in seen if each] == [NAMESPACE, "team-b"]


async def test_one_object_is_shown_and_not_watched(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.get(f"{SECRETS}/pull", watch="1")
    assert (answer.status, answer.body["kind"]) == (200, "Secret")


async def test_a_watch_of_a_namespace_hears_of_no_other(api: Api) -> None:
    async with api.watch(SECRETS, resourceVersion=await now(api)) as stream:
        await api.made("/api/v1/namespaces/default/secrets", opaque("elsewhere"))
        await api.made(SECRETS, opaque("here"))
        assert await stream.change() == ("ADDED", "here")


async def test_an_object_that_leaves_the_selection_is_deleted_and_returns_as_added(api: Api) -> None:
    await api.made(SECRETS, secret(labels={"mine": "yes"}))
    async with api.watch(ALL, resourceVersion=await now(api, ALL), labelSelector="mine=yes") as stream:
        left = await api.merge(f"{SECRETS}/pull", {"metadata": {"labels": {"mine": None}}})
        gone = await stream.event()
        assert gone is not None
        assert gone["type"] == "DELETED"
        # as it last was when it matched, at the version at which it stopped
        assert gone["object"]["metadata"]["labels"] == {"mine": "yes"}
        assert gone["object"]["metadata"]["resourceVersion"] == left.version
        await api.put(f"{SECRETS}/pull", secret(password="two"))
        await api.merge(f"{SECRETS}/pull", {"metadata": {"labels": {"mine": "yes"}}})
        back = await stream.event()
        assert back is not None
        assert (back["type"], back["object"]["data"]) == ("ADDED", {KEY: config("two")})


async def test_initial_events_end_with_a_marked_bookmark(api: Api) -> None:
    for name in "ba":
        await api.made(SECRETS, opaque(name))
    made = await api.made(SECRETS, secret())
    async with api.watch(ALL, **STREAMED, **BY_NAME) as stream:
        names, mark = await stream.initial()
        assert names == ["pull"]
        assert (mark["kind"], mark["apiVersion"]) == ("Secret", "v1")
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(mark["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
        await api.delete(f"{SECRETS}/pull")
        assert await stream.change() == ("DELETED", "pull")


async def test_initial_events_of_nothing_are_the_bookmark_alone(api: Api) -> None:
    async with api.watch(SECRETS, **STREAMED) as stream:
        assert (await stream.initial())[0] == []


async def test_initial_events_come_in_the_order_of_a_list(api: Api) -> None:
    for name in ("b", "a.b", "a", "a-b"):
        await api.made(SECRETS, opaque(name))
    async with api.watch(SECRETS, **STREAMED) as stream:
        assert (await stream.initial())[0] == (await api.get(SECRETS)).names


async def test_initial_events_are_at_least_as_new_as_asked(api: Api) -> None:
    await api.made(SECRETS, secret())
    version = await now(api)
    async with api.watch(SECRETS, **STREAMED, resourceVersion=version) as stream:
        names, mark = await stream.initial()
    assert names == ["pull"]
    assert int(mark["metadata"]["resourceVersion"]) >= int(version)


async def test_without_bookmarks_no_mark_ends_the_initial_events(api: Api) -> None:
    await api.made(SECRETS, secret())
    query = {**STREAMED, "allowWatchBookmarks": "false"}
    async with api.watch(SECRETS, **query) as stream:
        first = await stream.event()
        await api.made(SECRETS, opaque("next"))
        second = await stream.event()
    assert first is not None
    assert second is not None
    assert [first["object"]["metadata"]["name"], second["object"]["metadata"]["name"]] == ["pull", "next"]


async def test_initial_events_can_be_declined(api: Api) -> None:
    await api.made(SECRETS, secret())
    query = {**STREAMED, "sendInitialEvents": "false", "resourceVersion": await now(api)}
    async with api.watch(SECRETS, **query) as stream:
        await api.made(SECRETS, opaque("next"))
        assert await stream.change() == ("ADDED", "next")


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "NotOlderThan"},
    ],
)
async def test_watch_options_that_contradict_each_other_are_invalid(api: Api, query: dict[str, str]) -> None:
    answer = await api.get(SECRETS, watch="1", **query)
    assert answer.refusal == (422, "Invalid")
    assert answer.body["details"]["kind"] == "ListOptions"


async def test_selectors_outside_the_grammar_are_a_bad_request(api: Api) -> None:
    assert (await api.get(SECRETS, watch="1", labelSelector="a=b=c")).refusal == (400, "BadRequest")
    assert (await api.get(SECRETS, watch="1", fieldSelector="data=x")).refusal == (400, "BadRequest")


async def test_a_forgotten_version_is_an_expired_error_event_on_an_accepted_stream(server: Server, api: Api) -> None:
    old = await api.made(EVENTS, event("a"))
    for name in "bc":  # the version at which it is compacted is kept
        await api.made(EVENTS, event(name))
    await server.compact()
    async with api.watch(EVENTS, resourceVersion=old["metadata"]["resourceVersion"]) as stream:
        error = await stream.event()
        assert error is not None
        assert error["type"] == "ERROR"
        assert (error["object"]["kind"], error["object"]["code"]) == ("Status", 410)
        assert error["object"]["reason"] == "Expired"
        assert await stream.event() is None


async def test_a_watch_ends_in_order_when_its_time_is_up(api: Api) -> None:
    async with api.watch(SECRETS, resourceVersion=await now(api), timeoutSeconds="1") as stream:
        assert await stream.event() is None


async def test_a_namespace_is_told_to_terminate_and_to_be_gone(api: Api) -> None:
    path = "/api/v1/namespaces"
    async with api.watch(path, resourceVersion=await now(api, path), labelSelector="watched") as stream:
        made = await api.made(path, namespace("short", labels={"watched": "yes"}))
        await api.delete(f"{path}/short")
        await api.put(f"{path}/short/finalize", {**made, "metadata": {"name": "short"}, "spec": {"finalizers": []}})
        assert await stream.change() == ("ADDED", "short")
        terminating = await stream.event()
        assert terminating is not None
        assert (terminating["type"], terminating["object"]["status"]["phase"]) == ("MODIFIED", "Terminating")
        assert await stream.change() == ("DELETED", "short")
