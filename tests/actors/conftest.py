from typing import Any

import pytest
import trio.testing

from tests.actors.stage import Stage


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time passes only when nothing else can happen."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def stage() -> Stage:
    """Nothing in the hub, no cluster."""
    return Stage()
