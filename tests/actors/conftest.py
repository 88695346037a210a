from collections.abc import Iterator
from typing import Any

import pytest
import structlog
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


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """Keep what is logged, and see that no credential is among it."""
    with structlog.testing.capture_logs() as events:
        yield events
    assert "token-" not in str(events)
