"""Servers for the transport's tests: well-behaved, silent, with log-ins, and the calls that are made to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.kube.connection import Connection, ExecSpec
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.ports import (
    PortError,
    WatchNamespaces,
)
from tests.kube.scripted import MARKER, answer, client_of, end_of_list, streamed

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
        with anyio.move_on_after(5.0, shield=True):
            await anyio.wait_all_tasks_blocked()


async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Do nothing."""


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


def plugin(directory: Path, *statuses: dict[str, str]) -> ExecSpec:
    """Return a plugin that gives one after the other of these, and the last from then on."""
    version = "client.authentication.k8s.io/v1"
    for index, status in enumerate(statuses):
        document = {"kind": "ExecCredential", "apiVersion": version, "status": status}
        (directory / f"answer-{index}").write_bytes(msgspec.json.encode(document))
    script = directory / "plugin"
    script.write_text('cd "${0%/*}"; set answer-*; cat "$1"; if [ $# -gt 1 ]; then rm "$1"; fi')
    return ExecSpec(api_version=version, command="/bin/sh", args=(str(script),))


def shown(request: BaseRequest) -> str:
    """Return the common name of the client's certificate."""
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert")
    return dict(pair for name in certificate["subject"] for pair in name)["commonName"] if certificate else ""
