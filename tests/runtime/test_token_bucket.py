import anyio
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.runtime.token_bucket import RateLimiter, TokenBucket
from tests.runtime.timing import BOUND, virtual_time


def drain(bucket: TokenBucket, now: float) -> int:
    taken = 0
    while bucket.take(now):
        taken += 1
    return taken


def test_a_full_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    assert drain(bucket, 100.0) == 5
    assert bucket.wait_time(100.0) == pytest.approx(0.1)
    assert drain(bucket, 100.3) == 3
    assert drain(bucket, 200.0) == 5


def test_a_token_that_is_given_back_is_there_for_the_next_and_never_too_many() -> None:
    bucket = TokenBucket(rate=0.001, burst=2, floor=0.001)
    assert drain(bucket, 100.0) == 2
    bucket.give_back()
    assert drain(bucket, 100.0) == 1
    for _ in range(5):
        bucket.give_back()
    assert drain(bucket, 100.0) == 2


def test_halving_empties_the_bucket_and_counts_once_per_settling_time() -> None:
    bucket = TokenBucket(rate=100, burst=50, recovery=1e9)
    bucket.halve(0.0)
    bucket.halve(0.5)
    assert bucket.rate(0.5) == pytest.approx(50)
    assert drain(bucket, 0.5) == 25
    bucket.halve(1.0)
    assert bucket.rate(1.0) == pytest.approx(25)


def test_the_rate_never_falls_under_the_floor() -> None:
    bucket = TokenBucket(rate=100, burst=1, floor=30, recovery=1e9, settle=0)
    for second in range(10):
        bucket.halve(float(second))
    assert bucket.rate(10.0) == pytest.approx(30)


def test_the_rate_recovers_in_a_straight_line_up_to_the_full_one() -> None:
    bucket = TokenBucket(rate=100, burst=100, recovery=60)
    bucket.halve(0.0)
    assert bucket.rate(15.0) == pytest.approx(75)
    assert bucket.rate(30.0) == pytest.approx(100)
    assert bucket.rate(999.0) == 100


def test_the_tokens_of_a_recovery_are_those_under_its_line() -> None:
    bucket = TokenBucket(rate=100, burst=10_000, recovery=60)
    bucket.halve(0.0)
    # half a minute from 50/s to 100/s, then ten seconds at 100/s
    assert drain(bucket, 40.0) == 75 * 30 + 100 * 10


def test_a_pause_holds_everything_and_is_never_shortened() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    bucket.pause_until(20.0)
    bucket.pause_until(15.0)
    assert drain(bucket, 19.9) == 0
    assert bucket.wait_time(10.0) == pytest.approx(0.1)  # time does not go back
    assert drain(bucket, 20.0) == 5


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"burst": 0.5}, {"floor": 0}, {"recovery": 0}, {"settle": -1}])
def test_values_that_make_no_bucket_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a bucket needs"):
        TokenBucket(**{"rate": 1, "burst": 1} | wrong)


@given(
    rate=st.floats(0.5, 500),
    burst=st.floats(1, 500),
    steps=st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["take", "halve", "pause"])), max_size=60),
)
def test_no_stretch_of_time_gives_more_than_burst_and_rate_allow(
    rate: float, burst: float, steps: list[tuple[float, str]]
) -> None:
    bucket = TokenBucket(rate=rate, burst=burst, recovery=10)
    now = 1000.0
    taken: list[tuple[float, int]] = []
    for wait, act in steps:
        now += wait
        match act:
            case "halve":
                bucket.halve(now)
            case "pause":
                bucket.pause_until(now + wait)
            case _:
                taken.append((now, drain(bucket, now)))
        assert min(1.0, rate) <= bucket.rate(now) <= rate
    for first, (start, _) in enumerate(taken):
        given_out = 0
        for end, number in taken[first:]:
            given_out += number
            assert given_out <= burst + rate * (end - start) + 1e-3


@given(
    age=st.sampled_from([0.0, 1e4, 1e6, 1e9]),
    rate=st.floats(1, 500),
    turns=st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=30),
)
def test_after_the_waiting_time_a_token_is_there_however_old_the_clock(
    age: float, rate: float, turns: list[tuple[float, bool, bool]]
) -> None:
    bucket = TokenBucket(rate=rate, burst=1, recovery=10, settle=0)
    now = age
    for idle, halve, pause in turns:
        now += idle
        if halve:
            bucket.halve(now)
        if pause:
            bucket.pause_until(now + idle)
        now += bucket.wait_time(now)
        now += bucket.wait_time(now)  # what rounding has left over
        assert bucket.take(now)


@pytest.mark.anyio
@virtual_time
async def test_takers_are_served_in_order_at_the_rate() -> None:
    limiter = RateLimiter(TokenBucket(rate=10, burst=2))
    began = anyio.current_time()
    served: list[tuple[int, float]] = []

    async def take(number: int) -> None:
        await limiter.take()
        served.append((number, round(anyio.current_time() - began, 2)))

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            for number in range(5):
                await wait_all_tasks_blocked()
                group.start_soon(take, number)
    assert [number for number, _ in served] == [0, 1, 2, 3, 4]
    assert [at for _, at in served] == pytest.approx([0.0, 0.0, 0.1, 0.2, 0.3], abs=0.02)


@pytest.mark.anyio
@virtual_time
async def test_a_pause_that_comes_while_someone_waits_holds_them_too() -> None:
    limiter = RateLimiter(TokenBucket(rate=1, burst=1))
    began = anyio.current_time()
    with anyio.fail_after(60):
        await limiter.take()
        async with anyio.create_task_group() as group:
            group.start_soon(limiter.take)
            await anyio.sleep(0.5)
            limiter.pause_for(30)
    assert anyio.current_time() - began == pytest.approx(30.5, abs=0.01)


@pytest.mark.anyio
@virtual_time
async def test_a_halving_that_comes_while_someone_waits_slows_them_too() -> None:
    limiter = RateLimiter(TokenBucket(rate=10, burst=1, recovery=1e9))
    began = anyio.current_time()
    with anyio.fail_after(BOUND):
        await limiter.take()
        async with anyio.create_task_group() as group:
            group.start_soon(limiter.take)
            await anyio.sleep(0.05)
            limiter.halve()
    assert limiter.rate == pytest.approx(5)
    assert anyio.current_time() - began == pytest.approx(0.25, abs=0.01)


@pytest.mark.anyio
async def test_nobody_gets_a_token_past_those_who_wait() -> None:
    limiter = RateLimiter(bucket := TokenBucket(rate=0.001, burst=1, floor=0.001))
    assert limiter.take_nowait()
    assert not limiter.take_nowait()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(limiter.take)
            await wait_all_tasks_blocked()
            bucket._tokens = 1.0
            assert not limiter.take_nowait()
            group.cancel_scope.cancel()
    assert limiter.take_nowait()


@pytest.mark.anyio
async def test_one_who_is_cancelled_while_waiting_takes_nothing_and_lets_the_next_come() -> None:
    limiter = RateLimiter(bucket := TokenBucket(rate=0.001, burst=1, floor=0.001))
    with anyio.fail_after(BOUND):
        await limiter.take()
        async with anyio.create_task_group() as group:
            group.start_soon(limiter.take)
            group.start_soon(limiter.take)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        bucket._tokens = 1.0
        await limiter.take()
