"""What the tests of this room share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Aiohttp runs on asyncio."""
    return "asyncio"
