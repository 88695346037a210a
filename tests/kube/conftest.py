"""What the tests of this room share: both loops, what the clients of a process share, clusters to talk to."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.names import HubId
from tests.kube.scripted import client_of
from tests.kube.world import World, real_world, sandbox_world
from tests.realcluster.pki import Authority, write


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}  # aiohttp runs on nothing else


@pytest.fixture
def shared() -> Shared:
    return Shared(hub=HubId("hub-1"))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("kube")


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    """Give a server's context that asks for client certificates and takes none as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(authority.serving(), tmp_path, "serving"))
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Give a cluster with the namespace team-a."""
    made = sandbox_world() if request.param == "sandbox" else real_world(request.getfixturevalue("real_cluster"))
    async with made as found:
        await found.namespace("team-a", labels={"team": "a"})
        yield found


@pytest.fixture
async def client(world: World, shared: Shared) -> AsyncIterator[TargetClient]:
    async with client_of(world.connection, shared, request_timeout=15.0) as found:
        yield found
