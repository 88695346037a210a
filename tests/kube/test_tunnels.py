"""Proxies, which are asked for a tunnel."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from imps_multi.kube.connection import BearerToken, Connection
from imps_multi.kube.shared import Shared
from imps_multi.ports import (
    Reason,
)
from tests.kube.scripted import MARKER, client_of, scripted
from tests.kube.servers import (
    listening,
    troubled,
    well,
)
from tests.realcluster.pki import Authority
from tests.realcluster.ports import free_port

pytestmark = pytest.mark.anyio


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
    proxy = f"http://me:{MARKER}@127.0.0.1:{free_port()}"
    error = await troubled(Connection(server="https://127.0.0.1:1", insecure=True, proxy=proxy), shared)
    assert "no connection to the proxy" in str(error)


async def test_the_environments_proxy_is_not_looked_at_again(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        await client.identity()
