"""HTTP to a server that behaves, misbehaves, or is not there."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest
from cryptography.hazmat.primitives import serialization

import imps_multi
from imps_multi.kube import transport
from imps_multi.kube.connection import BasicLogin, BearerToken, Connection, ExecSpec, KeyPair, TokenFile
from imps_multi.kube.connector import open_socket
from imps_multi.kube.gate import Gate
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.kube.tls import TlsContexts
from imps_multi.model.names import HubId, NamespaceName, SecretName, Uid
from imps_multi.ports import (
    Forbidden,
    Invalid,
    PortError,
    Reason,
    ServerVersion,
    Transient,
    Unauthorized,
    WatchNamespaces,
    Written,
)
from tests.kube.scripted import MARKER, Scripted, answer, client_of, end_of_list, refusing, scripted, streamed
from tests.realcluster.pki import Authority, Pair, write

pytestmark = pytest.mark.anyio

A, PULL = NamespaceName("a"), SecretName("pull")
NAMESPACE = {"metadata": {"name": "kube-system", "uid": "u-1", "resourceVersion": "3"}}


async def well(request: BaseRequest) -> web.StreamResponse:
    if request.path == "/version":
        return answer({"major": "1", "gitVersion": "v1.36.3"})
    return answer(NAMESPACE)


async def troubled(
    connection: Connection,
    shared: Shared,
    *,
    call: Callable[[TargetClient], Awaitable[object]] = TargetClient.identity,
    limit: float = 5.0,
) -> PortError:
    """Return the error of a call, having looked that it holds no secret."""
    with anyio.fail_after(10):
        async with client_of(connection, shared, request_timeout=limit) as client:
            with pytest.raises(PortError) as caught:
                await call(client)
    assert MARKER not in str(caught.value)
    assert MARKER not in repr(caught.value.__cause__)
    return caught.value


# -- what is sent ------------------------------------------------------------------------------------------------------


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


# -- what comes back ---------------------------------------------------------------------------------------------------


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


async def test_a_deletion_of_what_is_gone_is_done(shared: Shared) -> None:
    async with scripted(refusing(404, "NotFound")) as server, client_of(server.connection(), shared) as client:
        await client.delete_secret(A, PULL, uid=Uid("u"), resource_version=1)


# -- no answer ---------------------------------------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_a_dead_port_is_unreachable(shared: Shared) -> None:
    server = f"https://127.0.0.1:{closed_port()}"
    error = await troubled(Connection(server=server, insecure=True, credential=BearerToken(MARKER)), shared)
    assert isinstance(error, Transient)
    assert (error.reason, error.answered) == (Reason.UNREACHABLE, False)
    assert str(error).startswith(f"read namespace kube-system on {server}: no connection: ")


async def test_a_name_that_does_not_resolve_is_unreachable(shared: Shared) -> None:
    error = await troubled(Connection(server="http://no-such-host.invalid"), shared)
    assert error.reason is Reason.UNREACHABLE
    assert "name cannot be resolved" in str(error)


@asynccontextmanager
async def listening(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Accept connections, and do this with them until the end of the block."""
    ending = anyio.Event()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handle(reader, writer)
        await ending.wait()
        writer.transport.abort()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        ending.set()
        server.close()
        await anyio.wait_all_tasks_blocked()


