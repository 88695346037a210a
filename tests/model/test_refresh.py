"""A token's life: when it is refreshed, retried, refused."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imps_multi.model.credential import MintedToken
from imps_multi.model.refresh import (
    RECHECK,
    Refused,
    accept,
    fresh_enough,
    needs_refresh,
    next_refresh,
    retry_delay,
)

HOUR = 3600.0
TWELVE_HOURS = 12 * HOUR
NOW = 1_900_000_000.0
IN_2015 = 1_420_070_400.0
MARK = "MARKEDVALUE"

lives = st.floats(10, 100 * HOUR)
jitters = st.floats(-1, 1)
moments = st.floats(IN_2015, 2 * NOW)


def token(expires_at: float | None, issued_at: float = NOW, password: str = MARK) -> MintedToken:
    return MintedToken(username="AWS", password=password, issued_at=issued_at, expires_at=expires_at)


@pytest.mark.parametrize(
    ("life", "jitter", "expected"),
    [
        (TWELVE_HOURS, 0.0, 6 * HOUR),
        (TWELVE_HOURS, 1.0, 6.6 * HOUR),
        (TWELVE_HOURS, -1.0, 5.4 * HOUR),
        (TWELVE_HOURS, -50.0, 5.4 * HOUR),
        (20.0, 0.0, 10.0),
        (8.0, 0.0, 5.0),
        (-HOUR, 0.0, 5.0),
    ],
)
def test_a_refresh_comes_at_half_of_the_life(life: float, jitter: float, expected: float) -> None:
    assert next_refresh(NOW, NOW + life, jitter) == pytest.approx(NOW + expected)


@given(moments, lives, jitters)
def test_a_refresh_comes_before_the_end_and_never_too_often(issued_at: float, life: float, jitter: float) -> None:
    pause = next_refresh(issued_at, issued_at + life, jitter) - issued_at
    assert pause >= 5 - 1e-6
    assert pause >= min(RECHECK, life / 4) - 1e-6
    assert pause <= max(5, 0.55 * life) + 1e-6


@given(moments, moments, jitters)
def test_an_expiry_in_the_past_does_not_make_refreshes_loop(issued_at: float, expires_at: float, jitter: float) -> None:
    assume(expires_at <= issued_at)
    assert next_refresh(issued_at, expires_at, jitter) >= issued_at + 5 - 1e-6


def test_a_suspend_past_the_due_time_is_seen_at_the_next_look() -> None:
    due = next_refresh(NOW, NOW + TWELVE_HOURS, 0)
    assert not needs_refresh(due - 1, due=due, issued_at=NOW)
    assert needs_refresh(due + 30 * HOUR, due=due, issued_at=NOW)


def test_a_clock_set_back_to_before_the_issue_asks_for_a_new_token() -> None:
    due = next_refresh(NOW, NOW + TWELVE_HOURS, 0)
    assert needs_refresh(NOW - HOUR, due=due, issued_at=NOW)
    assert not needs_refresh(NOW - 2, due=due, issued_at=NOW)


@given(st.floats(-30 * HOUR, 30 * HOUR), lives, jitters)
def test_after_any_clock_step_one_mint_is_enough(step: float, life: float, jitter: float) -> None:
    """Whatever the clock did, a token issued by the new clock is not due at once."""
    now = NOW + step
    renewed = accept(token(now + life), now, TWELVE_HOURS)
    assert isinstance(renewed, MintedToken)
    assert renewed.expires_at is not None
    due = next_refresh(renewed.issued_at, renewed.expires_at, jitter)
    assert not needs_refresh(now, due=due, issued_at=renewed.issued_at)


@pytest.mark.parametrize(
    ("failures", "remaining", "expected"),
    [
        (0, None, 1.0),
        (1, None, 1.0),
        (2, None, 2.0),
        (6, None, 32.0),
        (12, None, 300.0),
        (10**9, None, 300.0),
        (12, 6 * HOUR, 300.0),
        (12, 400.0, 100.0),
        (12, 8.0, 5.0),
        (1, 8.0, 1.0),
        (12, 0.0, 5.0),
        (12, -400.0, 100.0),
        (12, -HOUR, 300.0),
    ],
)
def test_retries_double_up_to_a_quarter_of_what_is_left(
    failures: int, remaining: float | None, expected: float
) -> None:
    assert retry_delay(failures, remaining, -1) == pytest.approx(expected)


@given(st.integers(1, 10**6), st.none() | st.floats(-HOUR, TWELVE_HOURS), jitters)
def test_jitter_shortens_a_retry_by_a_fifth_at_most(failures: int, remaining: float | None, jitter: float) -> None:
    whole = retry_delay(failures, remaining, -1)
    assert 0.8 * whole - 1e-9 <= retry_delay(failures, remaining, jitter) <= whole <= 300


def test_jitter_spreads_retries() -> None:
    assert len({retry_delay(9, None, jitter / 10) for jitter in range(-10, 11)}) == 21


def test_an_answer_without_expiry_lives_as_documented() -> None:
    assert accept(token(None), NOW, TWELVE_HOURS) == token(NOW + TWELVE_HOURS)


def test_an_answer_counts_as_issued_now() -> None:
    assert accept(token(NOW + HOUR, issued_at=NOW + 5 * HOUR), NOW, TWELVE_HOURS) == token(NOW + HOUR)


def test_an_expiry_in_a_hundred_years_is_capped_at_twice_the_documented_life() -> None:
    for expiry in (NOW + 100 * 365 * 24 * HOUR, math.inf):
        assert accept(token(expiry), NOW, TWELVE_HOURS) == token(NOW + 2 * TWELVE_HOURS)


@pytest.mark.parametrize("expires_at", [IN_2015, 0.0, -math.inf, math.nan, NOW, NOW + 9.9])
def test_a_token_that_ends_now_or_in_2015_is_refused(expires_at: float) -> None:
    refused = accept(token(expires_at), NOW, TWELVE_HOURS)
    assert isinstance(refused, Refused)
    assert "expiry" in refused.message


@pytest.mark.parametrize(
    ("username", "password", "says"),
    [
        ("", MARK, "user:password"),
        ("AWS", "", "user:password"),
        (f"A:{MARK}", MARK, "user:password"),
        ("AWS", MARK * 6000, "64 KiB"),
    ],
)
def test_nonsense_is_refused_without_being_shown(username: str, password: str, says: str) -> None:
    refused = accept(MintedToken(username, password, NOW, NOW + HOUR), NOW, TWELVE_HOURS)
    assert isinstance(refused, Refused)
    assert says in refused.message
    assert MARK not in refused.message


@given(st.none() | st.floats(), moments, st.floats(60, 100 * HOUR))
def test_whatever_is_accepted_has_a_life_that_can_be_scheduled(
    expires_at: float | None, now: float, documented: float
) -> None:
    judged = accept(token(expires_at), now, documented)
    if isinstance(judged, MintedToken):
        assert judged.expires_at is not None
        assert now + 10 <= judged.expires_at <= now + 2 * documented
        assert now < next_refresh(judged.issued_at, judged.expires_at, -1) < judged.expires_at
        assert fresh_enough(judged, now)


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, True), (5.9 * HOUR, True), (6 * HOUR, False), (13 * HOUR, False), (-30, True), (-HOUR, False)],
)
def test_a_restart_mints_only_when_half_of_the_life_is_gone_or_the_clock_is_set_back(
    age: float, *, expected: bool
) -> None:
    assert fresh_enough(token(NOW + TWELVE_HOURS), NOW + age) is expected


@pytest.mark.parametrize("expires_at", [None, IN_2015, NOW])
def test_a_restart_does_not_trust_a_token_without_a_life(expires_at: float | None) -> None:
    assert not fresh_enough(token(expires_at), NOW)


@given(moments, lives, st.floats(0, 1), st.floats(0, 1))
def test_a_token_that_is_fresh_enough_at_a_restart_is_not_due_at_once(
    issued_at: float, life: float, part: float, jitter: float
) -> None:
    stored, now = token(issued_at + life, issued_at=issued_at), issued_at + part * life
    assume(fresh_enough(stored, now))
    assert not needs_refresh(now, due=next_refresh(issued_at, issued_at + life, jitter) + 1e-6, issued_at=issued_at)
