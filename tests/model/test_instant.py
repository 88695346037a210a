"""Times and durations as texts that anybody may have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.instant import format_instant, format_optional, parse_duration, parse_instant


@given(st.floats(-60_000_000_000, 250_000_000_000))
def test_what_is_written_is_read_to_the_second(moment: float) -> None:
    assert parse_instant(format_instant(moment)) == int(moment)


@given(st.text() | st.none())
def test_any_text_can_be_read(text: str | None) -> None:
    assert parse_instant(text) is None or isinstance(parse_instant(text), float)
    assert parse_duration(text) is None or isinstance(parse_duration(text), float)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000.0),
        ("2027-01-15T10:00:00+02:00", 1_800_000_000.0),
        ("2027-01-15T08:00:00", None),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140.0),
        ("tomorrow", None),
        ("", None),
        (None, None),
    ],
)
def test_an_instant_is_read_with_its_zone_or_not_at_all(text: str | None, moment: float | None) -> None:
    assert parse_instant(text) == moment


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("7d", 604_800.0),
        ("1h30m", 5400.0),
        ("1h 30m", None),
        ("-1h", None),
        ("1", None),
        (None, None),
    ],
)
def test_a_duration_is_numbers_each_with_a_unit(text: str | None, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


def test_a_time_that_is_missing_stays_so() -> None:
    assert format_optional(None) is None
    assert format_optional(1_800_000_000.9) == "2027-01-15T08:00:00Z"
