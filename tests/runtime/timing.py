"""How tests here deal with time."""

import pytest

virtual_time = pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
"""For a test in which time passes: run on trio's mock clock only."""

BOUND = 5.0
"""Seconds within which what a test waits for must happen."""


def no_jitter() -> float:
    """Be a random source that shortens nothing."""
    return 0.0
