"""PUT: what it needs, what it changes, and what it never does."""

import pytest

from tests.contract.client import PARTIAL, Api
from tests.contract.conftest import NAMESPACE, SECRETS
from tests.contract.manifests import KEY, PULL, config, lease, opaque, secret

pytestmark = pytest.mark.anyio

PULL_PATH = f"{SECRETS}/pull"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


async def test_a_put_replaces_all_but_the_identity(api: Api) -> None:
    made = await api.made(SECRETS, secret(labels={"a": "1"}, annotations={"b": "2"}))
    answer = await api.put(PULL_PATH, secret(password="two", labels={"c": "3"}))
    assert answer.status == 200
    assert answer.body["data"] == {KEY: config("two")}
    meta = answer.body["metadata"]
    assert meta["labels"] == {"c": "3"}
    assert "annotations" not in meta
    assert meta["uid"] == made["metadata"]["uid"]
    assert meta["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert int(meta["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_a_put_with_the_version_that_is_there_is_taken(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    version, uid = made["metadata"]["resourceVersion"], made["metadata"]["uid"]
    answer = await api.put(PULL_PATH, secret(password="two", resourceVersion=version, uid=uid))
    assert answer.status == 200


async def test_a_put_with_a_stale_version_is_a_conflict_and_changes_nothing(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    changed = await api.put(PULL_PATH, secret(password="two"))
    stale = secret(password="three", resourceVersion=made["metadata"]["resourceVersion"])
    answer = await api.put(PULL_PATH, stale)
    assert answer.refusal == (409, "Conflict")
    assert answer.body["message"] == (
        'Operation cannot be fulfilled on secrets "pull": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert answer.body["details"] == {"name": "pull", "kind": "secrets"}
    assert (await api.get(PULL_PATH)).version == changed.version


async def test_a_put_with_another_uid_is_a_conflict(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.put(PULL_PATH, secret(password="two", uid="11111111-2222-3333-4444-555555555555"))
    assert answer.refusal == (409, "Conflict")
    assert "Precondition failed: UID in precondition: 11111111-" in answer.body["message"]


async def test_a_put_of_a_missing_object_does_not_create_it(api: Api) -> None:
    assert (await api.put(PULL_PATH, secret())).refusal == (404, "NotFound")
    answer = await api.put(PULL_PATH, secret(uid="11111111-2222-3333-4444-555555555555"))
    assert answer.refusal == (404, "NotFound")
    assert (await api.put(PULL_PATH, secret(resourceVersion="5"))).refusal == (404, "NotFound")


@pytest.mark.parametrize("name", ["other", ""])
async def test_a_put_needs_the_name_of_the_url(api: Api, name: str) -> None:
    await api.made(SECRETS, secret())
    assert (await api.put(PULL_PATH, secret(name))).refusal == (400, "BadRequest")


async def test_a_put_into_another_namespace_than_that_of_the_url_is_a_bad_request(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.put(PULL_PATH, secret(namespace="default"))).refusal == (400, "BadRequest")


async def test_a_put_that_changes_nothing_leaves_the_version(api: Api) -> None:
    made = await api.made(SECRETS, secret(labels={"a": "1"}))
    version = made["metadata"]["resourceVersion"]
    for same in (secret(labels={"a": "1"}), made, secret(labels={"a": "1"}, resourceVersion=version, annotations={})):
        answer = await api.put(PULL_PATH, same)
        assert (answer.status, answer.version) == (200, version)


async def test_a_secret_keeps_its_type(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.put(PULL_PATH, opaque("pull", type="kubernetes.io/basic-auth", data={"username": "eA=="}))
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueInvalid", "type")]
    assert "field is immutable" in answer.body["message"]
    # a type that is left out means Opaque
    answer = await api.put(PULL_PATH, opaque("pull", data={KEY: config()}))
    assert answer.causes == [("FieldValueInvalid", "type")]


async def test_the_content_is_checked_as_on_a_create(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.put(PULL_PATH, opaque("pull", type=PULL, data={"other": "eA=="}))
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueRequired", f"data[{KEY}]")]
    answer = await api.put(PULL_PATH, opaque("pull", type=PULL, data={KEY: "W10="}))
    assert "<secret contents redacted>" in answer.body["message"]


async def test_an_immutable_secret_keeps_its_data_but_not_its_labels(api: Api) -> None:
    await api.made(SECRETS, secret() | {"immutable": True})
    answer = await api.put(PULL_PATH, secret(password="two") | {"immutable": True})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueForbidden", "data")]
    answer = await api.put(PULL_PATH, secret())
    assert answer.causes == [("FieldValueForbidden", "immutable")]
    answer = await api.put(PULL_PATH, secret(labels={"a": "1"}) | {"immutable": True})
    assert answer.body["metadata"]["labels"] == {"a": "1"}


async def test_a_lease_needs_its_version(api: Api) -> None:
    made = await api.made(LEASES, lease("leader", "one"))
    answer = await api.put(f"{LEASES}/leader", lease("leader", "two"))
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueInvalid", "metadata.resourceVersion")]
    version = made["metadata"]["resourceVersion"]
    holder = lease("leader", "two")
    holder["metadata"]["resourceVersion"] = version
    assert (await api.put(f"{LEASES}/leader", holder)).status == 200
    assert (await api.put(f"{LEASES}/leader", holder)).refusal == (409, "Conflict")


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    answer = await api.put(PULL_PATH, secret(password="two"), dryRun="All")
    assert (answer.status, answer.body["data"]) == (200, {KEY: config("two")})
    assert (await api.get(PULL_PATH)).body["data"] == made["data"]


async def test_the_answer_can_be_the_metadata_alone(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.send("PUT", PULL_PATH, secret(password="two"), accept=PARTIAL)
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert "data" not in answer.body


async def test_a_namespace_keeps_its_finalizers_and_its_name_label(api: Api) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}"
    answer = await api.put(path, {"metadata": {"name": NAMESPACE, "labels": {"team": "a"}}})
    assert answer.status == 200
    assert answer.body["metadata"]["labels"] == {"team": "a", "kubernetes.io/metadata.name": NAMESPACE}
    assert answer.body["spec"] == {"finalizers": ["kubernetes"]}
    assert answer.body["status"] == {"phase": "Active"}
