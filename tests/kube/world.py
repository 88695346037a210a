"""A cluster to run the client against, the sandbox's or a real one, and an administrator who changes it meanwhile."""

import http
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio.to_thread

from imps_multi.kube.connection import BearerToken, Connection
from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.server import Manners
from tests.realcluster.cluster import RealCluster
from tests.realcluster.rights import cluster_role

Document = dict[str, Any]  # a manifest
Grant = Callable[[list[Document]], Awaitable[None]]
"""Lets the stranger do what these rules of a ClusterRole say."""
MERGE_PATCH = "application/merge-patch+json"


class World:
    """One cluster. ``connection`` is the administrator's own; ``stranger`` may do nothing but what ``grant`` gives."""

    def __init__(
        self, session: aiohttp.ClientSession, connection: Connection, stranger: Connection, grant: Grant
    ) -> None:
        self.connection = connection
        self.stranger = stranger
        self.grant = grant
        self._session = session

    async def send(self, method: str, path: str, document: Document | None = None, kind: str = "") -> Document:
        """Send a request as the administrator; it must succeed."""
        status, answer = await self.ask(method, path, document, kind)
        assert status < http.HTTPStatus.BAD_REQUEST, answer
        return answer

    async def ask(
        self, method: str, path: str, document: Document | None = None, kind: str = ""
    ) -> tuple[int, Document]:
        """Send a request as the administrator, whatever comes of it."""
        headers = {"Content-Type": kind} if kind else None
        url = self.connection.server + path
        async with self._session.request(method, url, json=document, headers=headers) as response:
            answer = await response.json(content_type=None) if response.content_type != "text/plain" else {}
            return response.status, answer

    async def namespace(self, name: str, **meta: Any) -> Document:
        return await self.send("POST", "/api/v1/namespaces", {"metadata": {"name": name, **meta}})

    async def edit_namespace(self, name: str, **meta: Any) -> Document:
        return await self.send("PATCH", f"/api/v1/namespaces/{name}", {"metadata": meta}, MERGE_PATCH)

    async def create(self, namespace: str, document: Document, plural: str = "secrets") -> Document:
        return await self.send("POST", f"/api/v1/namespaces/{namespace}/{plural}", document)

    async def edit(self, namespace: str, name: str, patch: Document) -> Document:
        return await self.send("PATCH", f"/api/v1/namespaces/{namespace}/secrets/{name}", patch, MERGE_PATCH)

    async def secret(self, namespace: str, name: str) -> Document:
        return await self.send("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")

    async def delete(self, path: str) -> None:
        await self.send("DELETE", path)


@asynccontextmanager
async def sandbox_world() -> AsyncIterator[World]:
    """Run a sandbox cluster."""
    manners = Manners(hold_namespaces=True)
    tokens = {"admin-token": "admin", "stranger-token": "stranger"}
    async with SandboxCluster(tokens=tokens, manners=manners) as cluster:
        cluster.access.grant("stranger", [])
        admin, stranger = (Connection(server=cluster.url, credential=BearerToken(token)) for token in tokens)

        async def grant(rules: list[Document]) -> None:
            cluster.access.grant("stranger", rules)

        async with _session("admin-token") as session:
            yield World(session, admin, stranger, grant)


@asynccontextmanager
async def real_world(cluster: RealCluster) -> AsyncIterator[World]:
    """Use a running, empty cluster."""
    admin, stranger = (
        Connection(server=cluster.url, ca=cluster.ca_pem, credential=BearerToken(token))
        for token in (cluster.admin_token, cluster.token("stranger"))
    )

    async def grant(rules: list[Document]) -> None:
        await anyio.to_thread.run_sync(cluster.authorize, "stranger", [cluster_role("granted", *rules)])

    tls = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    async with _session(cluster.admin_token, tls) as session:
        yield World(session, admin, stranger, grant)


def _session(token: str, tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=tls) if tls is not None else None
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, connector=connector)
