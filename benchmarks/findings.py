"""What a workload found, held against its targets, and how that is shown.

Pure. Workloads make findings; ``__main__`` prints and writes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "FAIL", "-"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure. ``at_most`` None is shown and not judged; ``exactly`` demands equality."""

    workload: str
    what: str
    value: float
    unit: str = ""
    digits: int = 2
    at_most: float | None = None
    exactly: float | None = None
    note: str = ""
    """What it was made of."""

    @property
    def verdict(self) -> Verdict:
        """Whether the target was met; a dash where there is none."""
        if self.exactly is not None:
            return "pass" if self.value == self.exactly else "FAIL"
        if self.at_most is not None:
            return "pass" if self.value <= self.at_most else "FAIL"
        return "-"

    @property
    def target(self) -> str:
        """The target in words."""
        if self.exactly is not None:
            return f"= {_number(self.exactly, 0)}"
        return "" if self.at_most is None else f"≤ {_number(self.at_most, 2)}"

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return f"{_number(self.value, self.digits)}{f' {self.unit}' if self.unit else ''}"


def median(values: Sequence[float]) -> float:
    """Return the middle one, the lower of two."""
    return sorted(values)[(len(values) - 1) // 2]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def table(findings: Sequence[Finding]) -> str:
    """Return a Markdown table."""
    rows = [("", "what", "measured", "target", "", "made of")]
    rows += [(one.workload, one.what, one.shown, one.target, one.verdict, one.note) for one in findings]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _number(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
