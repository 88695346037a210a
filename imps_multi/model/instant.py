"""Times as text: RFC 3339 in UTC, to the second, and the durations that annotations carry. Pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def format_instant(seconds: float) -> str:
    """Write seconds since the epoch as ``2026-01-02T03:04:05Z``."""
    return datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None).isoformat() + "Z"


def format_optional(seconds: float | None) -> str | None:
    """Write a time that may be missing."""
    return None if seconds is None else format_instant(seconds)


@lru_cache(maxsize=256)  # asked at every look, of few different times
def parse_instant(text: str | None) -> float | None:
    """Read an RFC 3339 time; None for anything else."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.timestamp() if moment is not None and moment.tzinfo is not None else None


def parse_duration(text: str | None) -> float | None:
    """Read ``90s``, ``5m``, ``12h``, ``7d`` in seconds; None for anything else."""
    found = _DURATION.fullmatch(text or "")
    return float(found[1]) * _UNITS[found[2]] if found else None
