"""Calls to token endpoints: where they go, what they bring, and that nothing else goes out or comes in."""

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from imps_multi.ports import Forbidden, Invalid, PortError, Reason, Throttled, Transient, Unauthorized
from imps_multi.registries import outbound as outbound_module
from imps_multi.registries.outbound import Outbound
from imps_multi.registries.trust import Trust
from tests.realcluster.pki import Authority, write
from tests.realcluster.ports import free_port

from .connect_proxy import connect_proxy
from .resolving import resolving
from .secrets import MARK
from .token_server import Said, TokenServer, said, token_server

pytestmark = pytest.mark.anyio
REDIRECTS = [301, 302, 303, 307, 308]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}  # aiohttp runs on nothing else


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as made:
        yield made


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("token endpoints")


@pytest.fixture
def secure(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    """Serve HTTPS for localhost, by a private authority that SSL_CERT_FILE names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(authority.serving(), tmp_path, "serving"))
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with token_server(context) as made:
        yield made


def reaching(*listed: str, own: tuple[str, ...] = ()) -> Outbound:
    return Outbound(lambda: listed, Trust(), own=own)


async def ask(outbound: Outbound, url: str, **how: object) -> dict[str, object]:
    with anyio.fail_after(20):
        return await outbound.ask("POST", url, call="token call", **how)  # type: ignore[arg-type]  # as the test has it


async def refused(outbound: Outbound, url: str) -> PortError:
    with pytest.raises(PortError) as caught:
        await ask(outbound, url, form={"secret": MARK})
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert str(caught.value).startswith("token call: ")
    assert MARK not in shown
    assert url not in shown
    return caught.value


async def test_a_form_goes_there_and_a_json_object_comes_back(server: TokenServer) -> None:
    server.answer = lambda _: said(access_token="t", expires_in=60)
    answer = await ask(reaching("127.0.0.1"), f"{server.url}/token?a=b", form={"scope": "a b", "key": "ü&="})
    assert answer == {"access_token": "t", "expires_in": 60}
    (heard,) = server.heard
    assert (heard.method, heard.path, heard.form) == ("POST", "/token?a=b", {"scope": "a b", "key": "ü&="})
    assert heard.headers["content-type"] == "application/x-www-form-urlencoded"
    assert heard.headers["accept-encoding"] == "identity"
    assert heard.headers["user-agent"].startswith("imps-multi/")


async def test_json_goes_there_with_the_caller_s_headers(server: TokenServer) -> None:
    await ask(reaching("127.0.0.1"), server.url, json={"a": 1}, headers={"Authorization": "Bearer x"})
    assert server.heard[0].body == b'{"a":1}'
    assert server.heard[0].headers["content-type"] == "application/json"
    assert server.heard[0].headers["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (said(401, error="invalid_client", error_description=MARK), Unauthorized, "invalid_client (HTTP 401)"),
        (said(400, error="invalid_client"), Unauthorized, "invalid_client (HTTP 400)"),
        (said(400, error="invalid_grant"), Unauthorized, "invalid_grant (HTTP 400)"),
        (said(400, error="unauthorized_client"), Forbidden, "unauthorized_client (HTTP 400)"),
        (said(400, error="invalid_scope"), Invalid, "invalid_scope (HTTP 400)"),
        (said(400, error=MARK), Invalid, "token call: refused (HTTP 400)"),
        (said(403, error={"status": "PERMISSION_DENIED", "message": MARK}), Forbidden, "PERMISSION_DENIED (HTTP 403)"),
        (said(401, errors=[{"code": "UNAUTHORIZED", "detail": MARK}]), Unauthorized, "UNAUTHORIZED (HTTP 401)"),
        (said(401, errors=[]), Unauthorized, "(HTTP 401)"),
        (Said(403, MARK.encode()), Forbidden, "(HTTP 403)"),
        (Said(404, b"[" * 60000), Invalid, "(HTTP 404)"),
        (Said(400, MARK.encode() * 100_000), Invalid, "token call: refused (HTTP 400)"),
        (Said(408), Transient, "(HTTP 408)"),
        (Said(500, MARK.encode()), Transient, "token call: the server failed (HTTP 500)"),
        (Said(200, MARK.encode()), Invalid, "no JSON object (HTTP 200)"),
        (Said(200, b'["' + MARK.encode() + b'"]'), Invalid, "no JSON object (HTTP 200)"),
        (Said(200, b'{"a":' + b"[" * 60000), Invalid, "no JSON object (HTTP 200)"),
        (Said(200, gzip.compress(b"{}"), {"Content-Encoding": "gzip"}), Invalid, "no JSON object (HTTP 200)"),
        (Said(200, b'{"a":"' + b"x" * 5_000_000 + b'"}'), Invalid, "longer than 64 KiB (HTTP 200)"),
    ],
)
async def test_each_answer_that_is_no_token_says_what_to_do(
    server: TokenServer, answer: Said, kind: type[PortError], says: str
) -> None:
    server.answer = lambda _: answer
    error = await refused(reaching("127.0.0.1"), server.url)
    assert type(error) is kind
    assert str(error).endswith(says)
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, 1.0),
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "9"}, 9.0),
        (403, {"retry-after": "60"}, 60.0),
        (429, {"Retry-After": "999999"}, 3600.0),
        (429, {"Retry-After": MARK}, 1.0),
        (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"}, 30.0),
        (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 -0000", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"}, 1.0),
        (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}, 1.0),
        (503, {"Retry-After": "Sat, 01 Jan 2000 23:59:59 GMT", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}, 3600.0),
        (503, {"Retry-After": "Sat, 99 Jan 2000 23:59:59 GMT", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}, 1.0),
    ],
)
async def test_patience_that_is_asked_for_is_passed_on(
    server: TokenServer, status: int, headers: dict[str, str], wait: float
) -> None:
    server.answer = lambda _: Said(status, b"{}", headers)
    error = await refused(reaching("127.0.0.1"), server.url)
    assert isinstance(error, Throttled)
    assert error.retry_after == wait


@pytest.mark.parametrize("status", REDIRECTS)
async def test_redirects_are_not_followed(server: TokenServer, status: int) -> None:
    with token_server() as other:
        server.answer = lambda _: Said(status, MARK.encode(), {"Location": f"{other.url}/{MARK}"})
        error = await refused(reaching("127.0.0.1"), server.url)
        assert other.heard == []
    assert isinstance(error, Invalid)
    assert "redirects are not followed" in str(error)


async def test_a_listing_counts_at_once(server: TokenServer) -> None:
    listed: tuple[str, ...] = ("127.0.0.1",)
    outbound = Outbound(lambda: listed, Trust())
    await ask(outbound, server.url)
    listed = ()
    error = await refused(outbound, server.url)
    assert isinstance(error, Forbidden)
    assert "sources.endpoints" in str(error)
    assert len(server.heard) == 1


async def test_a_private_authority_is_trusted_once_it_is_named(
    secure: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound, url = reaching("localhost"), f"https://localhost:{secure.port}"
    assert await ask(outbound, url) == {}
    monkeypatch.delenv("SSL_CERT_FILE")
    error = await refused(outbound, url)
    assert isinstance(error, Transient)
    assert error.reason is Reason.TLS


@pytest.mark.parametrize(
    ("listed", "address", "says"),
    [
        ("*.corp", "127.0.0.1", "loopback"),
        ("*.corp", "::1", "loopback"),
        ("*.corp", "10.0.0.1", "private"),
        ("*.corp", "169.254.169.254", "metadata"),
        ("sts.corp", "169.254.169.254", "metadata"),
    ],
)
async def test_a_name_that_leads_inward_is_refused_when_it_is_connected_to(
    secure: TokenServer, monkeypatch: pytest.MonkeyPatch, listed: str, address: str, says: str
) -> None:
    resolving(monkeypatch, (address,))
    error = await refused(reaching(listed), f"https://sts.corp:{secure.port}")
    assert isinstance(error, Forbidden)
    assert says in str(error)
    assert "sources.endpoints" in str(error)
    assert secure.heard == []


async def test_a_provider_s_own_hosts_are_called_without_a_listing(
    secure: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://login.corp:{secure.port}"
    resolving(monkeypatch, ("127.0.0.1",))
    assert "loopback" in str(await refused(reaching(own=("*.corp",)), url))
    assert "not allowed" in str(await refused(reaching(), url))
    resolving(monkeypatch, ("10.0.0.1",))
    with pytest.raises(Forbidden, match="private"):
        await reaching(own=("*.corp",)).check(url, call="token call")
    await Outbound(tuple, Trust(), own=("*.corp",), inside=True).check(url, call="token call")


async def test_a_certificate_may_be_trusted_by_itself(
    secure: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with API servers; many a registry's certificate is handed on without its authority's."""
    (tmp_path / "leaf.pem").write_text(ssl.get_server_certificate(("127.0.0.1", secure.port)))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "leaf.pem"))
    assert await ask(reaching("localhost"), f"https://localhost:{secure.port}") == {}


