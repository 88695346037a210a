"""B10: what the process holds when nothing happens.

Several services run side by side, each against servers of its own size, and are looked at after a while; what one more
cluster, Secret or namespace costs is the difference between two of them.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hub
from benchmarks.b6 import wait_for
from benchmarks.findings import Finding
from benchmarks.fleet import Fleet
from benchmarks.machine import memory
from benchmarks.rounds import begin, finish, quiet

IMPORTS = {
    "libraries alone (aiohttp, anyio, msgspec, uvloop)": "import aiohttp, anyio, msgspec, uvloop",
    "imps_multi.app": "import imps_multi.app",
    "every library": "import imps_multi.app, kubernetes_asyncio, aiobotocore.session",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The fleet that is looked at after ``rest`` seconds, and how much more each of the others has."""

    clusters: int = 3
    namespaces: int = 100
    foreign: int = 10_000
    more: int = 10_000
    more_clusters: int = 50
    rest: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A fleet; ``managed`` False: no policy selects anything there."""

    clusters: int
    namespaces: int
    foreign: int = 0
    managed: bool = True


def run(sizes: Sizes) -> list[Finding]:
    """Measure."""
    findings = [_import(what, code) for what, code in IMPORTS.items()]
    usual = Scene(clusters=sizes.clusters, namespaces=sizes.namespaces)
    crowded = Scene(clusters=sizes.clusters, namespaces=sizes.namespaces, foreign=sizes.foreign)
    few, many = Scene(clusters=1, namespaces=100), Scene(clusters=1, namespaces=100 + sizes.more)
    unmanaged = Scene(clusters=1, namespaces=100 + sizes.more, managed=False)
    idle = Scene(clusters=1, namespaces=100, managed=False)
    fleet = Scene(clusters=1 + sizes.more_clusters, namespaces=0)
    lone = Scene(clusters=1, namespaces=0)
    held = _held([usual, crowded], sizes.rest)
    held |= _held([few, many, unmanaged, idle, fleet, lone], sizes.rest / 4)
    return [
        *findings,
        _resident(f"{sizes.clusters} x {sizes.namespaces} namespaces, {sizes.rest:.0f} s after sync", held[usual], 90),
        _resident(f"more with {sizes.foreign:,} foreign Secrets per cluster", held[crowded] - held[usual], 10),
        _each("kB per idle cluster", held[fleet] - held[lone], sizes.more_clusters * 1000, 300),
        _each("B per namespace", held[unmanaged] - held[idle], sizes.more, 175),
        _each("B per managed Secret", held[many] - held[few] - held[unmanaged] + held[idle], sizes.more, 300),
    ]


def _held(scenes: list[Scene], rest: float) -> dict[Scene, int]:
    """Run services side by side, let them rest, and return what each holds."""
    with ExitStack() as stack:
        services = {}
        for scene in scenes:
            fleet = stack.enter_context(
                Fleet(clusters=scene.clusters, namespaces=scene.namespaces, foreign=scene.foreign)
            )
            directory = hub.HubDirectory(
                Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ours", fleet.kubeconfig
            )
            directory.configure(limits={"requestsPerSecond": 1e5, "burst": 100_000})
            directory.deliver(hub.password("first"), label="pull" if scene.managed else "no-such-label")
            services[scene] = begin("ours", "serve", str(directory.config))
            stack.callback(finish, services[scene])
            wait_for(fleet, "watch secrets", scene.clusters)
            wait_for(fleet, "create secrets", scene.clusters * scene.namespaces if scene.managed else 0)
        time.sleep(rest)
        return {scene: memory(service.pid)[0] for scene, service in services.items()}


def _import(what: str, code: str) -> Finding:
    program = f"{code}\nfrom benchmarks.machine import memory\nprint(memory()[0])"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=quiet())  # noqa: S603 - our own
    return _resident(f"after import of {what}", int(done.stdout))


def _resident(what: str, held: int, at_most: float | None = None) -> Finding:
    return Finding(workload="B10", what=what, value=held / 1e6, unit="MB", digits=1, at_most=at_most)


def _each(what: str, held: int, number: int, at_most: float) -> Finding:
    return Finding(workload="B10", what=what, value=held / number, digits=0, at_most=at_most)
