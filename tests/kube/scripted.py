"""A server that answers as a test says, for what no well-behaved API server does."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.kube.connection import BearerToken, Connection, Credential
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient, connect
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.names import ClusterName

Handler = Callable[[BaseRequest], Awaitable[web.StreamResponse]]
MARKER = "pLanTed-SeCrEt"
"""Stands in every credential and content of these tests, and must never come out."""


@dataclass
class Scripted:
    """A running server: where it listens, and the requests that it got."""

    url: str = ""
    seen: list[BaseRequest] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [request.rel_url.raw_path for request in self.seen]

    def connection(self, credential: Credential | None = BearerToken(MARKER)) -> Connection:  # noqa: B008  # it is frozen
        return Connection(server=self.url, credential=credential)


@asynccontextmanager
async def scripted(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """Serve with this handler."""
    server = Scripted()

    async def noting(request: BaseRequest) -> web.StreamResponse:
        server.seen.append(request)
        return await handler(request)

    runner = web.ServerRunner(web.Server(noting, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        with anyio.move_on_after(5.0, shield=True):
            await runner.cleanup()


@asynccontextmanager
async def client_of(
    connection: Connection, shared: Shared, *, request_timeout: float = 5.0
) -> AsyncIterator[TargetClient]:
    """Build a client, and close it."""
    settings = ClusterSettings(name=ClusterName("east"), request_timeout=request_timeout)
    client = await connect(connection, settings, shared=shared)
    try:
        yield client
    finally:
        await client.aclose()


def answer(document: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def refusing(status: int, reason: str = "", message: str = "", **rest: object) -> Handler:
    """Return a handler that answers every request with a Status."""
    document = {"kind": "Status", "code": status, "reason": reason, "message": message, **rest}

    async def handler(_: BaseRequest) -> web.StreamResponse:
        return answer(document, status=status)

    return handler


async def streamed(request: BaseRequest, *chunks: bytes) -> web.StreamResponse:
    """Begin a stream, send these chunks, and leave it open."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    return response


def line(kind: str, version: int, name: str = "", **meta: object) -> bytes:
    """Return a line of a watch over namespaces."""
    metadata = {"name": name, "resourceVersion": str(version), **meta}
    return msgspec.json.encode({"type": kind, "object": {"metadata": metadata}}) + b"\n"


def end_of_list(version: int) -> bytes:
    """Return the bookmark that ends the initial events."""
    return line("BOOKMARK", version, annotations={"k8s.io/initial-events-end": "true"})
