"""How connections are made, shared, bounded and closed."""

import asyncio
import socket

import anyio
import anyio.to_thread
import msgspec
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.kube.connection import Connection
from imps_multi.kube.connector import open_socket
from imps_multi.kube.gate import Gate
from imps_multi.kube.shared import Shared
from imps_multi.model.names import HubId
from imps_multi.ports import (
    PortError,
    ServerVersion,
    Transient,
    WatchNamespaces,
)
from tests.actors.stage import until
from tests.kube.scripted import client_of, end_of_list, scripted, streamed
from tests.kube.servers import NAMESPACE, listening, silent, well

pytestmark = pytest.mark.anyio

KUBE_SYSTEM = msgspec.json.encode(NAMESPACE)
VERSION = b'{"gitVersion": "v1.36.3"}'


def test_sockets_notice_a_dead_peer() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [made.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [10, 5, 3, 30_000]


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


async def test_a_probe_that_begins_contact_gives_up_what_was_kept_and_is_kept_itself(shared: Shared) -> None:
    used: list[int] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        used.append(request.transport.get_extra_info("peername")[1])
        return await well(request)

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        await client.identity()
        await client.probe(anew=True)
        await client.identity()
        await client.identity()
    assert used[0] != used[1]
    assert used[1:] == [used[1]] * 3


async def test_a_kept_connection_whose_peer_is_gone_costs_no_time_once_a_probe_was_answered(shared: Shared) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def first_one_falls_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        for _ in range(1 if len(connections) == 1 else 2):
            head = await reader.readuntil(b"\r\n\r\n")
            body = VERSION if b"/version" in head else KUBE_SYSTEM
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with (
        listening(first_one_falls_silent) as address,
        client_of(Connection(server=f"http://{address}"), shared, request_timeout=30.0) as client,
    ):
        await client.identity()
        with anyio.fail_after(5):
            await client.probe(anew=True)
            assert await client.identity() == "u-1"
    assert len(connections) == 2


async def test_idle_connections_are_closed_after_a_while(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imps_multi.kube.kept.IDLE_SECONDS", 0.05)
    async with scripted(well) as server, client_of(server.connection(), shared) as client:
        await client.identity()
        kept = client._transport._exchange._kept
        assert len(kept._idle) == 1
        with anyio.fail_after(5):
            await until(lambda: not client._transport._exchange._open)
        assert kept._idle == []
        await client.identity()


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
