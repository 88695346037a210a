"""POST: what is taken, how it is completed, and every way in which it is refused."""

import pytest

from tests.contract.client import PARTIAL, Api, Document
from tests.contract.conftest import NAMESPACE, SECRETS
from tests.contract.manifests import KEY, PULL, config, encoded, namespace, opaque, secret

pytestmark = pytest.mark.anyio

NAMESPACES = "/api/v1/namespaces"


async def test_a_new_object_gets_an_identity_a_version_and_an_age(api: Api) -> None:
    first = await api.made(SECRETS, secret("one"))
    second = await api.made(SECRETS, secret("two"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert int(first["metadata"]["resourceVersion"]) < int(second["metadata"]["resourceVersion"])
    assert first["metadata"]["namespace"] == NAMESPACE


async def test_kind_and_api_version_may_be_left_out(api: Api) -> None:
    made = await api.made(SECRETS, {"metadata": {"name": "plain"}})
    assert (made["kind"], made["apiVersion"], made["type"]) == ("Secret", "v1", "Opaque")


async def test_the_uid_and_age_that_a_client_sends_are_not_taken(api: Api) -> None:
    sent = secret("own", uid="11111111-2222-3333-4444-555555555555", creationTimestamp="2001-01-01T00:00:00Z")
    made = await api.made(SECRETS, sent)
    assert made["metadata"]["uid"] != sent["metadata"]["uid"]
    assert not made["metadata"]["creationTimestamp"].startswith("2001")


async def test_an_existing_name_already_exists_and_is_not_touched(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    answer = await api.post(SECRETS, secret(password="two"))
    assert answer.refusal == (409, "AlreadyExists")
    assert answer.body["message"] == 'secrets "pull" already exists'
    assert answer.body["details"] == {"name": "pull", "kind": "secrets"}
    assert (await api.get(f"{SECRETS}/pull")).version == made["metadata"]["resourceVersion"]


async def test_a_missing_namespace_is_what_is_not_found(api: Api) -> None:
    answer = await api.post(f"{NAMESPACES}/none/secrets", secret())
    assert answer.refusal == (404, "NotFound")
    assert answer.body["message"] == 'namespaces "none" not found'
    assert answer.body["details"] == {"name": "none", "kind": "namespaces"}


async def test_a_terminating_namespace_refuses_what_is_new_with_its_cause(api: Api) -> None:
    await api.made(SECRETS, secret("old"))
    assert (await api.delete(f"{NAMESPACES}/{NAMESPACE}")).status == 200
    answer = await api.post(SECRETS, secret())
    assert answer.refusal == (403, "Forbidden")
    why = f"unable to create new content in namespace {NAMESPACE} because it is being terminated"
    assert answer.body["message"] == f'secrets "pull" is forbidden: {why}'
    assert answer.body["details"] == {
        "name": "pull",
        "kind": "secrets",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {NAMESPACE} is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }
    # also where the name is taken: admission comes before storage
    assert (await api.post(SECRETS, secret("old"))).refusal == (403, "Forbidden")


async def test_what_is_in_a_terminating_namespace_can_still_be_changed_and_deleted(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.delete(f"{NAMESPACES}/{NAMESPACE}")).body["status"]["phase"] == "Terminating"
    assert (await api.put(f"{SECRETS}/pull", secret(password="two"))).status == 200
    assert (await api.delete(f"{SECRETS}/pull")).status == 200


async def test_another_namespace_than_that_of_the_url_is_a_bad_request(api: Api) -> None:
    answer = await api.post(SECRETS, secret(namespace="default"))
    assert answer.refusal == (400, "BadRequest")


async def test_another_kind_than_that_of_the_url_is_a_bad_request(api: Api) -> None:
    answer = await api.post(SECRETS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    assert answer.refusal == (400, "BadRequest")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
async def test_a_body_that_is_no_json_object_is_a_bad_request(api: Api, body: bytes) -> None:
    assert (await api.post(SECRETS, body)).refusal == (400, "BadRequest")


async def test_metadata_of_another_type_is_a_bad_request(api: Api) -> None:
    answer = await api.post(SECRETS, {"metadata": {"name": "x", "labels": {"a": 1}}})
    assert answer.refusal == (400, "BadRequest")


async def test_a_body_of_another_media_type_is_unsupported(api: Api) -> None:
    answer = await api.send("POST", SECRETS, b"{}", content_type="text/plain")
    assert answer.refusal == (415, "UnsupportedMediaType")


async def test_a_resource_version_on_a_new_object_is_an_internal_error(api: Api) -> None:
    answer = await api.post(SECRETS, secret(resourceVersion="5"))
    assert answer.status == 500
    assert answer.body["message"] == "resourceVersion should not be set on objects to be created"


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "dot.", "a" * 254, "sla/sh"])
async def test_a_name_that_is_no_subdomain_is_invalid(api: Api, name: str) -> None:
    answer = await api.post(SECRETS, opaque(name))
    assert answer.refusal == (422, "Invalid")
    assert ("FieldValueInvalid", "metadata.name") in answer.causes


@pytest.mark.parametrize("name", ["with.dot", "a" * 64])
async def test_a_namespace_name_must_be_a_label(api: Api, name: str) -> None:
    answer = await api.post(NAMESPACES, namespace(name))
    assert answer.refusal == (422, "Invalid")
    assert answer.body["details"]["kind"] == "Namespace"


async def test_a_name_is_required(api: Api) -> None:
    answer = await api.post(SECRETS, {"metadata": {}})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueRequired", "metadata.name")]


async def test_a_name_is_generated_from_a_prefix(api: Api) -> None:
    made = await api.made(SECRETS, {"metadata": {"generateName": "pull-"}})
    assert made["metadata"]["name"].startswith("pull-")
    assert len(made["metadata"]["name"]) == len("pull-") + 5
    assert made["metadata"]["generateName"] == "pull-"


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"labels": {"-bad": "x"}}, "metadata.labels"),
        ({"labels": {"ok": "not ok"}}, "metadata.labels"),
        ({"labels": {"ok": "x" * 64}}, "metadata.labels"),
        ({"labels": {"a/b/c": "x"}}, "metadata.labels"),
        ({"annotations": {"bad key": "x"}}, "metadata.annotations"),
    ],
)
async def test_labels_and_annotation_keys_are_checked(api: Api, meta: Document, field: str) -> None:
    answer = await api.post(SECRETS, {"metadata": {"name": "x", **meta}})
    assert answer.refusal == (422, "Invalid")
    assert [cause[1] for cause in answer.causes] == [field]


