"""DELETE: preconditions, finalizers, namespaces."""

import pytest

from tests.contract.client import Api
from tests.contract.conftest import NAMESPACE, SECRETS
from tests.contract.manifests import pod, secret

pytestmark = pytest.mark.anyio

PULL_PATH = f"{SECRETS}/pull"
NAMESPACE_PATH = f"/api/v1/namespaces/{NAMESPACE}"
OTHER_UID = "11111111-2222-3333-4444-555555555555"


async def test_a_deletion_answers_with_a_status_that_names_the_object(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    answer = await api.delete(PULL_PATH)
    assert (answer.status, answer.body["kind"], answer.body["status"]) == (200, "Status", "Success")
    assert answer.body["details"] == {"name": "pull", "kind": "secrets", "uid": made["metadata"]["uid"]}
    assert (await api.get(PULL_PATH)).status == 404


async def test_a_second_deletion_is_not_found(api: Api) -> None:
    assert (await api.delete(PULL_PATH)).refusal == (404, "NotFound")
    answer = await api.delete(PULL_PATH, {"preconditions": {"uid": OTHER_UID}})
    assert answer.refusal == (404, "NotFound")


async def test_preconditions_that_hold_let_a_deletion_through(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    meta = made["metadata"]
    held = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": held}
    assert (await api.delete(PULL_PATH, body)).status == 200


@pytest.mark.parametrize("precondition", ["uid", "resourceVersion"])
async def test_a_precondition_that_does_not_hold_is_a_conflict(api: Api, precondition: str) -> None:
    made = await api.made(SECRETS, secret())
    await api.merge(PULL_PATH, {"metadata": {"labels": {"a": "1"}}})
    wrong = {"uid": OTHER_UID, "resourceVersion": made["metadata"]["resourceVersion"]}[precondition]
    answer = await api.delete(PULL_PATH, {"preconditions": {precondition: wrong}})
    assert answer.refusal == (409, "Conflict")
    assert answer.body["message"].startswith('Operation cannot be fulfilled on Secret "pull": the ')
    assert f"in the precondition ({wrong}) does not match" in answer.body["message"]
    assert answer.body["details"] == {"name": "pull", "kind": "Secret"}
    assert (await api.get(PULL_PATH)).status == 200


async def test_a_body_that_is_no_json_is_a_bad_request(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.delete(PULL_PATH, b"{")).refusal == (400, "BadRequest")


async def test_a_dry_run_deletes_nothing(api: Api) -> None:
    await api.made(SECRETS, secret())
    assert (await api.delete(PULL_PATH, dryRun="All")).status == 200
    assert (await api.delete(PULL_PATH, {"dryRun": ["All"]})).status == 200
    assert (await api.get(PULL_PATH)).status == 200


async def test_a_finalizer_holds_an_object_back_until_it_is_taken_away(api: Api) -> None:
    made = await api.made(SECRETS, secret(finalizers=["example.com/hold"]))
    answer = await api.delete(PULL_PATH)
    assert (answer.status, answer.body["kind"]) == (200, "Secret")
    assert answer.body["metadata"]["deletionTimestamp"].endswith("Z")
    again = await api.delete(PULL_PATH)
    assert again.version == answer.version
    assert (await api.post(SECRETS, secret())).refusal == (409, "AlreadyExists")
    more = await api.merge(PULL_PATH, {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})
    assert more.refusal == (422, "Invalid")
    assert (await api.merge(PULL_PATH, {"metadata": {"finalizers": None}})).status == 200
    assert (await api.get(PULL_PATH)).status == 404
    assert (await api.made(SECRETS, secret()))["metadata"]["uid"] != made["metadata"]["uid"]


async def test_a_pod_that_runs_nowhere_goes_at_once_and_is_shown(api: Api) -> None:
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    await api.made(pods, pod("one"))
    answer = await api.delete(f"{pods}/one")
    assert (answer.status, answer.body["kind"]) == (200, "Pod")
    assert (await api.get(f"{pods}/one")).status == 404


async def test_a_namespace_becomes_terminating_and_stays_until_it_is_finalized(api: Api) -> None:
    answer = await api.delete(NAMESPACE_PATH)
    assert (answer.status, answer.body["kind"]) == (200, "Namespace")
    assert answer.body["status"]["phase"] == "Terminating"
    assert answer.body["metadata"]["deletionTimestamp"].endswith("Z")
    assert (await api.delete(NAMESPACE_PATH)).body["status"]["phase"] == "Terminating"
    assert (await api.get(NAMESPACE_PATH)).body["status"]["phase"] == "Terminating"
    final = {**answer.body, "spec": {"finalizers": []}}
    final["metadata"] = {"name": NAMESPACE}
    assert (await api.put(f"{NAMESPACE_PATH}/finalize", final)).status == 200
    assert (await api.get(NAMESPACE_PATH)).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system"])
async def test_a_namespace_that_a_cluster_needs_cannot_be_deleted(api: Api, name: str) -> None:
    answer = await api.delete(f"/api/v1/namespaces/{name}")
    assert answer.refusal == (403, "Forbidden")
    assert answer.body["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
