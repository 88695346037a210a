"""GET and LIST: what is shown, in what order, in which pages, and what is refused."""

import pytest

from tests.contract.client import Api, Server
from tests.contract.conftest import EVENTS, NAMESPACE, SECRETS
from tests.contract.manifests import event, namespace, opaque, secret

pytestmark = pytest.mark.anyio


async def test_an_object_is_shown_with_its_kind_and_what_the_server_gave_it(api: Api) -> None:
    made = await api.made(SECRETS, secret())
    answer = await api.get(f"{SECRETS}/pull")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("Secret", "v1")
    assert answer.body["data"] == secret()["data"]
    assert answer.body["metadata"]["uid"] == made["metadata"]["uid"]
    assert answer.body["metadata"]["namespace"] == NAMESPACE
    assert answer.body["metadata"]["creationTimestamp"].endswith("Z")


async def test_a_missing_object_is_not_found_with_its_name_and_kind(api: Api) -> None:
    answer = await api.get(f"{SECRETS}/none")
    assert answer.refusal == (404, "NotFound")
    assert answer.body["message"] == 'secrets "none" not found'
    assert answer.body["details"] == {"name": "none", "kind": "secrets"}


async def test_a_missing_object_of_a_group_names_the_group(api: Api) -> None:
    answer = await api.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/none")
    assert answer.refusal == (404, "NotFound")
    assert answer.body["message"] == 'leases.coordination.k8s.io "none" not found'
    assert answer.body["details"] == {"name": "none", "kind": "leases", "group": "coordination.k8s.io"}