async def test_a_literally_listed_name_may_lead_inward(secure: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ("127.0.0.1",))
    assert await ask(reaching("localhost"), f"https://localhost:{secure.port}") == {}


async def test_each_address_of_an_answer_is_looked_at(secure: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listed host may be on this machine; an address of metadata among its addresses is passed over."""
    resolving(monkeypatch, ("169.254.169.254", "::ffff:169.254.169.254", "127.0.0.1"))
    made: list[str] = []
    real = socket.socket.connect

    def connect(self: socket.socket, where: tuple[str, int]) -> None:
        made.append(where[0])
        real(self, where)

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert await ask(reaching("localhost"), f"https://localhost:{secure.port}") == {}
    assert made == ["127.0.0.1"]


async def test_a_host_with_one_address_that_may_be_tried_is_only_away(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ("169.254.169.254", "127.0.0.1"))
    error = await refused(reaching("localhost"), f"https://localhost:{free_port()}")
    assert isinstance(error, Transient)


async def test_a_name_cannot_change_between_the_look_and_the_connection(
    secure: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers names gives a fine address first, and one of this machine to whoever asks again."""
    resolving(monkeypatch, ("203.0.114.7",), ("127.0.0.1",))
    outbound, url = reaching("*.corp"), f"https://sts.corp:{secure.port}"
    await outbound.check(url, call="token call")
    assert isinstance(await refused(outbound, url), Forbidden)
    assert secure.heard == []


async def test_a_look_ahead_refuses_a_name_with_one_address_that_leads_inward(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ("203.0.114.7", "10.0.0.1"))
    with pytest.raises(Forbidden, match="private"):
        await reaching("*.corp").check("https://sts.corp", call="token call")
    await reaching("sts.corp").check("https://sts.corp", call="token call")
    with pytest.raises(Forbidden):
        await reaching().check("https://sts.corp", call="token call")


async def test_a_proxy_of_the_environment_is_asked_and_the_name_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_proxy() as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = await refused(reaching("*.corp"), "https://sts.corp/token")
        assert isinstance(error, Transient)
        assert str(error) == "token call: the proxy refused with 502"
        for other in ("https://elsewhere.example", "https://10.0.0.1", "https://localhost"):
            assert isinstance(await refused(reaching("*.corp", "10.*", "local*"), other), Forbidden)
        monkeypatch.setenv("HTTPS_PROXY", f"http://u:{MARK}@127.0.0.1:x")
        assert "proxy that the environment names" in str(await refused(reaching("*.corp"), "https://sts.corp/token"))
        monkeypatch.setenv("NO_PROXY", ".corp")
        resolving(monkeypatch, ("127.0.0.1",))
        assert isinstance(await refused(reaching("*.corp"), "https://sts.corp/token"), Forbidden)
    assert asked == ["sts.corp:443"]


async def test_what_gets_no_answer_is_transient(monkeypatch: pytest.MonkeyPatch, server: TokenServer) -> None:
    error = await refused(reaching("127.0.0.1"), "http://127.0.0.1:1")
    assert (type(error), error.reason) == (Transient, Reason.UNREACHABLE)
    error = await refused(reaching("127.0.0.1"), server.url.replace("http", "https"))
    assert (type(error), error.reason) == (Transient, Reason.TLS)
    monkeypatch.setattr(outbound_module, "WHOLE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refused(reaching("127.0.0.1"), f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (type(error), error.reason) == (Transient, Reason.TIMEOUT)


async def test_a_name_that_nobody_knows_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, MARK)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "cannot be resolved" in str(await refused(reaching("sts.corp"), "https://sts.corp"))
    with pytest.raises(Transient):
        await reaching("sts.corp").check("https://sts.corp", call="token call")


@pytest.mark.parametrize("make", [lambda server: server.url, lambda server: f"{server.url}/{MARK}"])
async def test_an_answer_can_be_had_as_it_is(server: TokenServer, make: Callable[[TokenServer], str]) -> None:
    server.answer = lambda _: Said(302, b"body", {"Location": "x", "X-Y": "z"})
    reply = await reaching("127.0.0.1").exchange("GET", make(server), call="c")
    assert (reply.status, reply.body, reply.headers["x-y"]) == (302, b"body", "z")
    assert "body" not in repr(reply)


async def test_name_servers_that_hang_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch, secure: TokenServer) -> None:
    """The loop's own threads would all be taken by so many."""
    real, begun, released = socket.getaddrinfo, threading.Semaphore(0), threading.Event()

    def hang(host: str, *how: int, **more: int) -> list[object]:
        if host == "localhost":
            return list(real(host, *how, **more))
        begun.release()
        released.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    outbound, many = reaching("localhost", "*.corp"), 12
    try:
        async with anyio.create_task_group() as group:
            for number in range(many):
                group.start_soon(refused, outbound, f"https://sts-{number}.corp")
            for _ in range(many):
                await anyio.to_thread.run_sync(begun.acquire)
            assert await ask(outbound, f"https://localhost:{secure.port}") == {}
            released.set()
    finally:
        released.set()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_cancelled_call_leaves_nothing_open(scheme: str) -> None:
    """An open connection would fail the test by its ResourceWarning; with https it is cancelled in the handshake."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        async with anyio.create_task_group() as group:
            group.start_soon(ask, reaching("127.0.0.1"), f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
            with anyio.fail_after(10):
                await anyio.wait_readable(silent)
            taken, _ = silent.accept()
            with taken, anyio.fail_after(10):
                taken.setblocking(False)
                await anyio.wait_readable(taken)
                group.cancel_scope.cancel()


async def test_an_answer_that_drips_costs_its_time_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_module, "WHOLE", 0.2)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{")
        await reader.read()  # until the client leaves
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        error = await refused(reaching("127.0.0.1"), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(error, Transient)
    assert error.reason is Reason.TIMEOUT
