"""What requests say, and what is made of their answers."""

import json
from base64 import b64encode

import msgspec
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

import imps_multi
from imps_multi.kube.connection import BasicLogin, Connection
from imps_multi.kube.shared import Shared
from imps_multi.model.names import Uid
from imps_multi.ports import (
    Invalid,
    Transient,
    Written,
)
from tests.kube.scripted import MARKER, answer, client_of, refusing, scripted
from tests.kube.servers import NAMESPACE, PULL, A, troubled, well

pytestmark = pytest.mark.anyio


async def test_requests_say_who_asks_and_ask_for_plain_bytes(shared: Shared) -> None:
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        assert await client.identity() == "u-1"
    (request,) = server.seen
    assert request.path == "/api/v1/namespaces/kube-system"
    assert request.headers["Authorization"] == f"Bearer {MARKER}"
    assert request.headers["User-Agent"] == f"imps-multi/{imps_multi.__version__} (hub hub-1)"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Accept"].startswith("application/json;as=PartialObjectMetadata;")


async def test_a_server_below_a_path_is_asked_there(shared: Shared) -> None:
    async with scripted(well) as server:
        connection = Connection(server=f"{server.url}/k8s/clusters/c-1")
        async with client_of(connection, shared) as client:
            await client.identity()
    assert server.paths == ["/k8s/clusters/c-1/api/v1/namespaces/kube-system"]
    assert "Authorization" not in server.seen[0].headers


async def test_user_and_password_and_impersonation(shared: Shared) -> None:
    headers = (("Impersonate-User", "jane"), ("Impersonate-Group", "g1"), ("Impersonate-Group", "g2"))
    async with scripted(well) as server:
        connection = Connection(server=server.url, credential=BasicLogin("jö", "pw"), impersonation=headers)
        async with client_of(connection, shared) as client:
            await client.identity()
    (request,) = server.seen
    assert request.headers["Authorization"] == "Basic asO2OnB3"
    assert request.headers["Impersonate-User"] == "jane"
    assert request.headers.getall("Impersonate-Group") == ["g1", "g2"]


async def test_writes_name_the_field_manager_and_want_metadata_back(shared: Shared) -> None:
    bodies: list[tuple[str, str, str, bytes]] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept"].startswith("application/json;as=PartialObjectMetadata;")
        path = request.rel_url.raw_path_qs
        bodies.append((request.method, path, request.headers["Content-Type"], await request.read()))
        return answer(NAMESPACE)

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.create_secret(A, b"new") == Written(Uid("u-1"), 3)
        assert await client.replace_secret(A, PULL, b"whole") == Written(Uid("u-1"), 3)
        assert await client.patch_secret(A, PULL, b"part") == Written(Uid("u-1"), 3)
        await client.delete_secret(A, PULL, uid=Uid("u-1"), resource_version=3)
    secrets = "/api/v1/namespaces/a/secrets"
    assert bodies[:3] == [
        ("POST", f"{secrets}?fieldManager=imps-multi", "application/json", b"new"),
        ("PUT", f"{secrets}/pull?fieldManager=imps-multi", "application/json", b"whole"),
        ("PATCH", f"{secrets}/pull?fieldManager=imps-multi", "application/merge-patch+json", b"part"),
    ]
    method, path, _, body = bodies[3]
    assert (method, path) == ("DELETE", f"{secrets}/pull")
    assert msgspec.json.decode(body)["preconditions"] == {"uid": "u-1", "resourceVersion": "3"}


async def test_a_body_of_over_a_megabyte_arrives(shared: Shared) -> None:
    arrived: list[int] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        arrived.append(sum([len(chunk) async for chunk in request.content.iter_any()]))
        return answer(NAMESPACE)

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        await client.create_secret(A, b"x" * 1_500_000)
    assert arrived == [1_500_000]


async def test_every_request_is_told_once(shared: Shared) -> None:
    told: list[tuple[str, str, str]] = []
    shared = Shared(hub=shared.hub, on_request=lambda *each: told.append(each))
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        await client.identity()
        await client.probe()
    host = server.url.removeprefix("http://")
    async with client_of(server.connection(), shared) as client:
        with pytest.raises(Transient):
            await client.identity()
    assert told == [("200", "GET", host), ("200", "GET", host), ("<error>", "GET", host)]


async def test_a_redirect_is_not_followed(shared: Shared) -> None:
    async with scripted(well) as other:

        async def handler(_: BaseRequest) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": other.url})

        async with scripted(handler) as server:
            error = await troubled(server.connection(), shared)
    assert isinstance(error, Transient)
    assert error.answered
    assert other.seen == []


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"", b'{"metadata":{"resourceVersion":"x"}}', b"[]"])
async def test_a_200_that_is_not_kubernetes_is_transient(shared: Shared, page: bytes) -> None:
    async def handler(_: BaseRequest) -> web.StreamResponse:
        return web.Response(body=page)

    async with scripted(handler) as server:
        error = await troubled(server.connection(), shared)
    assert isinstance(error, Transient)
    assert error.answered
    assert "not an answer of Kubernetes" in str(error)


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_given_up(shared: Shared, status: int) -> None:
    async def handler(request: BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        while True:
            await response.write(b"x" * (1 << 20))

    async with scripted(handler) as server:
        error = await troubled(server.connection(), shared)
    assert isinstance(error, Transient)
    assert error.answered


async def test_contents_stay_out_of_errors(shared: Shared) -> None:
    document = {"code": 422, "reason": "Invalid", "message": "Invalid value: <secret contents redacted>"}
    async with scripted(refusing(422, **document | {"data": MARKER})) as server:  # type: ignore[arg-type]  # as above
        error = await troubled(
            server.connection(), shared, call=lambda client: client.create_secret(A, MARKER.encode())
        )
    assert isinstance(error, Invalid)
    assert str(error) == (
        f"create a Secret in a on {server.url}: 422 Invalid: Invalid value: <secret contents redacted>"
    )


async def test_a_refusal_that_quotes_the_request_is_shown_without_its_secrets(shared: Shared) -> None:
    """As an admission webhook may: what was sent, in any of the forms that it stands in there."""
    password = 'weak "pass" word'
    auth = b64encode(f"robot:{password}".encode()).decode()
    entry = {"username": "robot", "password": password, "auth": auth}
    whole = b64encode(json.dumps({"auths": {"a.example.com": entry}}).encode()).decode()
    body = json.dumps({"data": {".dockerconfigjson": whole}}).encode()
    for quoted in (password, json.dumps(password)[1:-1], auth, whole, MARKER):
        refused = refusing(400, "Denied", f"robot has {quoted} there")
        async with scripted(refused) as server, client_of(server.connection(), shared) as client:
            with pytest.raises(Invalid) as caught:
                await client.create_secret(A, body)
        assert str(caught.value).endswith(": 400 Denied: robot has [redacted] there")


async def test_a_deletion_of_what_is_gone_is_done(shared: Shared) -> None:
    async with scripted(refusing(404, "NotFound")) as server, client_of(server.connection(), shared) as client:
        await client.delete_secret(A, PULL, uid=Uid("u"), resource_version=1)
