"""Certificates: whom we trust, who we are, and what cannot be used."""

import gc
import ssl
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest
from cryptography.hazmat.primitives import serialization

from imps_multi.kube.connection import BearerToken, Connection, KeyPair
from imps_multi.kube.shared import Shared
from imps_multi.kube.tls import TlsContexts
from imps_multi.ports import (
    Reason,
    ServerVersion,
    Transient,
)
from tests.kube.scripted import MARKER, answer, client_of, scripted
from tests.kube.servers import plugin, shown, troubled, well
from tests.realcluster.pki import Authority, Pair

pytestmark = pytest.mark.anyio


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
