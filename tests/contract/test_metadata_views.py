"""PartialObjectMetadata: the same answers without the content."""

import pytest

from tests.contract.client import PARTIAL, PARTIAL_LIST, Api, Server
from tests.contract.conftest import EVENTS, SECRETS
from tests.contract.manifests import event, secret

pytestmark = pytest.mark.anyio

STREAMED = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}


async def test_an_object_is_its_metadata(api: Api) -> None:
    made = await api.made(SECRETS, secret(labels={"a": "1"}, annotations={"b": "2"}))
    answer = await api.get(f"{SECRETS}/pull", accept=PARTIAL)
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert set(answer.body) == {"kind", "apiVersion", "metadata"}
    for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels", "annotations"):
        assert answer.body["metadata"][key] == made["metadata"][key]


async def test_a_list_is_of_metadata_in_pages(api: Api) -> None:
    for name in "abc":
        await api.made(SECRETS, secret(name))
    first = await api.get(SECRETS, accept=PARTIAL_LIST, limit="2")
    assert (first.body["kind"], first.body["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert (first.names, first.body["metadata"]["remainingItemCount"]) == (["a", "b"], 1)
    assert all("data" not in item for item in first.body["items"])
    token = first.body["metadata"]["continue"]
    assert (await api.get(SECRETS, accept=PARTIAL_LIST, limit="2", **{"continue": token})).names == ["c"]


@pytest.mark.parametrize("accept", [f"{PARTIAL};drop=metadata.managedFields", f"{PARTIAL},application/json"])
async def test_parameters_and_alternatives_that_are_not_needed_do_no_harm(api: Api, accept: str) -> None:
    await api.made(SECRETS, secret())
    assert (await api.get(f"{SECRETS}/pull", accept=accept)).body["kind"] == "PartialObjectMetadata"


async def test_a_form_that_is_not_known_falls_back_to_the_next(api: Api) -> None:
    await api.made(SECRETS, secret())
    accept = "application/json;as=Nonsense;g=meta.k8s.io;v=v1,application/json"
    assert (await api.get(f"{SECRETS}/pull", accept=accept)).body["kind"] == "Secret"


async def test_the_form_of_a_list_is_not_that_of_an_object(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.get(SECRETS, accept=PARTIAL)).refusal == (406, "NotAcceptable")
    assert (await api.get(f"{SECRETS}/pull", accept=PARTIAL_LIST)).refusal == (406, "NotAcceptable")


async def test_what_cannot_be_served_is_not_acceptable(api: Api) -> None:
    assert (await api.get(SECRETS, accept="text/html")).refusal == (406, "NotAcceptable")


async def test_refusals_and_deletions_are_a_status_all_the_same(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.get(f"{SECRETS}/none", accept=PARTIAL)).refusal == (404, "NotFound")
    answer = await api.send("DELETE", f"{SECRETS}/pull", accept=PARTIAL)
    assert (answer.status, answer.body["kind"]) == (200, "Status")


async def test_a_watch_tells_metadata_and_its_bookmarks_too(api: Api) -> None:
    await api.made(SECRETS, secret(labels={"a": "1"}))
    async with api.watch(SECRETS, accept=PARTIAL, **STREAMED) as stream:
        first = await stream.event()
        mark = await stream.event()
        await api.delete(f"{SECRETS}/pull")
        last = await stream.event()
    assert first is not None
    assert mark is not None
    assert last is not None
    assert (first["type"], mark["type"], last["type"]) == ("ADDED", "BOOKMARK", "DELETED")
    for told in (first, mark, last):
        assert told["object"]["kind"] == "PartialObjectMetadata"
        assert set(told["object"]) == {"kind", "apiVersion", "metadata"}
    assert last["object"]["metadata"]["labels"] == {"a": "1"}
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_life_is_told_in_metadata_at_the_versions_that_the_writes_were_answered_with(api: Api) -> None:
    """What changes the data alone has its event too, with a version and nothing to see."""
    start = (await api.get(SECRETS)).version
    by_name = {"fieldSelector": "metadata.name=pull", "resourceVersion": start}
    async with api.watch("/api/v1/secrets", accept=f"{PARTIAL},application/json", **by_name) as stream:
        labels = {"a": "1"}
        answers = [await api.made(SECRETS, secret(labels=labels))]
        answers.append((await api.put(f"{SECRETS}/pull", secret(password="two", labels=labels))).body)
        answers.append((await api.merge(f"{SECRETS}/pull", {"metadata": {"labels": None}})).body)
        await api.delete(f"{SECRETS}/pull")
        told = [one for one in [await stream.event() for _ in range(4)] if one is not None]
    assert [one["type"] for one in told] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert all(set(one["object"]) == {"kind", "apiVersion", "metadata"} for one in told)
    assert [one["object"]["metadata"] for one in told[:3]] == [answer["metadata"] for answer in answers]
    last, gone = (one["object"]["metadata"] for one in told[2:])
    assert int(gone.pop("resourceVersion")) > int(last.pop("resourceVersion"))
    assert gone == last


async def test_a_watch_of_metadata_says_in_a_status_that_a_version_is_forgotten(server: Server, api: Api) -> None:
    old = await api.made(EVENTS, event("a"))
    for name in "bc":  # the version at which it is compacted is kept
        await api.made(EVENTS, event(name))
    await server.compact()
    async with api.watch(EVENTS, accept=PARTIAL, resourceVersion=old["metadata"]["resourceVersion"]) as stream:
        error = await stream.event()
    assert error is not None
    assert (error["type"], error["object"]["kind"], error["object"]["code"]) == ("ERROR", "Status", 410)