async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Do nothing."""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("call", "limit"),
    [(TargetClient.identity, 0.3), (TargetClient.probe, 5.0)],
    ids=["call", "probe"],
)
async def test_a_server_that_accepts_and_hangs_is_a_timeout(
    shared: Shared,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    call: Callable[[TargetClient], Awaitable[object]],
    limit: float,
) -> None:
    monkeypatch.setattr(transport, "PROBE_LIMIT", 0.3)
    async with listening(silent) as address:
        connection = Connection(server=f"{scheme}://{address}", insecure=True)
        error = await troubled(connection, shared, call=call, limit=limit)
    assert isinstance(error, Transient)
    assert (error.reason, error.answered) == (Reason.TIMEOUT, False)


async def test_a_connection_closed_without_an_answer_is_unreachable(shared: Shared) -> None:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with listening(closing) as address:
        error = await troubled(Connection(server=f"http://{address}"), shared)
    assert error.reason is Reason.UNREACHABLE
    assert "without an answer" in str(error)


async def test_what_is_not_http_is_unreachable(shared: Shared) -> None:
    async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"220 {MARKER} ESMTP\r\n".encode())

    async with listening(talking) as address:
        error = await troubled(Connection(server=f"http://{address}", credential=BearerToken(MARKER)), shared)
    assert error.reason is Reason.UNREACHABLE
    assert str(error).endswith(": what came is not HTTP")


async def test_an_answer_that_is_cut_off_was_an_answer(shared: Shared) -> None:
    async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"meta')
        writer.close()

    async with listening(cutting) as address:
        error = await troubled(Connection(server=f"http://{address}"), shared)
    assert isinstance(error, Transient)
    assert (error.reason, error.answered) == (Reason.UNREACHABLE, True)


# -- log-ins -----------------------------------------------------------------------------------------------------------


def letting_in(*tokens: str) -> Callable[[BaseRequest], Awaitable[web.StreamResponse]]:
    async def handler(request: BaseRequest) -> web.StreamResponse:
        if request.headers.get("Authorization") not in {f"Bearer {token}" for token in tokens}:
            return answer({"reason": "Unauthorized"}, status=401)
        if "watch" in request.query:
            return await streamed(request, end_of_list(9))
        return await well(request)

    return handler


CALLS: list[Callable[[TargetClient], Awaitable[object]]] = [
    TargetClient.identity,
    TargetClient.probe,
    lambda client: client.create_secret(A, b"{}"),
    lambda client: client.watch(WatchNamespaces(), None, lambda _: None),
]


@pytest.mark.parametrize("call", CALLS, ids=["read", "probe", "write", "watch"])
async def test_a_401_reads_the_token_file_again_and_repeats_once(
    shared: Shared, tmp_path: Path, call: Callable[[TargetClient], Awaitable[object]]
) -> None:
    file = anyio.Path(tmp_path / "token")
    await file.write_text(f"{MARKER}-old\n")
    async with scripted(letting_in("new")) as server:
        connection = server.connection(TokenFile(str(file)))
        assert isinstance(await troubled(connection, shared, call=call), Unauthorized)
        assert len(server.seen) == 1
        async with client_of(connection, shared) as client:
            with pytest.raises(Unauthorized):
                await call(client)
            await file.write_text("new\n")
            await call(client)
        assert len(server.seen) == 4


async def test_a_fixed_token_is_not_tried_twice(shared: Shared) -> None:
    async with scripted(letting_in("other")) as server:
        assert isinstance(await troubled(server.connection(), shared), Unauthorized)
    assert len(server.seen) == 1


async def test_renewing_reads_the_file_now(shared: Shared, tmp_path: Path) -> None:
    file = anyio.Path(tmp_path / "token")
    await file.write_text("old")
    async with (
        scripted(letting_in("old", "new")) as server,
        client_of(server.connection(TokenFile(str(file))), shared) as client,
    ):
        await client.identity()
        await file.write_text("new")
        await client.identity()
        await client.renew_credentials()
        await client.identity()
    tokens = [request.headers["Authorization"] for request in server.seen]
    assert tokens == ["Bearer old", "Bearer old", "Bearer new"]


async def test_a_token_file_is_looked_at_each_minute_and_a_lost_one_leaves_the_last_token(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imps_multi.kube.credentials.REREAD", 0.0)
    file = anyio.Path(tmp_path / "token")
    await file.write_text("one")
    async with (
        scripted(letting_in("one", "two")) as server,
        client_of(server.connection(TokenFile(str(file))), shared) as client,
    ):
        await client.identity()
        await file.write_text("two")
        await client.identity()
        await file.unlink()
        await client.identity()
    tokens = [request.headers["Authorization"] for request in server.seen]
    assert tokens == ["Bearer one", "Bearer two", "Bearer two"]


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"", "no token"), (b"\xff", "not text")])
async def test_a_token_file_that_never_was_of_use_is_said(
    shared: Shared, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = anyio.Path(tmp_path / "token")
    if content is not None:
        await file.write_bytes(content)
    async with scripted(well) as server:
        error = await troubled(server.connection(TokenFile(str(file))), shared)
        assert server.seen == []
    assert (type(error), error.reason) == (Transient, Reason.UNAUTHORIZED)
    assert str(file) in str(error)
    assert words in str(error)


async def test_the_token_beside_a_token_file_serves_until_it_is_there(shared: Shared, tmp_path: Path) -> None:
    connection_to = TokenFile(str(tmp_path / "token"), "beside")
    async with (
        scripted(letting_in("beside")) as server,
        client_of(server.connection(connection_to), shared) as client,
    ):
        await client.identity()


def plugin(directory: Path, *statuses: dict[str, str]) -> ExecSpec:
    """Return a plugin that gives one after the other of these, and the last from then on."""
    version = "client.authentication.k8s.io/v1"
    for index, status in enumerate(statuses):
        document = {"kind": "ExecCredential", "apiVersion": version, "status": status}
        (directory / f"answer-{index}").write_bytes(msgspec.json.encode(document))
    script = directory / "plugin"
    script.write_text('cd "${0%/*}"; set answer-*; cat "$1"; if [ $# -gt 1 ]; then rm "$1"; fi')
    return ExecSpec(api_version=version, command="/bin/sh", args=(str(script),))


@pytest.mark.parametrize("call", CALLS, ids=["read", "probe", "write", "watch"])
async def test_a_401_runs_the_plugin_again_and_repeats_once(
    shared: Shared, tmp_path: Path, call: Callable[[TargetClient], Awaitable[object]]
) -> None:
    spec = plugin(tmp_path, {"token": f"{MARKER}-old"}, {"token": "new"})
    async with scripted(letting_in("new")) as server, client_of(server.connection(spec), shared) as client:
        with anyio.fail_after(10):
            await call(client)
            await client.identity()
    tokens = [request.headers["Authorization"] for request in server.seen]
    assert tokens == [f"Bearer {MARKER}-old", "Bearer new", "Bearer new"]


async def test_many_401s_at_once_run_the_plugin_once(shared: Shared, tmp_path: Path) -> None:
    spec = plugin(tmp_path, {"token": "old"}, {"token": "new"}, {"token": "newer"})
    async with scripted(letting_in("new")) as server, client_of(server.connection(spec), shared) as client:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(client.identity)
    assert len(server.seen) <= 16
    assert {request.headers["Authorization"] for request in server.seen} == {"Bearer old", "Bearer new"}


async def test_a_plugin_that_fails_is_its_own_reason_and_nothing_is_sent(shared: Shared) -> None:
    spec = ExecSpec(api_version="client.authentication.k8s.io/v1", command="/no/such/plugin", args=(MARKER,))
    async with scripted(well) as server:
        for call in CALLS:
            error = await troubled(server.connection(spec), shared, call=call)
            assert (type(error), error.reason) == (Transient, Reason.EXEC_PLUGIN)
        assert server.seen == []


async def test_who_may_not_is_forbidden_with_the_servers_words(shared: Shared) -> None:
    words = 'User "x" cannot get resource "namespaces"'
    async with scripted(refusing(403, "Forbidden", words)) as server:
        error = await troubled(server.connection(), shared)
    assert isinstance(error, Forbidden)
    assert words in str(error)


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("kube")


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    """Give a server's context that asks for client certificates and takes none as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(authority.serving(), tmp_path, "serving"))
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def shown(request: BaseRequest) -> str:
    """Return the common name of the client's certificate."""
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert")
    return dict(pair for name in certificate["subject"] for pair in name)["commonName"] if certificate else ""


