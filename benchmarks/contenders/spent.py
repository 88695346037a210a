"""What a piece of work cost the process that does it."""

import json
import time
from collections.abc import Callable

from benchmarks.machine import memory


def measure(work: Callable[[], int]) -> None:
    """Do the work and print its cost; imports and the interpreter's start are not part of the time, but of memory."""
    imported = memory()[0]
    wall, cpu = time.perf_counter(), time.process_time()
    code = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cost = {"code": code, "cpu": cpu, "wall": wall, "imported": imported, "peak": memory()[1]}
    print(json.dumps(cost), flush=True)
