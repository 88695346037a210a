"""Servers that are not there, or do not answer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from imps_multi.kube import transport
from imps_multi.kube.connection import BearerToken, Connection
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.ports import (
    Reason,
    Transient,
)
from tests.kube.scripted import MARKER
from tests.kube.servers import (
    listening,
    silent,
    troubled,
)
from tests.realcluster.ports import free_port

pytestmark = pytest.mark.anyio


async def test_a_dead_port_is_unreachable(shared: Shared) -> None:
    server = f"https://127.0.0.1:{free_port()}"
    error = await troubled(Connection(server=server, insecure=True, credential=BearerToken(MARKER)), shared)
    assert isinstance(error, Transient)
    assert (error.reason, error.answered) == (Reason.UNREACHABLE, False)
    assert str(error).startswith(f"read namespace kube-system on {server}: no connection: Connection refused")


async def test_a_name_that_does_not_resolve_is_unreachable(shared: Shared) -> None:
    error = await troubled(Connection(server="http://no-such-host.invalid"), shared)
    assert error.reason is Reason.UNREACHABLE
    assert "name cannot be resolved" in str(error)


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