async def test_a_plugins_new_certificate_is_shown_on_a_new_connection(
    shared: Shared, authority: Authority, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    def status(name: str) -> dict[str, str]:
        pair = authority.client(name)
        return {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.key.decode()}

    async def handler(request: BaseRequest) -> web.StreamResponse:
        return await well(request) if shown(request) == "new" else answer({"reason": "Unauthorized"}, status=401)

    spec = plugin(tmp_path, status("old"), status("new"))
    async with scripted(handler, tls=tls) as server:
        connection = Connection(server=server.url, ca=authority.pem, credential=spec)
        async with client_of(connection, shared) as client:
            with anyio.fail_after(10):
                assert await client.identity() == "u-1"


def key_pair(pair: Pair) -> KeyPair:
    return KeyPair(pair.certificate, pair.key)


async def test_the_ca_and_a_client_certificate(shared: Shared, authority: Authority, tls: ssl.SSLContext) -> None:
    names: list[str] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        names.append(shown(request))
        return await well(request)

    async with scripted(handler, tls=tls) as server:
        for certificate in (None, key_pair(authority.client("jane"))):
            connection = Connection(server=server.url, ca=authority.pem, certificate=certificate)
            async with client_of(connection, shared) as client:
                await client.identity()
                assert await client.probe() == ServerVersion("v1.36.3")
    assert names == ["", "", "jane", "jane"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"ca": None}, "the certificate is not accepted"),
        ({"ca": Authority("other").pem}, "the certificate is not accepted"),
        ({"server_name": "other.example"}, "the certificate is not accepted"),
    ],
)
async def test_a_server_that_is_not_trusted_is_a_matter_of_tls(
    shared: Shared, authority: Authority, tls: ssl.SSLContext, part: dict[str, object], words: str
) -> None:
    async with scripted(well, tls=tls) as server:
        trusted = Connection(server=server.url, ca=authority.pem, credential=BearerToken(MARKER))
        error = await troubled(msgspec.structs.replace(trusted, **part), shared)
        assert server.seen == []
    assert isinstance(error, Transient)
    assert (error.reason, error.answered) == (Reason.TLS, False)
    assert words in str(error)


