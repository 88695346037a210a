"""The two servers under test, behind one fixture."""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import anyio
import anyio.lowlevel
import pytest

from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.server import Manners
from tests.contract.client import Api, Document, Server
from tests.realcluster.bed import RealBed
from tests.realcluster.cluster import RealCluster
from tests.realcluster.rights import cluster_role

USERS = ("admin", "stranger", "service")
NAMESPACE = "team-a"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
"""The one resource of which a real server has no cache: its history ends where that of etcd does."""
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"


@pytest.fixture
def anyio_backend() -> str:
    """Name the only loop that aiohttp runs on."""
    return "asyncio"


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Give an empty server."""
    if request.param == "sandbox":
        async with _sandbox() as found:
            yield found
    else:
        bed: RealBed = request.getfixturevalue("real_bed")
        cluster: RealCluster = request.getfixturevalue("real_cluster")
        async with _real(bed, cluster) as found:
            yield found


@asynccontextmanager
async def _sandbox() -> AsyncIterator[Server]:
    tokens = {user: f"{user}-token" for user in USERS}
    # nobody finishes a namespace on the real servers either: no controller-manager runs there
    manners = Manners(hold_namespaces=True, version="v1.36.3")
    async with (
        SandboxCluster(tokens={token: user for user, token in tokens.items()}, manners=manners) as cluster,
        aiohttp.ClientSession() as session,
    ):
        cluster.access.grant("stranger", [])
        cluster.access.grant("service", [])

        async def grant(rules: Iterable[Document]) -> None:
            cluster.access.grant("service", rules)
            await anyio.lowlevel.checkpoint()

        async def compact() -> None:
            cluster.store.compact()
            await anyio.lowlevel.checkpoint()

        apis = _apis(session, url=cluster.url, tokens=tokens, tls=None)
        yield Server(apis=apis, grant=grant, compact=compact)


@asynccontextmanager
async def _real(bed: RealBed, cluster: RealCluster) -> AsyncIterator[Server]:
    tls = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    async with aiohttp.ClientSession() as session:

        async def grant(rules: Iterable[Document]) -> None:
            role = cluster_role("granted", *rules)
            await anyio.to_thread.run_sync(cluster.authorize, "service", [role])

        async def compact() -> None:
            await anyio.to_thread.run_sync(bed.compact)

        tokens = {user: cluster.token(user) for user in USERS}
        apis = _apis(session, url=cluster.url, tokens=tokens, tls=tls)
        yield Server(apis=apis, grant=grant, compact=compact)


def _apis(
    session: aiohttp.ClientSession, *, url: str, tokens: Mapping[str, str], tls: ssl.SSLContext | None
) -> dict[str, Api]:
    everybody = {**tokens, "nobody": "", "impostor": "no-token-of-yours"}
    return {user: Api(session, url=url, token=token, tls=tls) for user, token in everybody.items()}


@pytest.fixture
async def api(server: Server) -> Api:
    """Give an empty server with one namespace, as its administrator."""
    await server.admin.made("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    return server.admin
