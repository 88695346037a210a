"""The machine that is measured on: its cores, memory of processes, versions of what is compared.

Reads ``/proc``, so Linux only; fed by nothing, used by every workload.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PACKAGES: Final = ("aiohttp", "anyio", "kubernetes_asyncio", "msgspec", "uvloop")
ALL: Final = frozenset(os.sched_getaffinity(0))
SERVER: Final = frozenset({min(ALL)})
CLIENT: Final = frozenset({max(ALL)})
"""The server has a core of its own wherever there are two."""


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Let processes that are started inside the block run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def memory(pid: int | str = "self") -> tuple[int, int]:
    """Return the resident memory of a process now and at its peak, in bytes.

    The peak is the kernel's VmHWM: that of ``getrusage`` begins with the memory of whoever started the process.
    """
    found = {"VmRSS": 0, "VmHWM": 0}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0]) * 1024
    return found["VmRSS"], found["VmHWM"]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def description() -> list[str]:
    """Say what was measured on, line by line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        f"Date: {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC",
        f"Machine: {_processor()}, {len(ALL)} cores, {pages:.0f} GiB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, {versions}",
        f"Load at the start: {os.getloadavg()[0]:.2f}",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
