from typing import Any

import pytest
import trio.testing


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every backend; on trio, time passes only when nothing else can happen."""
    if request.param == "trio":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return "asyncio", {"use_uvloop": request.param == "uvloop"}
