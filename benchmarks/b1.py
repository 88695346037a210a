"""B1: ten thousand Secrets over a hundred clusters, created, left alone, and changed.

Compared with the floor, which writes the same Secrets over as many connections to the same servers, and with the naive
peer: as its library comes, and held to as many connections, too.

Ours is a whole pass from a cold start: it reads, logs in, lists, watches, decides, connects for its writes, writes, and
hears of its own writes. What it costs a service that runs already, and knows its clusters when the policy comes, is
shown beside it.
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import hub
from benchmarks.b6 import wait_everywhere
from benchmarks.findings import Finding, median
from benchmarks.fleet import TOKEN, Counts, Fleet
from benchmarks.machine import cpu_seconds, memory
from benchmarks.rounds import Cost, begin, compete, finish

CONTENDERS: Final = ("ours", "cold", "floor", "peer", "held")
AT_REST: Final = 1.5
"""Seconds after which the service has heard of its own writes."""
_US: Final = "µs of CPU per Secret: "
_MB: Final = "MB at the peak: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much there is to write. ``in_flight`` per cluster: connections of each contender."""

    clusters: int = 100
    namespaces: int = 100
    in_flight: int = 4
    rounds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The costs of one round, and what the servers counted while ours ran."""

    ours: Cost
    cold: Cost
    floor: Cost
    peer: Cost
    held: Cost
    """The peer with no more connections than the others."""
    counts: dict[str, Counts]


def run(sizes: Sizes) -> list[Finding]:
    """Measure."""
    rounds = []
    for number in range(sizes.rounds):
        rounds.append(_round(sizes, counting=number == 0))
        last = rounds[-1]
        spent = ", ".join(f"{who} {getattr(last, who).cpu:.2f}" for who in CONTENDERS)
        print(f"b1 round {number + 1}: seconds of CPU: {spent}", file=sys.stderr, flush=True)
    return _findings(sizes, rounds)


def _round(sizes: Sizes, *, counting: bool) -> Round:
    with Fleet(clusters=sizes.clusters, namespaces=sizes.namespaces) as fleet, tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        floor = compete("floor", str(_plan(fleet, sizes, here / "floor.json", "pull-floor")))
        directory = _hub(here / "running", fleet, sizes)
        directory.deliver(hub.password("first"), label="of-no-namespace")
        before = fleet.counts()
        ours = _fan_out(fleet, directory, sizes)
        counts = {"create": fleet.counts() - before}
        if counting:
            counts |= _repeat(fleet, directory)
        peer = compete("peer", str(_plan(fleet, sizes, here / "peer.json", "pull-peer", own_pool=True)))
        held = compete("peer", str(_plan(fleet, sizes, here / "held.json", "pull-held")))
        cold_start = _hub(here / "cold", fleet, sizes)
        cold_start.deliver(hub.password("first"), secret="pull-cold")
        cold = compete("ours", "once", str(cold_start.config))
        return Round(ours=ours, cold=cold, floor=floor, peer=peer, held=held, counts=counts)


def _hub(root: Path, fleet: Fleet, sizes: Sizes) -> hub.HubDirectory:
    directory = hub.HubDirectory(root, fleet.kubeconfig)
    directory.configure(limits={"maxInFlight": sizes.in_flight, "requestsPerSecond": 1e6, "burst": 1_000_000})
    return directory


def _fan_out(fleet: Fleet, directory: hub.HubDirectory, sizes: Sizes) -> Cost:
    """Give a policy to a service that runs, and return what that costs it, until it is at rest again."""
    service = begin("ours", "serve", str(directory.config))
    try:
        wait_everywhere(fleet, "watch secrets", 1)
        time.sleep(AT_REST)
        cpu, wall, (resident, _) = cpu_seconds(service.pid), time.monotonic(), memory(service.pid)
        directory.deliver(hub.password("first"))
        wait_everywhere(fleet, "create secrets", 2 * sizes.namespaces)  # the floor was there before
        wall = time.monotonic() - wall
        time.sleep(AT_REST)
        cpu, (_, peak) = cpu_seconds(service.pid) - cpu, memory(service.pid)
    finally:
        code = finish(service).code
    return Cost(cpu=cpu, wall=wall, imported=resident, peak=peak, code=code)


def _repeat(fleet: Fleet, directory: hub.HubDirectory) -> dict[str, Counts]:
    """Count what a restart writes, and what a changed credential does."""
    counted = {}
    before = fleet.counts()
    compete("ours", "once", str(directory.config))
    counted["restart"] = fleet.counts() - before
    directory.deliver(hub.password("second"))
    before = fleet.counts()
    compete("ours", "once", str(directory.config))
    counted["rotate"] = fleet.counts() - before
    return counted


def _plan(fleet: Fleet, sizes: Sizes, path: Path, secret: str, *, own_pool: bool = False) -> Path:
    word = hub.password("first")
    names = [f"ns-{number:04}" for number in range(sizes.namespaces)]
    requests = [
        [f"/api/v1/namespaces/{name}/secrets?fieldManager=bench", json.dumps(hub.target(word, name, secret))]
        for name in names
    ]
    plan = {
        "ca": str(fleet.ca),
        "token": TOKEN,
        "in_flight": sizes.in_flight,
        "own_pool": own_pool,
        "method": "POST",
        "clusters": [{"url": cluster.url, "requests": requests} for cluster in fleet.clusters],
    }
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


def _findings(sizes: Sizes, rounds: list[Round]) -> list[Finding]:
    targets = sizes.clusters * sizes.namespaces
    each = ", ".join(
        f"{who} {median([getattr(one, who).cpu for one in rounds]) * 1e6 / targets:.0f}" for who in CONTENDERS
    )
    peaks = ", ".join(f"{who} {median([getattr(one, who).peak for one in rounds]) / 1e6:.0f}" for who in CONTENDERS)
    counts = rounds[0].counts
    return [
        _ratio(
            "CPU from a cold start, of the floor's", [one.cold.cpu / one.floor.cpu for one in rounds], 16, _US + each
        ),
        _ratio("CPU from a cold start, of the naive peer's", [one.cold.cpu / one.peer.cpu for one in rounds], 0.35),
        _ratio(
            "peak memory, of the naive peer's", [one.cold.peak / one.peer.peak for one in rounds], 0.25, _MB + peaks
        ),
        _ratio("the same, of the peer's with our connections", [one.cold.cpu / one.held.cpu for one in rounds], None),
        _ratio(
            "peak memory, of the peer's with our connections", [one.cold.peak / one.held.peak for one in rounds], None
        ),
        _ratio("CPU of a service that runs, of the floor's", [one.ours.cpu / one.floor.cpu for one in rounds], 16),
        _ratio("CPU of a service that runs, of the peer's", [one.ours.cpu / one.peer.cpu for one in rounds], 0.35),
        _ratio("the same, of the peer's with our connections", [one.ours.cpu / one.held.cpu for one in rounds], None),
        _count("requests to create", counts["create"].writes, targets),
        _count("requests at a restart", counts["restart"].writes, 0),
        _count("requests to change", counts["rotate"].writes, targets),
    ]


def _ratio(what: str, values: list[float], at_most: float | None, note: str = "") -> Finding:
    return Finding(workload="B1", what=what, value=median(values), unit="x", at_most=at_most, note=note)


def _count(what: str, value: int, expected: int) -> Finding:
    return Finding(workload="B1", what=what, value=value, digits=0, exactly=expected)
