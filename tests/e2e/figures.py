"""Figures that the tests measure on the way: printed, and kept with the test's report, never asserted.

Feeds whoever reads the output of ``pytest -s`` or the JUnit file.
"""

import sys
from collections.abc import Sequence


def figure(what: str, value: float, unit: str = "s") -> None:
    """Write one figure down."""
    sys.stdout.write(f"figure: {what}: {value:.3f} {unit}\n")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