@pytest.mark.parametrize("part", [{"server_name": "localhost"}, {"ca": None, "insecure": True}])
async def test_another_name_or_no_check_lets_it_pass(
    shared: Shared, authority: Authority, tls: ssl.SSLContext, part: dict[str, object]
) -> None:
    async with scripted(well, tls=tls) as server:
        connection = msgspec.structs.replace(Connection(server=server.url, ca=authority.pem), **part)
        async with client_of(connection, shared) as client:
            await client.identity()


async def test_plain_http_behind_an_https_address_is_a_matter_of_tls(shared: Shared) -> None:
    async with scripted(well) as server:
        error = await troubled(Connection(server=server.url.replace("http:", "https:"), insecure=True), shared)
    assert error.reason is Reason.TLS


JANE = Authority("any").client("jane")
ENCRYPTED = serialization.load_pem_private_key(JANE.key, None).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
)


@pytest.mark.parametrize(
    "part",
    [
        {"ca": MARKER.encode()},
        {"certificate": KeyPair(MARKER.encode(), MARKER.encode())},
        {"certificate": KeyPair(JANE.certificate, ENCRYPTED)},
        {"certificate": KeyPair(JANE.certificate, Authority("any").client("jim").key)},
    ],
    ids=["ca", "certificate", "encrypted key", "key of another"],
)
async def test_what_is_no_certificate_is_said_when_the_client_is_built(shared: Shared, part: dict[str, object]) -> None:
    connection = msgspec.structs.replace(Connection(server="https://127.0.0.1:1"), **part)
    with pytest.raises(Transient, match="the CA or the client certificate cannot be used") as caught:
        async with client_of(connection, shared):
            pass
    assert caught.value.reason is Reason.TLS
    assert MARKER not in str(caught.value)


async def test_equal_parts_share_one_context_as_long_as_somebody_uses_it() -> None:
    contexts = TlsContexts()
    pem = Authority("a").pem
    first = await contexts.context(ca=pem, insecure=False, certificate=None)
    assert await contexts.context(ca=pem, insecure=False, certificate=None) is first
    assert await contexts.context(ca=None, insecure=True, certificate=None) is not first
    del first
    await anyio.to_thread.run_sync(int)  # a worker thread holds its last result until the next
    gc.collect()
    assert len(contexts._contexts) == 0


