"""`python -m benchmarks [WORKLOAD …] [--SIZE NUMBER …]`: measure, print a table, and say whether every target was met.

All workloads at their full sizes, as `make bench` runs them, are written to ``benchmarks/RESULTS.md``; a part, or other
sizes, only with ``--write``. Ends with 1 where a target was missed.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import b1, b6, b7, b10, keepers
from benchmarks.findings import Finding, table
from benchmarks.machine import description

RESULTS: Final = Path(__file__).parent / "RESULTS.md"
WORKLOADS: Final[dict[str, tuple[Any, Callable[[Any], list[Finding]]]]] = {
    "b1": (b1.Sizes, b1.run),
    "b6": (b6.Sizes, b6.run),
    "b7": (b7.Sizes, b7.run),
    "b10": (b10.Sizes, b10.run),
    "keepers": (keepers.Sizes, keepers.run),
}
MEANING: Final = """\
B1: create ten thousand Secrets over a hundred clusters. "cold" is a whole pass (`run --once`) with every log-in, list
and watch: it reads, decides, writes, and hears of its own writes; "ours" is what the same costs a service that runs and
knows its clusters already. The floor only sends the same requests, built beforehand, over as many connections, and
parses nothing; the naive peer is kubernetes_asyncio's typed call, one task per Secret, as the library comes: it opens a
connection for each Secret of a cluster, a hundred. "with our connections": its pool is held to as many as we have.
B6: a namespace is made while every Secret of the fleet is being refreshed. B7: one cluster's Secrets are rotated at its
default limits. B10: memory of the idle process, and what one more thing costs. keepers: what a token keeper holds at
rest, what a mint costs after the first, and how many mints a crowd of sources takes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    options = _arguments(argv)
    chosen = options.workload or list(WORKLOADS)
    given = {name: value for name in _sizes() if (value := getattr(options, name)) is not None}
    lines, findings = description(), list[Finding]()
    for name in chosen:
        kind, run = WORKLOADS[name]
        fields = {field.name for field in dataclasses.fields(kind)}
        print(f"{name} …", file=sys.stderr, flush=True)
        findings += run(kind(**{size: value for size, value in given.items() if size in fields}))
    text = "\n".join(
        ["# Benchmark results", "", *(f"- {line}" for line in lines), "", table(findings), "", MEANING, ""]
    )
    print(text)
    if options.write or not (options.workload or given):
        RESULTS.write_text(text, encoding="utf-8")
    return int(any(finding.verdict == "FAIL" for finding in findings))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workload", nargs="*", help=f"of {', '.join(WORKLOADS)}; all where none is named")
    parser.add_argument("--write", action="store_true", help="write the results of a part, or of other sizes, too")
    for name, usual in _sizes().items():
        shown = ", ".join(f"{workload} {value:g}" for workload, value in usual.items())
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(next(iter(usual.values()))), help=shown)
    options = parser.parse_args(argv)
    for name in options.workload:
        if name not in WORKLOADS:
            parser.error(f"no workload {name!r}; there are {', '.join(WORKLOADS)}")
    return options


def _sizes() -> dict[str, dict[str, float]]:
    """Return every size with the usual value in each workload that has it."""
    found: dict[str, dict[str, float]] = {}
    for workload, (kind, _) in WORKLOADS.items():
        for field in dataclasses.fields(kind):
            found.setdefault(field.name, {})[workload] = field.default  # type: ignore[assignment]  # all have one
    return found


if __name__ == "__main__":
    sys.exit(main())
