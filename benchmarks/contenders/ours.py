"""The service itself, as the command line runs it: `ours once CONFIG` makes one pass, `ours serve CONFIG` serves."""

import sys
from pathlib import Path

from benchmarks.contenders.spent import measure
from imps_multi.app import run_once, run_service


def main() -> None:
    how, config = sys.argv[1], Path(sys.argv[2])
    run = {"once": run_once, "serve": run_service}[how]
    measure(lambda: run(config, observe=False))


if __name__ == "__main__":
    main()
