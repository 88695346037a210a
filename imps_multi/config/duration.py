"""Durations in the configuration: ``90s``, ``5m``, ``12h``, ``7d``. Pure."""

from typing import Annotated

from pydantic import BeforeValidator

from imps_multi.model.instant import parse_duration


def _seconds(value: object) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else None
    if seconds is None or seconds <= 0:
        raise ValueError("must be a duration over zero such as 90s, 5m or 12h")
    return seconds


Duration = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=str)]
"""Seconds, written as a number with a unit."""
