"""A server that lets requests queue gets fewer at once; a far one gets them all."""

from hypothesis import given
from hypothesis import strategies as st

from imps_multi.runtime.window import LASTING, Rush, Window


def serve(window: Window, *, travel: float, per_second: float, answers: int = 400) -> float:
    """Let a server answer so many that were sent at the window's size; return the last answer's time."""
    seconds = 0.0
    for _ in range(answers):
        seconds = travel + window.size / per_second
        window.answered(seconds)
    return seconds


def test_it_begins_with_all_of_them() -> None:
    assert Window(16, least=4).size == 16


def test_a_busy_server_gets_fewer_until_they_hardly_queue() -> None:
    window = Window(16, least=4)
    window.answered(0.005)  # at rest, before
    assert serve(window, travel=0.0, per_second=500, answers=100) < 0.025
    assert 4 <= window.size <= 11


def test_one_that_is_slower_still_gets_the_least() -> None:
    window = Window(16, least=4)
    window.answered(0.005)
    serve(window, travel=0.0, per_second=100, answers=100)
    assert window.size == 4


def test_a_far_server_gets_all_of_them() -> None:
    window = Window(16, least=4)
    serve(window, travel=0.1, per_second=500)
    assert window.size == 16


def test_one_that_recovers_gets_more_again() -> None:
    window = Window(16, least=4)
    window.answered(0.005)
    serve(window, travel=0.0, per_second=100, answers=100)
    serve(window, travel=0.0, per_second=5000, answers=100)
    assert window.size == 16


def test_a_link_that_became_longer_is_learned() -> None:
    window = Window(16, least=4)
    window.answered(0.005)
    serve(window, travel=0.1, per_second=5000, answers=4000)
    assert window.size == 16


@given(most=st.integers(1, 64), least=st.integers(1, 8), answers=st.lists(st.floats(0.0, 10.0), max_size=200))
def test_its_size_stays_within_bounds(most: int, least: int, answers: list[float]) -> None:
    window = Window(most, least=least)
    for seconds in answers:
        window.answered(seconds)
        assert min(least, most) <= window.size <= most


def test_a_rush_lasts_for_a_moment_after_the_last_of_what_cannot_wait() -> None:
    rush = Rush()
    assert not rush.lasts(0.0)
    rush.begin(0.0)
    assert rush.lasts(LASTING * 0.9)
    rush.begin(LASTING * 0.9)
    assert rush.lasts(LASTING * 1.8)
    assert not rush.lasts(LASTING * 1.9)