async def test_an_annotation_may_hold_anything_up_to_256_kib(api: Api) -> None:
    made = await api.made(SECRETS, {"metadata": {"name": "x", "annotations": {"Example.COM/k": "ü\n" * 1000}}})
    assert made["metadata"]["annotations"] == {"Example.COM/k": "ü\n" * 1000}
    answer = await api.post(SECRETS, {"metadata": {"name": "y", "annotations": {"k": "x" * (256 * 1024)}}})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueTooLong", "metadata.annotations")]


@pytest.mark.parametrize("content", ["no json", "[]", '"text"', "", '{"auths":'])
async def test_a_docker_config_that_is_no_json_object_is_invalid_and_not_shown(api: Api, content: str) -> None:
    answer = await api.post(SECRETS, {"metadata": {"name": "x"}, "type": PULL, "data": {KEY: encoded(content)}})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueInvalid", f"data[{KEY}]")]
    assert "<secret contents redacted>" in answer.body["message"]


@pytest.mark.parametrize("content", ["{}", '{"auths":{}}', '{"anything":[1]}', " {} "])
async def test_a_docker_config_is_any_json_object(api: Api, content: str) -> None:
    await api.made(SECRETS, {"metadata": {"name": "x"}, "type": PULL, "data": {KEY: encoded(content)}})


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (PULL, [KEY]),
        ("kubernetes.io/dockercfg", [".dockercfg"]),
        ("kubernetes.io/basic-auth", ["username", "password"]),
        ("kubernetes.io/ssh-auth", ["ssh-privatekey"]),
        ("kubernetes.io/tls", ["tls.crt", "tls.key"]),
    ],
)
async def test_the_keys_of_a_type_are_required(api: Api, kind: str, keys: list[str]) -> None:
    answer = await api.post(SECRETS, {"metadata": {"name": "x"}, "type": kind, "data": {"other": "eA=="}})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueRequired", f"data[{key}]") for key in keys]


@pytest.mark.parametrize("key", ["sp ace", "sla/sh", "..", "ü"])
async def test_a_data_key_is_of_few_characters(api: Api, key: str) -> None:
    answer = await api.post(SECRETS, {"metadata": {"name": "x"}, "data": {key: "eA=="}})
    assert answer.refusal == (422, "Invalid")
    assert answer.causes[0] == ("FieldValueInvalid", f"data[{key}]")


async def test_a_secret_of_more_than_a_mebibyte_is_invalid(api: Api) -> None:
    answer = await api.post(SECRETS, opaque("big", stringData={"k": "x" * (1024 * 1024 + 1)}))
    assert answer.refusal == (422, "Invalid")
    assert answer.causes == [("FieldValueTooLong", "data")]
    await api.made(SECRETS, opaque("full", stringData={"k": "x" * (1024 * 1024)}))


async def test_a_body_of_more_than_three_mebibytes_is_too_large(api: Api) -> None:
    answer = await api.post(SECRETS, opaque("huge", stringData={"k": "x" * (3 * 1024 * 1024)}))
    assert answer.refusal == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize("value", ["no base64!", "e30", "e3=0"])
async def test_data_that_is_no_base64_is_a_bad_request(api: Api, value: str) -> None:
    answer = await api.post(SECRETS, opaque("x", data={"k": value}))
    assert answer.refusal == (400, "BadRequest")


async def test_string_data_is_merged_into_data_and_not_kept(api: Api) -> None:
    made = await api.made(SECRETS, opaque("x", data={"a": "eA==", "b": "eQ=="}, stringData={"b": "over", "c": "new"}))
    assert made["data"] == {"a": "eA==", "b": encoded("over"), "c": encoded("new")}
    assert "stringData" not in made


async def test_fields_that_a_secret_does_not_have_are_dropped(api: Api) -> None:
    made = await api.made(SECRETS, opaque("x", spec={"a": 1}, data={}))
    assert set(made) <= {"kind", "apiVersion", "metadata", "type"}


async def test_a_dry_run_answers_and_keeps_nothing(api: Api) -> None:
    answer = await api.post(SECRETS, secret(), dryRun="All")
    assert (answer.status, answer.body["data"]) == (201, {KEY: config()})
    assert (await api.get(f"{SECRETS}/pull")).status == 404


async def test_the_answer_can_be_the_metadata_alone(api: Api) -> None:
    answer = await api.send("POST", SECRETS, secret(), accept=PARTIAL)
    assert (answer.status, answer.body["kind"]) == (201, "PartialObjectMetadata")
    assert set(answer.body) == {"kind", "apiVersion", "metadata"}