async def test_no_key_is_left_on_the_disk(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for with_memory_files in (True, False):
        if not with_memory_files:
            monkeypatch.delattr("os.memfd_create")
        pair = key_pair(authority.client("jane"))
        await TlsContexts().context(ca=None, insecure=True, certificate=pair)
        assert [path async for path in anyio.Path(tmp_path).iterdir()] == []


# -- proxies -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def tunnels(head: list[bytes], *, refuse: bool = False) -> AsyncIterator[str]:
    """Be a proxy that knows CONNECT; ``head`` gets the lines of each request."""
    tasks: list[asyncio.Task[None]] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head.extend((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n"))
        if refuse:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = head[0].split()[1].decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tasks.append(asyncio.create_task(copy(reader, far_writer)))
        await copy(far_reader, writer)

    async with listening(handle) as address:
        try:
            yield address
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_proxy_is_asked_for_a_tunnel_and_sees_no_log_in(
    shared: Shared, authority: Authority, tls: ssl.SSLContext
) -> None:
    head: list[bytes] = []
    async with scripted(well, tls=tls) as server, tunnels(head) as proxy:
        connection = Connection(
            server=server.url,
            ca=authority.pem,
            credential=BearerToken(MARKER),
            proxy=f"http://me:pw@{proxy}",
            server_name="localhost",
        )
        async with client_of(connection, shared) as client:
            await client.identity()
    assert head[0] == f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1".encode()
    assert b"Proxy-Authorization: Basic bWU6cHc=" in head
    assert not [each for each in head if MARKER.encode() in each]


async def test_a_proxy_that_refuses_is_said_to(shared: Shared, authority: Authority) -> None:
    async with tunnels([], refuse=True) as proxy:
        connection = Connection(
            server="https://127.0.0.1:1",
            ca=authority.pem,
            credential=BearerToken(MARKER),
            proxy=f"http://me:{MARKER}@{proxy}",
        )
        error = await troubled(connection, shared)
    assert str(error).endswith("the proxy refused with 407")
    assert error.reason is Reason.UNREACHABLE


async def test_a_proxy_that_is_not_there_is_said_to_be_missing(shared: Shared) -> None:
    proxy = f"http://me:{MARKER}@127.0.0.1:{closed_port()}"
    error = await troubled(Connection(server="https://127.0.0.1:1", insecure=True, proxy=proxy), shared)
    assert "no connection to the proxy" in str(error)


async def test_the_environments_proxy_is_not_looked_at_again(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        await client.identity()


# -- connections -------------------------------------------------------------------------------------------------------


def test_sockets_notice_a_dead_peer() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [made.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [10, 5, 3, 30_000]


def ports(server: Scripted) -> set[int]:
    return {request.transport.get_extra_info("peername")[1] for request in server.seen if request.transport is not None}


async def test_calls_share_a_connection_and_a_probe_has_its_own(shared: Shared) -> None:
    used: list[int] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        used.append(request.transport.get_extra_info("peername")[1])
        return await well(request)

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        await client.identity()
        await client.identity()
        await client.probe()
        await client.probe()
    assert used[0] == used[1]
    assert len(set(used)) == 3


async def test_the_last_byte_is_dated(shared: Shared) -> None:
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        made = client.last_byte_at
        await client.identity()
        assert made <= client.last_byte_at <= anyio.current_time()
        client._transport.last_byte_at = 0.0
        await client.identity()
        assert client.last_byte_at >= made


async def test_the_gate_bounds_handshakes_and_lets_slow_ones_go_on_uncounted() -> None:
    shared = Shared(hub=HubId("h"), handshakes=Gate(1, hold=0.2))
    async with listening(silent) as hanging, scripted(well) as server:
        slow = Connection(server=f"https://{hanging}", insecure=True)
        async with client_of(slow, shared) as stuck, client_of(server.connection(), shared) as quick:
            with anyio.fail_after(10):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(stuck.identity)
                    await anyio.wait_all_tasks_blocked()
                    assert shared.handshakes.free == 0
                    assert await quick.probe() == ServerVersion("v1.36.3")
                    assert await quick.identity() == "u-1"
                    tasks.cancel_scope.cancel()
    assert shared.handshakes.free == 1


async def test_closing_ends_a_watch_and_may_be_done_twice(shared: Shared) -> None:
    async def handler(request: BaseRequest) -> web.StreamResponse:
        response = await streamed(request, end_of_list(9))
        await anyio.sleep_forever()
        return response

    opened = anyio.Event()
    ended: list[PortError] = []

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:

        async def watch() -> None:
            try:
                await client.watch(WatchNamespaces(), None, lambda _: opened.set())
            except PortError as error:
                ended.append(error)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                await opened.wait()
                await client.aclose()
                await client.aclose()
    (error,) = ended
    assert isinstance(error, Transient)


async def test_a_closed_client_says_so(shared: Shared) -> None:
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        await client.aclose()
        with pytest.raises(Transient, match="the client is closed"):
            await client.identity()
