"""Running contenders, each in a process of its own on the client's core.

Used by the workloads; ``contenders`` says what such a process is.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.machine import CLIENT, pinned

LONGEST: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a contender's work cost: seconds of CPU and wall, bytes resident before it and at the peak."""

    cpu: float
    wall: float
    imported: int
    peak: int
    code: int


def compete(name: str, *arguments: str) -> Cost:
    """Run a contender to its end."""
    command = [sys.executable, "-m", f"benchmarks.contenders.{name}", *arguments]
    with pinned(CLIENT):
        done = subprocess.run(  # noqa: S603 - our own interpreter and modules
            command, stdout=subprocess.PIPE, text=True, timeout=LONGEST, check=True, env=quiet()
        )
    return Cost(**json.loads(done.stdout))


def begin(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a contender that runs until it is told to end."""
    command = [sys.executable, "-m", f"benchmarks.contenders.{name}", *arguments]
    with pinned(CLIENT):
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet())  # noqa: S603 - as above


def finish(process: subprocess.Popen[str]) -> Cost:
    """Tell a contender to end, and return what it cost."""
    process.terminate()
    try:
        out, _ = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Cost(**json.loads(out))


def quiet() -> dict[str, str]:
    """Return the environment without what would change the measurement."""
    unwanted: Sequence[str] = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONTRACEMALLOC")
    return {name: value for name, value in os.environ.items() if name not in unwanted}
