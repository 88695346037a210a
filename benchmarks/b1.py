"""B1: ten thousand Secrets over a hundred clusters, created, left alone, and changed.

Compared with the floor and with the naive peer, which write the same Secrets over as many connections to the same
servers. Ours is the whole service: it reads its configuration, logs in, lists, watches, decides, writes, and hears of
its own writes by its watches.
"""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hub
from benchmarks.findings import Finding, median
from benchmarks.fleet import TOKEN, Counts, Fleet
from benchmarks.rounds import Cost, compete


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
    floor: Cost
    peer: Cost
    counts: dict[str, Counts]


def run(sizes: Sizes) -> list[Finding]:
    """Measure."""
    rounds = []
    for number in range(sizes.rounds):
        rounds.append(_round(sizes, counting=number == 0))
        last = rounds[-1]
        spent = f"ours {last.ours.cpu:.2f}, floor {last.floor.cpu:.2f}, peer {last.peer.cpu:.2f}"
        print(f"b1 round {number + 1}: seconds of CPU: {spent}", file=sys.stderr, flush=True)
    return _findings(sizes, rounds)


def _round(sizes: Sizes, *, counting: bool) -> Round:
    with Fleet(clusters=sizes.clusters, namespaces=sizes.namespaces) as fleet, tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        directory = hub.HubDirectory(here / "ours", fleet.kubeconfig)
        directory.configure(limits={"maxInFlight": sizes.in_flight, "requestsPerSecond": 1e6, "burst": 1_000_000})
        directory.deliver(hub.password("first"))
        floor = compete("floor", str(_plan(fleet, sizes, here / "floor.json", "pull-floor")))
        before = fleet.counts()
        ours = compete("ours", "once", str(directory.config))
        counts = {"create": fleet.counts() - before}
        if counting:
            counts |= _repeat(fleet, directory)
        peer = compete("peer", str(_plan(fleet, sizes, here / "peer.json", "pull-peer")))
        return Round(ours=ours, floor=floor, peer=peer, counts=counts)


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


def _plan(fleet: Fleet, sizes: Sizes, path: Path, secret: str) -> Path:
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
        "method": "POST",
        "clusters": [{"url": cluster.url, "requests": requests} for cluster in fleet.clusters],
    }
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


def _findings(sizes: Sizes, rounds: list[Round]) -> list[Finding]:
    targets = sizes.clusters * sizes.namespaces
    each = 1e6 / targets
    ours, floor, peer = (median([getattr(one, who).cpu for one in rounds]) for who in ("ours", "floor", "peer"))
    made = f"µs of CPU per Secret: ours {ours * each:.0f}, floor {floor * each:.0f}, peer {peer * each:.0f}"
    peak, peer_peak = (median([getattr(one, who).peak for one in rounds]) for who in ("ours", "peer"))
    memory = f"MB at the peak: ours {peak / 1e6:.0f}, peer {peer_peak / 1e6:.0f}"
    to_floor = median([one.ours.cpu / one.floor.cpu for one in rounds])
    to_peer = median([one.ours.cpu / one.peer.cpu for one in rounds])
    to_peak = median([one.ours.peak / one.peer.peak for one in rounds])
    counts = rounds[0].counts
    return [
        Finding(workload="B1", what="CPU, of the floor's", value=to_floor, unit="x", at_most=16, note=made),
        Finding(workload="B1", what="CPU, of the naive peer's", value=to_peer, unit="x", at_most=0.35),
        Finding(
            workload="B1", what="peak memory, of the naive peer's", value=to_peak, unit="x", at_most=0.25, note=memory
        ),
        _count("requests to create", counts["create"].writes, targets),
        _count("requests at a restart", counts["restart"].writes, 0),
        _count("requests to change", counts["rotate"].writes, targets),
    ]


def _count(what: str, value: int, expected: int) -> Finding:
    return Finding(workload="B1", what=what, value=value, digits=0, exactly=expected)
