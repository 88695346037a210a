"""TLS sessions: gone on from with the same server, and never beyond what a full handshake would have allowed."""

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest
from yarl import URL

from imps_multi.kube.connection import Connection, KeyPair
from imps_multi.kube.resuming import FULL_AGAIN, Sessions
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.ports import Reason, Transient
from tests.kube.scripted import Handler, answer, client_of, scripted
from tests.kube.servers import plugin, shown, well
from tests.realcluster.pki import Authority, write

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def noting(seen: list[bool], then: Handler = well) -> Handler:
    """Note of each request whether its connection went on from a session."""

    async def handler(request: BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        seen.append(request.transport.get_extra_info("ssl_object").session_reused)
        return await then(request)

    return handler


def set_clock(client: TargetClient) -> Clock:
    """Give the client's sessions a clock to be set, before there is one."""
    clock, sessions = Clock(), client._transport._sessions
    assert sessions is not None
    sessions._clock = clock
    return clock


def lead_to(client: TargetClient, url: str) -> None:
    """Put another server behind the client's address."""
    exchange = client._transport._exchange
    exchange._url, exchange._template = URL(url), None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_every_connection_but_the_first_goes_on_from_its_session(
    shared: Shared, authority: Authority, tls: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    seen: list[bool] = []
    tls.maximum_version = version
    pair = authority.client("jane")
    certificate = KeyPair(pair.certificate, pair.key)
    async with scripted(noting(seen), tls=tls) as server:
        connection = Connection(server=server.url, ca=authority.pem, certificate=certificate)
        async with client_of(connection, shared) as client:
            for _ in range(3):
                await client.probe()
            await client.identity()
    assert seen == [False, True, True, True]


async def test_now_and_then_a_server_proves_itself_in_full(
    shared: Shared, authority: Authority, tls: ssl.SSLContext
) -> None:
    seen: list[bool] = []
    async with (
        scripted(noting(seen), tls=tls) as server,
        client_of(Connection(server=server.url, ca=authority.pem), shared) as client,
    ):
        clock = set_clock(client)
        for moment in (
            0.0,
            FULL_AGAIN - 1,
            FULL_AGAIN,
            FULL_AGAIN + 1,
        ):  # what goes on from a session does not prolong it
            clock.now = moment
            await client.probe()
    assert seen == [False, True, False, True]


async def test_two_clients_of_one_server_share_no_session(
    shared: Shared, authority: Authority, tls: ssl.SSLContext
) -> None:
    seen: list[bool] = []
    async with scripted(noting(seen), tls=tls) as server:
        for _ in range(2):
            async with client_of(Connection(server=server.url, ca=authority.pem), shared) as client:
                await client.probe()
    assert seen == [False, False]


async def test_a_new_certificate_begins_a_new_session(
    shared: Shared, authority: Authority, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    def status(name: str) -> dict[str, str]:
        pair = authority.client(name)
        return {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.key.decode()}

    async def only_new(request: BaseRequest) -> web.StreamResponse:
        return await well(request) if shown(request) == "new" else answer({"reason": "Unauthorized"}, status=401)

    seen: list[bool] = []
    spec = plugin(tmp_path, status("old"), status("new"))
    async with (
        scripted(noting(seen, only_new), tls=tls) as server,
        client_of(Connection(server=server.url, ca=authority.pem, credential=spec), shared) as client,
    ):
        await client.identity()
        await client.probe()
    assert seen == [False, False, True]


async def test_a_server_that_forgot_its_sessions_makes_a_full_handshake(
    shared: Shared, authority: Authority, tmp_path: Path
) -> None:
    def context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*write(authority.serving(), tmp_path, "serving"))
        return made

    seen: list[bool] = []
    async with (
        scripted(noting(seen), tls=context()) as first,
        scripted(noting(seen), tls=context()) as second,
        client_of(Connection(server=first.url, ca=authority.pem), shared) as client,
    ):
        await client.probe()
        lead_to(client, second.url)
        await client.probe()
        await client.probe()
    assert seen == [False, False, True]


async def test_after_a_handshake_that_failed_the_next_is_a_full_one(
    shared: Shared, authority: Authority, tls: ssl.SSLContext
) -> None:
    seen: list[bool] = []
    async with (
        scripted(well) as plain,
        scripted(noting(seen), tls=tls) as server,
        client_of(Connection(server=server.url, ca=authority.pem), shared) as client,
    ):
        await client.probe()
        lead_to(client, plain.url.replace("http:", "https:"))
        with pytest.raises(Transient) as caught:
            await client.probe()
        assert caught.value.reason is Reason.TLS
        lead_to(client, server.url)
        await client.probe()
    assert seen == [False, False]


async def test_over_a_proxy_every_handshake_is_a_full_one(shared: Shared) -> None:
    connection = Connection(server="https://127.0.0.1:1", insecure=True, proxy="http://127.0.0.1:2")
    async with client_of(connection, shared) as client:
        assert client._transport._sessions is None


def test_another_context_has_other_sessions() -> None:
    sessions, context = Sessions(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert sessions.over(context) is sessions.over(context)
    assert sessions.over(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).context is not context
