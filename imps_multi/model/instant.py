"""Times as text: RFC 3339 in UTC, to the second, and the durations that annotations carry. Pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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
    """Read ``90s``, ``5m``, ``12h``, ``7d``, as in Go ``1h30m``, ``1.5h``, in seconds; None for anything else."""
    if _DURATION.fullmatch(text or "") is None:
        return None
    return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text or ""))
