"""What the tests of this room share: asyncio (aiohttp runs on nothing else), and what clients of a process share."""

import pytest

from imps_multi.kube.shared import Shared
from imps_multi.model.names import HubId


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shared() -> Shared:
    return Shared(hub=HubId("hub-1"))
