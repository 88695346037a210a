import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.runtime.backoff import Backoff
from tests.runtime.timing import no_jitter


def test_delays_grow_by_the_factor_up_to_the_cap() -> None:
    retries = Backoff(initial=1, factor=2, cap=5, jitter=0.5).start(no_jitter)
    assert [retries.next() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_a_reset_starts_from_the_initial_delay() -> None:
    retries = Backoff(initial=1, factor=3, cap=100).start(no_jitter)
    retries.next()
    retries.next()
    assert retries.attempts == 2
    retries.reset()
    assert retries.attempts == 0
    assert retries.next() == 1


def test_full_jitter_may_shorten_a_delay_to_almost_nothing() -> None:
    assert Backoff(initial=1, cap=8, jitter=1).delay(3, lambda: 0.75) == 2


@given(
    initial=st.floats(0.001, 10),
    factor=st.floats(1, 10),
    span=st.floats(1, 1000),
    jitter=st.floats(0, 1),
    attempt=st.integers(0, 10_000),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_no_delay_is_over_the_cap_or_shortened_by_more_than_the_jitter(
    initial: float, factor: float, span: float, jitter: float, attempt: int, draw: float
) -> None:
    backoff = Backoff(initial=initial, factor=factor, cap=initial * span, jitter=jitter)
    full, delay = backoff.delay(attempt, no_jitter), backoff.delay(attempt, lambda: draw)
    assert full * (1 - jitter) <= delay <= full <= backoff.cap
    assert backoff.delay(attempt + 1, no_jitter) >= full >= initial


@pytest.mark.parametrize(
    ("initial", "factor", "cap", "jitter"),
    [(0, 2, 1, 0), (2, 2, 1, 0), (1, 0.5, 2, 0), (1, 2, 2, 1.5), (1, 2, float("inf"), 0), (1, float("nan"), 2, 0)],
)
def test_values_that_make_no_backoff_are_refused(initial: float, factor: float, cap: float, jitter: float) -> None:
    with pytest.raises(ValueError, match="backoff needs"):
        Backoff(initial=initial, factor=factor, cap=cap, jitter=jitter)
