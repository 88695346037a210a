"""A cluster to run the client against, the sandbox's or a real one, and an administrator who changes it meanwhile."""

import base64
import http
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import anyio.to_thread

from imps_multi.kube.connection import BearerToken, Connection
from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.objects import Draft
from imps_multi.sandbox.resources import Resource
from imps_multi.sandbox.server import Manners
from tests.realcluster.cluster import RealCluster
from tests.realcluster.rights import cluster_role

Document = dict[str, Any]  # a manifest
Grant = Callable[[list[Document]], Awaitable[None]]
"""Lets the stranger do what these rules of a ClusterRole say."""
Alter = Callable[[bytes], AbstractAsyncContextManager[None]]
"""Has admission store this docker config in whatever Secret is written, whatever was sent."""
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KEY = ".dockerconfigjson"
MERGE_PATCH = "application/merge-patch+json"


class World:
    """One cluster. ``connection`` is the administrator's own; ``stranger`` may do nothing but what ``grant`` gives."""

    def __init__(
        self, session: aiohttp.ClientSession, connection: Connection, stranger: Connection, grant: Grant
    ) -> None:
        self.connection = connection
        self.stranger = stranger
        self.grant = grant
        self.alter: Alter = self._alter
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
    async def _alter(self, content: bytes) -> AsyncIterator[None]:
        """Apply a MutatingAdmissionPolicy; the server learns of it, and of its end, by and by."""
        value = base64.b64encode(content).decode()
        for plural, document in _altering(value).items():
            await self.send("POST", f"{ADMISSION}/{plural}", document)
        try:
            await self._until_stored(value)
            yield
        finally:
            with anyio.move_on_after(10.0, shield=True):
                for plural in _altering(value):
                    await self.delete(f"{ADMISSION}/{plural}/alter")
        await self._until_stored("e30=")

    async def _until_stored(self, value: str) -> None:
        """Wait until an empty docker config is stored as this."""
        probe = {"metadata": {"name": "probe"}, "type": "kubernetes.io/dockerconfigjson", "data": {KEY: "e30="}}
        with anyio.fail_after(30.0):
            while True:
                stored = await self.send("POST", "/api/v1/namespaces/default/secrets?dryRun=All", probe)
                if stored["data"][KEY] == value:
                    return


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

        @asynccontextmanager
        async def alter(content: bytes) -> AsyncIterator[None]:
            def admission(resource: Resource, draft: Draft) -> None:
                if resource.plural == "secrets":
                    draft.rest["data"] = {KEY: base64.b64encode(content).decode()}

            before, cluster.store.admission = cluster.store.admission, admission
            yield
            cluster.store.admission = before

        async with _session("admin-token") as session:
            world = World(session, admin, stranger, grant)
            world.alter = alter
            yield world


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


def _altering(value: str) -> dict[str, Document]:
    """Make a policy and its binding."""
    group = ADMISSION.removeprefix("/apis/")
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}
    expression = f'[JSONPatch{{op: "add", path: "/data/{KEY}", value: "{value}"}}]'
    policy = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": "alter"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "pull", "expression": "object.type == 'kubernetes.io/dockerconfigjson'"}],
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "alter"},
        "spec": {"policyName": "alter"},
    }
    return {"mutatingadmissionpolicies": policy, "mutatingadmissionpolicybindings": binding}


def _session(token: str, tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=tls) if tls is not None else None
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, connector=connector)
