"""A cluster and a client for the tests of the sandbox itself: faults, counters, and what a contract cannot ask."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from imps_multi.sandbox.cluster import SandboxCluster
from tests.contract.client import Api


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Name the loops that aiohttp runs on: connections are torn differently on each."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def cluster() -> AsyncIterator[SandboxCluster]:
    """Give a cluster with two namespaces, open to everybody."""
    async with SandboxCluster(name="east", namespaces=["team-a", "team-b"]) as found:
        yield found


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client session."""
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture
def api(cluster: SandboxCluster, session: aiohttp.ClientSession) -> Api:
    """Give a client of the cluster."""
    return Api(session, url=cluster.url, token="", tls=None)
