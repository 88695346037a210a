import math
import sys

import pytest

from imps_multi.runtime.backoff import Backoff
from imps_multi.runtime.schedule import Lane, Schedule, Taken
from tests.runtime.timing import no_jitter


def schedule() -> Schedule[str]:
    return Schedule(backoff=Backoff(initial=1, factor=2, cap=60), rand=no_jitter)


def popped(queue: Schedule[str], now: float) -> list[str]:
    """Take and end everything that is due."""
    keys: list[str] = []
    while (taken := queue.pop(now=now)) is not None:
        keys.append(taken.key)
        queue.done(taken.key, now=now)
    return keys


def test_keys_come_once_each_in_the_order_they_were_asked_for() -> None:
    queue = schedule()
    for key in ["a", "b", "a", "c", "b"]:
        queue.add(key, now=0)
    assert len(queue) == 3
    assert popped(queue, 0) == ["a", "b", "c"]
    assert len(queue) == 0


def test_urgent_keys_go_first_and_a_lane_is_raised_but_not_lowered() -> None:
    queue = schedule()
    for key, lane in [("a", 0), ("b", 1), ("c", 0), ("c", 1), ("b", 0)]:
        queue.add(key, now=0, lane=Lane(lane))
    assert popped(queue, 0) == ["b", "c", "a"]


def test_the_earliest_time_wins() -> None:
    queue = schedule()
    queue.add("later", now=0, at=10)
    queue.add("later", now=0, at=20)
    queue.add("sooner", now=0, at=20)
    queue.add("sooner", now=0, at=5)
    queue.add("now", now=0, at=20)
    queue.add("now", now=0)
    assert queue.next_time() == -math.inf
    assert popped(queue, 0) == ["now"]
    assert queue.next_time() == 5
    assert popped(queue, 4.9) == []
    assert popped(queue, 10) == ["sooner", "later"]
    assert queue.next_time() is None
    assert popped(queue, 99) == []


def test_a_delayed_key_keeps_a_lane_it_was_raised_to() -> None:
    queue = schedule()
    queue.add("delayed", now=0, at=5)
    queue.add("delayed", now=0, at=9, lane=Lane.URGENT)
    queue.add("routine", now=1)
    assert popped(queue, 5) == ["delayed", "routine"]


def test_a_key_in_flight_is_not_given_out_again_until_it_is_done() -> None:
    queue = schedule()
    queue.add("a", now=0)
    assert queue.pop(now=0) == Taken("a", Lane.ROUTINE, 0)
    queue.add("a", now=1)
    queue.add("a", now=2, lane=Lane.URGENT)
    assert queue.pop(now=3) is None
    assert (len(queue), queue.in_flight, queue.next_time()) == (0, 1, None)
    queue.done("a", now=4)
    assert queue.pop(now=4) == Taken("a", Lane.URGENT, 3)
    queue.done("a", now=5)
    assert queue.pop(now=5) is None


def test_ending_a_key_that_is_not_in_flight_is_refused() -> None:
    queue = schedule()
    queue.add("a", now=0)
    with pytest.raises(KeyError):
        queue.done("a", now=0)


def test_retries_wait_longer_each_time_until_the_key_is_forgotten() -> None:
    queue = schedule()
    assert [queue.retry("a", now=0) for _ in range(4)] == [1, 2, 4, 8]
    assert queue.failures("a") == 4
    assert queue.next_time() == 1  # the earliest of them
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.retry("a", now=0) == 1


def test_a_retry_stays_in_the_lane_it_was_taken_from() -> None:
    queue = schedule()
    queue.add("a", now=0, lane=Lane.URGENT)
    queue.pop(now=0)
    queue.retry("a", now=0)
    queue.done("a", now=0)
    assert queue.pop(now=0.5) is None
    assert queue.pop(now=1) == Taken("a", Lane.URGENT, 0)


def test_resetting_the_backoff_makes_retries_due_but_no_timer() -> None:
    queue = schedule()
    for key in ["queued", "flying"]:
        queue.add(key, now=0)
        queue.pop(now=0)
        queue.retry(key, now=0)
    queue.done("queued", now=0)
    queue.add("timer", now=0, at=100)
    queue.reset_backoff(now=0.5)
    queue.done("flying", now=0.5)
    assert popped(queue, 0.5) == ["queued", "flying"]
    assert queue.failures("queued") == 0
    assert queue.next_time() == 100


def test_a_discarded_key_does_not_come_again() -> None:
    queue = schedule()
    queue.add("ready", now=0)
    queue.add("delayed", now=0, at=5)
    queue.retry("retried", now=0)
    assert [queue.discard(key) for key in ["ready", "delayed", "retried", "unknown"]] == [True, True, True, False]
    assert queue.failures("retried") == 0
    assert popped(queue, 99) == []
    queue.add("flying", now=99)
    queue.pop(now=99)
    assert not queue.discard("flying")
    queue.add("flying", now=99)
    assert queue.discard("flying")
    queue.done("flying", now=99)
    assert popped(queue, 99) == []


def test_counts_tell_lanes_delays_flights_and_totals() -> None:
    queue = schedule()
    for key, lane, at in [("a", 1, 0), ("b", 1, 0), ("c", 0, 0), ("d", 0, 2), ("e", 0, 9)]:
        queue.add(key, now=0, lane=Lane(lane), at=at)
    queue.pop(now=0)
    queue.retry("e", now=0)
    counts = queue.counts(now=3)
    assert (counts.ready_urgent, counts.ready_routine) == (1, 3)
    assert (counts.delayed, counts.in_flight, counts.adds, counts.retries) == (0, 1, 5, 1)


def test_the_heap_does_not_grow_with_the_number_of_calls() -> None:
    queue = schedule()
    for turn in range(20_000):
        queue.add(key := str(turn % 10), now=turn, at=turn + 3600)
        queue.add(key, now=turn)
        assert queue.pop(now=turn) is not None
        queue.done(key, now=turn)
        assert len(queue._heap) < 200


def test_the_heap_does_not_grow_with_keys_that_come_and_go() -> None:
    queue = schedule()
    for turn in range(2000):
        queue.add(str(turn), now=0, at=90_000)
        queue.discard(str(turn))
    assert len(queue._heap) < 200


def test_a_key_that_left_and_came_back_for_the_same_moment_goes_to_the_end_of_the_line() -> None:
    queue = schedule()
    queue.add("left", now=0, at=5)
    queue.add("stayed", now=0, at=5)
    queue.discard("left")
    queue.add("left", now=0, at=5)
    assert popped(queue, 5) == ["stayed", "left"]


def test_what_got_due_unnoticed_goes_before_what_is_asked_for_later() -> None:
    queue = schedule()
    queue.add("timer", now=0, at=5)
    queue.add("later", now=6)
    assert popped(queue, 6) == ["timer", "later"]


def test_what_many_keys_needed_is_given_back_when_none_is_queued() -> None:
    queue = schedule()
    for number in range(1000):
        queue.add(str(number), now=0)
    full = sys.getsizeof(queue._wishes)
    assert len(popped(queue, 0)) == 1000
    assert sys.getsizeof(queue._wishes) < full / 10
