"""That writes of state are counted, however they end."""

import pytest

from imps_multi.app.counted_store import CountedStore
from imps_multi.ports import Section, Transient
from imps_multi.telemetry.metrics import Metrics
from tests.actors.fakes import FakeStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One loop is as good as the other here."""
    return "asyncio"


def counted(metrics: Metrics) -> dict[str, float]:
    value = metrics.registry.get_sample_value
    return {result: value("imps_state_writes_total", {"result": result}) or 0 for result in ("ok", "error")}


async def test_writes_of_state_are_counted_by_how_they_end() -> None:
    inner, metrics = FakeStore(), Metrics()
    store = CountedStore(inner, metrics.instruments.stored)
    assert counted(metrics) == {"ok": 0, "error": 0}
    await store.save(Section.TOKENS, "a", b"1")
    assert await store.load(Section.TOKENS) == {"a": b"1"}
    await store.delete(Section.TOKENS, "a")
    assert await store.load(Section.TOKENS) == {}
    assert counted(metrics) == {"ok": 2, "error": 0}
    inner.failing = True
    with pytest.raises(Transient):
        await store.save(Section.TOKENS, "a", b"1")
    with pytest.raises(Transient):
        await store.delete(Section.TOKENS, "a")
    assert counted(metrics) == {"ok": 2, "error": 2}
