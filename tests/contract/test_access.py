"""Who may ask: tokens, rights by name, and what everybody may see."""

import pytest

from tests.contract.client import MERGE, Api, Document, Server
from tests.contract.conftest import NAMESPACE, SECRETS
from tests.contract.manifests import opaque, secret

pytestmark = pytest.mark.anyio

ALL = "/api/v1/secrets"
STREAMED = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
BY_NAME = [
    {
        "apiGroups": [""],
        "resources": ["secrets"],
        "verbs": ["get", "list", "watch", "update", "patch", "delete"],
        "resourceNames": ["pull"],
    },
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
]


@pytest.fixture
async def service(server: Server, api: Api) -> Api:
    """Give a user who may touch the Secrets of one name, and create any."""
    await api.made(SECRETS, secret())
    await server.grant(BY_NAME)
    return server.apis["service"]


async def test_a_token_that_nobody_gave_out_is_unauthorized(server: Server) -> None:
    for path in (ALL, "/version"):
        assert (await server.apis["impostor"].get(path)).refusal == (401, "Unauthorized")


async def test_nobody_may_see_the_version_and_health_and_nothing_else(server: Server) -> None:
    nobody = server.apis["nobody"]
    for path in ("/version", "/healthz", "/livez", "/readyz"):
        assert (await nobody.get(path)).status == 200
    answer = await nobody.get(ALL)
    assert answer.refusal == (403, "Forbidden")
    assert 'User "system:anonymous" cannot list resource "secrets"' in answer.body["message"]


async def test_the_version_says_major_minor_and_all(server: Server) -> None:
    body = (await server.admin.get("/version")).body
    assert (body["major"], body["minor"]) == ("1", "36")
    assert body["gitVersion"].startswith("v1.36.")


async def test_a_refusal_says_who_cannot_do_what_and_where(server: Server, api: Api) -> None:
    await api.made(SECRETS, secret())
    answer = await server.apis["stranger"].get(f"{SECRETS}/pull")
    assert answer.refusal == (403, "Forbidden")
    assert answer.body["message"] == (
        'secrets "pull" is forbidden: User "stranger" cannot get resource "secrets" in API group "" '
        f'in the namespace "{NAMESPACE}"'
    )
    assert answer.body["details"] == {"name": "pull", "kind": "secrets"}


async def test_a_refusal_of_a_list_names_no_object(server: Server) -> None:
    answer = await server.apis["stranger"].get("/api/v1/namespaces")
    assert answer.body["message"] == (
        'namespaces is forbidden: User "stranger" cannot list resource "namespaces" in API group "" '
        "at the cluster scope"
    )
    assert answer.body["details"] == {"kind": "namespaces"}


async def test_a_right_by_name_covers_a_list_and_a_watch_by_that_name_only(service: Api) -> None:
    assert (await service.get(ALL)).refusal == (403, "Forbidden")
    assert (await service.get(ALL, fieldSelector="metadata.name=other")).refusal == (403, "Forbidden")
    assert (await service.get(ALL, labelSelector="a=b")).refusal == (403, "Forbidden")
    named = {"fieldSelector": "metadata.name=pull"}
    assert (await service.get(ALL, **named)).names == ["pull"]
    assert (await service.get(ALL, **named, labelSelector="!none")).names == ["pull"]
    async with service.watch(ALL, **named, **STREAMED) as stream:
        assert (await stream.initial())[0] == ["pull"]
    refused = await service.get(ALL, watch="1", fieldSelector="metadata.name=other")
    assert refused.refusal == (403, "Forbidden")


async def test_a_right_by_name_covers_reads_and_writes_of_that_name_only(service: Api, api: Api) -> None:
    await api.made(SECRETS, opaque("other"))
    assert (await service.get(f"{SECRETS}/pull")).status == 200
    assert (await service.put(f"{SECRETS}/pull", secret(password="two"))).status == 200
    assert (await service.merge(f"{SECRETS}/pull", {})).status == 200
    assert (await service.delete(f"{SECRETS}/pull")).status == 200
    for method, content_type in (("GET", ""), ("PUT", "application/json"), ("PATCH", MERGE), ("DELETE", "")):
        body = opaque("other") if content_type else None
        answer = await service.send(method, f"{SECRETS}/other", body, content_type=content_type)
        assert answer.refusal == (403, "Forbidden")


async def test_a_right_to_create_cannot_be_bound_to_a_name(service: Api) -> None:
    assert (await service.post(SECRETS, opaque("anything"))).status == 201


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"verb": "create", "resource": "secrets", "namespace": NAMESPACE}, True),
        ({"verb": "update", "resource": "secrets", "namespace": NAMESPACE, "name": "pull"}, True),
        ({"verb": "list", "resource": "secrets", "name": "pull"}, True),
        ({"verb": "list", "resource": "secrets"}, False),
        ({"verb": "get", "resource": "secrets", "namespace": NAMESPACE, "name": "other"}, False),
        ({"verb": "list", "resource": "namespaces"}, False),
        ({"verb": "create", "group": "coordination.k8s.io", "resource": "leases"}, False),
    ],
)
async def test_a_user_can_ask_what_they_may(service: Api, attributes: Document, *, allowed: bool) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await service.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer.status == 201
    assert answer.body["status"]["allowed"] is allowed


async def test_discovery_names_the_resources_of_a_group(api: Api) -> None:
    core = await api.get("/api/v1")
    rows = {row["name"]: row for row in core.body["resources"]}
    assert {"namespaces", "pods", "secrets", "pods/status"} <= set(rows)
    assert (rows["secrets"]["namespaced"], rows["namespaces"]["namespaced"]) == (True, False)
    groups = (await api.get("/apis")).body["groups"]
    assert {"coordination.k8s.io", "events.k8s.io"} <= {group["name"] for group in groups}
