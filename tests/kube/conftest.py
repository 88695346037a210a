"""What the tests of this room share: asyncio's loop and uvloop, and what the clients of a process share."""

import pytest

from imps_multi.kube.shared import Shared
from imps_multi.model.names import HubId


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}  # aiohttp runs on nothing else


@pytest.fixture
def shared() -> Shared:
    return Shared(hub=HubId("hub-1"))