@pytest.mark.parametrize("path", ["/api/v1/nonsenses", f"{SECRETS}/pull/nonsense"])
async def test_an_unknown_resource_of_a_served_group_is_not_found(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert answer.refusal == (404, "NotFound")
    assert answer.body["message"] == "the server could not find the requested resource"


@pytest.mark.parametrize("path", ["/apis/no.such.group/v1/things", "/nonsense"])
async def test_a_path_that_nothing_serves_is_a_404_without_a_status(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.body) == (404, {})


async def test_a_method_that_makes_no_sense_is_not_allowed(api: Api) -> None:
    answer = await api.post(f"{SECRETS}/pull", secret())
    assert answer.refusal == (405, "MethodNotAllowed")


async def test_a_list_of_a_missing_namespace_is_empty(api: Api) -> None:
    answer = await api.get("/api/v1/namespaces/none/secrets")
    assert (answer.status, answer.body["items"]) == (200, [])


async def test_a_list_says_its_version_and_leaves_the_kind_of_its_items_out(api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await api.get(SECRETS)
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("SecretList", "v1")
    assert int(answer.version) >= int(answer.body["items"][0]["metadata"]["resourceVersion"])
    assert "kind" not in answer.body["items"][0]
    assert "apiVersion" not in answer.body["items"][0]


async def test_a_list_is_ordered_by_namespace_and_name(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("team"))
    await api.made("/api/v1/namespaces", namespace("team-a-more"))
    for where, name in (("team-a-more", "a"), ("team", "z"), (NAMESPACE, "b"), (NAMESPACE, "a.b"), (NAMESPACE, "a")):
        await api.made(f"/api/v1/namespaces/{where}/secrets", opaque(name))
    answer = await api.get("/api/v1/secrets")
    found = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer.body["items"]]
    # by the bytes of namespace/name, where a dash comes before a slash
    assert found == [("team-a-more", "a"), (NAMESPACE, "a"), (NAMESPACE, "a.b"), (NAMESPACE, "b"), ("team", "z")]


async def test_pages_are_one_consistent_list_whatever_happens_meanwhile(api: Api) -> None:
    for name in "abcde":
        await api.made(SECRETS, opaque(name))
    first = await api.get(SECRETS, limit="2")
    assert first.names == ["a", "b"]
    assert first.body["metadata"]["remainingItemCount"] == 3
    await api.made(SECRETS, opaque("bb"))
    assert (await api.delete(f"{SECRETS}/d")).status == 200
    second = await api.get(SECRETS, limit="2", **{"continue": first.body["metadata"]["continue"]})
    third = await api.get(SECRETS, limit="2", **{"continue": second.body["metadata"]["continue"]})
    assert (second.names, third.names) == (["c", "d"], ["e"])
    assert first.version == second.version == third.version
    assert "continue" not in third.body["metadata"]
    assert (await api.get(SECRETS)).names == ["a", "b", "bb", "c", "e"]


async def test_pages_of_a_selection_are_filled_and_do_not_count_the_rest(api: Api) -> None:
    for name in "abcdef":
        await api.made(SECRETS, opaque(name) | {"metadata": {"name": name, "labels": {"odd": str(name in "ace")}}})
    first = await api.get("/api/v1/secrets", limit="2", labelSelector="odd=True")
    second = await api.get(
        "/api/v1/secrets", limit="2", labelSelector="odd=True", **{"continue": first.body["metadata"]["continue"]}
    )
    assert (first.names, second.names) == (["a", "c"], ["e"])
    assert "remainingItemCount" not in first.body["metadata"]


async def test_a_list_that_may_be_of_any_age_ignores_the_limit(api: Api) -> None:
    names = [f"n{number}" for number in range(5)]
    for name in names:
        await api.made(SECRETS, opaque(name))
    exact = await api.get(SECRETS)
    answer = await api.get(SECRETS, limit="2", resourceVersion=exact.version, resourceVersionMatch="NotOlderThan")
    anyway = await api.get(SECRETS, limit="2", resourceVersion="0")
    assert anyway.names == names
    assert answer.names == names[:2]


async def test_a_continue_token_of_a_forgotten_version_is_expired_and_offers_another(server: Server, api: Api) -> None:
    for name in "abc":
        await api.made(EVENTS, event(name))
    first = await api.get(EVENTS, limit="1")
    assert (await api.delete(f"{EVENTS}/b")).status == 200
    await server.compact()
    answer = await api.get(EVENTS, limit="1", **{"continue": first.body["metadata"]["continue"]})
    assert answer.refusal == (410, "Expired")
    again = await api.get(EVENTS, limit="1", **{"continue": answer.body["metadata"]["continue"]})
    assert again.names == ["c"]


async def test_a_continue_token_that_is_none_is_a_bad_request(api: Api) -> None:
    answer = await api.get(SECRETS, limit="2", **{"continue": "nonsense"})
    assert answer.refusal == (400, "BadRequest")


async def test_an_exact_version_that_is_forgotten_is_expired(server: Server, api: Api) -> None:
    old = await api.made(EVENTS, event("a"))
    await api.made(EVENTS, event("b"))
    await server.compact()
    version = old["metadata"]["resourceVersion"]
    answer = await api.get(EVENTS, resourceVersion=version, resourceVersionMatch="Exact")
    assert answer.refusal == (410, "Expired")


async def test_a_version_of_the_future_is_a_timeout_that_says_so(api: Api) -> None:
    now = await api.get(SECRETS)
    answer = await api.get(SECRETS, resourceVersion=str(int(now.version) + 1_000_000))
    assert answer.refusal == (504, "Timeout")
    assert answer.body["message"].startswith("Timeout: Too large resource version: ")
    assert answer.causes == [("ResourceVersionTooLarge", "")]
    assert answer.body["details"]["retryAfterSeconds"] == 1
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
        {"resourceVersion": "5", "resourceVersionMatch": "Nonsense"},
        {"sendInitialEvents": "true"},
    ],
)
async def test_list_options_that_contradict_each_other_are_invalid(api: Api, query: dict[str, str]) -> None:
    answer = await api.get(SECRETS, **query)
    assert answer.refusal == (422, "Invalid")
    assert answer.body["details"]["kind"] == "ListOptions"


@pytest.mark.parametrize("query", [{"limit": "many"}, {"resourceVersion": "new"}])
async def test_list_options_that_are_no_numbers_are_a_bad_request(api: Api, query: dict[str, str]) -> None:
    assert (await api.get(SECRETS, **query)).refusal == (400, "BadRequest")


async def test_a_new_cluster_has_its_namespaces_and_an_identity(api: Api) -> None:
    answer = await api.get("/api/v1/namespaces")
    assert {"default", "kube-system"} < set(answer.names)
    system = await api.get("/api/v1/namespaces/kube-system")
    assert len(system.body["metadata"]["uid"]) == 36


async def test_a_namespace_is_born_active_and_labelled_with_its_name(api: Api) -> None:
    answer = await api.get(f"/api/v1/namespaces/{NAMESPACE}")
    assert answer.body["status"] == {"phase": "Active"}
    assert answer.body["spec"] == {"finalizers": ["kubernetes"]}
    assert answer.body["metadata"]["labels"] == {"kubernetes.io/metadata.name": NAMESPACE}
