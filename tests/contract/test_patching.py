"""PATCH with a JSON merge patch: what it changes, and how it is refused."""

import pytest

from tests.contract.client import MERGE, PARTIAL, Api
from tests.contract.conftest import NAMESPACE, SECRETS
from tests.contract.manifests import KEY, PULL, config, pod, secret

pytestmark = pytest.mark.anyio

PULL_PATH = f"{SECRETS}/pull"
OTHER_UID = "11111111-2222-3333-4444-555555555555"


async def test_a_patch_changes_what_it_names_and_nothing_else(api: Api) -> None:
    made = await api.made(SECRETS, secret(labels={"a": "1", "b": "2"}, annotations={"n": "x"}))
    patch = {"metadata": {"labels": {"b": None, "c": "3"}}, "data": {KEY: config("two"), "more": "eA=="}}
    answer = await api.merge(PULL_PATH, patch)
    assert answer.status == 200
    assert answer.body["metadata"]["labels"] == {"a": "1", "c": "3"}
    assert answer.body["metadata"]["annotations"] == {"n": "x"}
    assert answer.body["metadata"]["uid"] == made["metadata"]["uid"]
    assert answer.body["data"] == {KEY: config("two"), "more": "eA=="}


async def test_null_takes_a_whole_map_away(api: Api) -> None:
    await api.made(SECRETS, secret(labels={"a": "1"}, annotations={"n": "x"}))
    answer = await api.merge(PULL_PATH, {"metadata": {"labels": None, "annotations": {"n": None}}})
    assert "labels" not in answer.body["metadata"]
    assert "annotations" not in answer.body["metadata"]


async def test_null_takes_owners_away(api: Api) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": OTHER_UID}
    await api.made(SECRETS, secret(ownerReferences=[owner]))
    answer = await api.merge(PULL_PATH, {"metadata": {"ownerReferences": None}})
    assert "ownerReferences" not in answer.body["metadata"]


async def test_string_data_in_a_patch_becomes_data(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.merge(PULL_PATH, {"stringData": {"more": "x"}})
    assert answer.body["data"] == {KEY: config(), "more": "eA=="}


@pytest.mark.parametrize("patch", [{}, {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"none": None}}}])
async def test_a_patch_that_changes_nothing_leaves_the_version(api: Api, patch: dict[str, object]) -> None:
    made = await api.made(SECRETS, secret(labels={"a": "1"}))
    answer = await api.merge(PULL_PATH, patch)
    assert (answer.status, answer.version) == (200, made["metadata"]["resourceVersion"])


async def test_a_patch_with_a_stale_version_is_a_conflict(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    await api.merge(PULL_PATH, {"metadata": {"labels": {"a": "1"}}})
    version = made["metadata"]["resourceVersion"]
    answer = await api.merge(PULL_PATH, {"metadata": {"resourceVersion": version, "labels": {"b": "2"}}})
    assert answer.refusal == (409, "Conflict")
    # also where nothing but the version differs
    answer = await api.merge(PULL_PATH, {"metadata": {"resourceVersion": version}})
    assert answer.refusal == (409, "Conflict")


async def test_a_patch_with_another_uid_is_invalid(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    answer = await api.merge(PULL_PATH, {"metadata": {"uid": OTHER_UID}})
    assert answer.refusal == (422, "Invalid")
    assert ("FieldValueInvalid", "metadata.uid") in answer.causes
    assert (await api.get(PULL_PATH)).version == made["metadata"]["resourceVersion"]


async def test_a_stale_version_comes_before_another_uid(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    await api.merge(PULL_PATH, {"metadata": {"labels": {"a": "1"}}})
    version = made["metadata"]["resourceVersion"]
    answer = await api.merge(PULL_PATH, {"metadata": {"uid": OTHER_UID, "resourceVersion": version}})
    assert answer.refusal == (409, "Conflict")


async def test_a_patch_of_a_missing_object_is_not_found(api: Api) -> None:
    assert (await api.merge(PULL_PATH, {"metadata": {"uid": OTHER_UID}})).refusal == (404, "NotFound")


async def test_a_patch_of_the_type_is_invalid(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.merge(PULL_PATH, {"type": "Opaque"})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueInvalid", "type")]


async def test_a_patch_of_the_name_is_a_bad_request(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.merge(PULL_PATH, {"metadata": {"name": "other"}})).refusal == (400, "BadRequest")


async def test_a_patch_that_takes_the_required_key_away_is_invalid(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.merge(PULL_PATH, {"data": {KEY: None}})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueRequired", f"data[{KEY}]")]


async def test_a_patch_can_neither_remove_nor_change_what_the_server_gave(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    meta = {"creationTimestamp": "2001-01-01T00:00:00Z", "uid": None, "labels": {"a": "1"}}
    answer = await api.merge(PULL_PATH, {"metadata": meta})
    assert answer.status == 200
    for key in ("uid", "creationTimestamp"):
        assert answer.body["metadata"][key] == made["metadata"][key]


@pytest.mark.parametrize("body", [b"{", b""])
async def test_a_patch_that_is_no_json_is_a_bad_request(api: Api, body: bytes) -> None:
    await api.made(SECRETS, secret())
    answer = await api.send("PATCH", PULL_PATH, body, content_type=MERGE)
    assert answer.refusal == (400, "BadRequest")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_a_patch_of_another_media_type_is_unsupported(api: Api, content_type: str) -> None:
    await api.made(SECRETS, secret())
    answer = await api.send("PATCH", PULL_PATH, {}, content_type=content_type)
    assert answer.refusal == (415, "UnsupportedMediaType")


async def test_the_answer_can_be_the_metadata_alone(api: Api) -> None:
    await api.made(SECRETS, secret())
    patch = {"metadata": {"labels": {"a": "1"}}}
    answer = await api.send("PATCH", PULL_PATH, patch, content_type=MERGE, accept=PARTIAL)
    assert (answer.status, answer.body["kind"]) == (200, "PartialObjectMetadata")
    assert answer.body["metadata"]["labels"] == {"a": "1"}


async def test_status_has_a_door_of_its_own(api: Api) -> None:
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    made = await api.made(pods, pod("one", labels={"a": "1"}))
    assert made["status"]["phase"] == "Pending"
    main = await api.merge(f"{pods}/one", {"status": {"phase": "Running"}, "metadata": {"labels": {"a": "2"}}})
    assert (main.body["status"]["phase"], main.body["metadata"]["labels"]) == ("Pending", {"a": "2"})
    door = await api.merge(f"{pods}/one/status", {"status": {"phase": "Running"}})
    assert door.body["status"]["phase"] == "Running"
    assert (await api.get(f"{pods}/one/status")).body["status"]["phase"] == "Running"


async def test_a_secret_of_another_type_can_be_patched_too(api: Api) -> None:
    await api.made(SECRETS, {"metadata": {"name": "pull"}, "type": "example.com/own", "data": {"k": "eA=="}})
    answer = await api.merge(PULL_PATH, {"data": {"k": "eQ=="}})
    assert (answer.body["type"], answer.body["data"]) == ("example.com/own", {"k": "eQ=="})
    assert (await api.merge(PULL_PATH, {"type": PULL})).refusal == (422, "Invalid")
