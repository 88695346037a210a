import anyio
import pytest
import trio.testing

from imps_multi.telemetry.loop_lag import LONGEST_SILENCE, LoopProbe

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_a_loop_that_keeps_time_has_no_lag_and_is_alive() -> None:
    lags: list[float] = []
    probe = LoopProbe(lags.append)
    with anyio.move_on_after(5.2):
        await probe.run()
    assert lags == [0.0] * 10
    assert probe.alive


async def test_a_loop_that_nobody_measures_is_not_alive() -> None:
    probe = LoopProbe(lambda _: None)
    assert not probe.alive
    await probe.turn()
    await anyio.sleep(LONGEST_SILENCE - 0.1)
    assert probe.alive
    await anyio.sleep(0.2)
    assert not probe.alive


async def test_a_late_wake_up_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    lags: list[float] = []
    probe = LoopProbe(lags.append)
    asleep = anyio.sleep_until

    async def late(due: float) -> None:
        await asleep(due + 0.75)

    monkeypatch.setattr(anyio, "sleep_until", late)
    await probe.turn()
    assert lags == [pytest.approx(0.75)]
