"""B6: how long a new namespace waits for its Secret while every other one is being refreshed.

Measured at the servers: from the moment a namespace is made to the moment the POST of its Secret arrives there. Both
processes read the same monotonic clock, and asking for the namespace is part of the time, so the figure errs upwards.
A refresh is begun when four fifths of the last are through; a namespace that was made when none was under way, by the
servers' own log, does not count.
"""

import math
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import hub
from benchmarks.findings import Finding, quantile
from benchmarks.fleet import Fleet
from benchmarks.rounds import begin, finish

PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The fleet, and how many namespaces are made how fast while it is refreshed."""

    clusters: int = 100
    namespaces: int = 100
    fresh: int = 600
    enough: int = 500
    """So many of them must be made while a refresh is under way."""
    per_second: float = 100.0


Where = tuple[str, str]
Times = dict[Where, float]
"""Moments, or seconds, by cluster and namespace."""
Log = list[tuple[str, dict[str, Any]]]
"""What each cluster was asked."""
LOOK_EVERY: Final = 5
"""Namespaces between two looks at how far a refresh is."""
PAUSE: Final = 0.1
"""Seconds without a write, after which no refresh is under way."""


def run(sizes: Sizes) -> list[Finding]:
    """Measure."""
    with Fleet(clusters=sizes.clusters, namespaces=sizes.namespaces) as fleet, tempfile.TemporaryDirectory() as scratch:
        directory = hub.HubDirectory(Path(scratch) / "ours", fleet.kubeconfig)
        directory.deliver(hub.password("0"))
        service = begin("ours", "serve", str(directory.config))
        try:
            wait_for(fleet, "create secrets", sizes.clusters * sizes.namespaces)
            made, refreshes = _make(fleet, directory, sizes)
            wait_for(fleet, "create secrets", sizes.clusters * sizes.namespaces + len(made))
            log = [
                (cluster.name, seen) for cluster in fleet.clusters for seen in fleet.ask(f"/{cluster.name}/requests")
            ]
        finally:
            finish(service)
    waits = _waits(log, made)
    amid = _amid(log, made)
    return _findings(sizes, waits, amid, refreshes)


def wait_for(fleet: Fleet, request: str, number: int, *, every: float = 0.25) -> None:
    """Wait until the servers were asked so often for something.

    Raises:
        TimeoutError: they were not.
    """
    deadline = time.monotonic() + PATIENCE
    while (seen := fleet.counts().requests[request]) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{request}: {seen} of {number} after {PATIENCE:.0f} s")
        time.sleep(every)


def wait_everywhere(fleet: Fleet, request: str, number: int) -> None:
    """Wait until each cluster was asked so often; one is looked at at a time, so that looking costs next to nothing.

    Raises:
        TimeoutError: one was not.
    """
    deadline = time.monotonic() + PATIENCE
    for cluster in fleet.clusters:
        while fleet.ask(f"/{cluster.name}")["counts"].get(request, 0) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{request} in {cluster.name}: not {number} after {PATIENCE:.0f} s")
            time.sleep(0.1)


def _make(fleet: Fleet, directory: hub.HubDirectory, sizes: Sizes) -> tuple[Times, int]:
    """Make the namespaces, evenly over the clusters and over time, while refreshes follow one another."""
    enough = sizes.clusters * sizes.namespaces * 0.8
    made: Times = {}
    refreshes, written = 0, 0
    began = time.monotonic()
    for number in range(sizes.fresh):
        if number % LOOK_EVERY == 0:
            now = fleet.counts().requests["update secrets"]
            if not refreshes or now - written >= enough:
                refreshes, written = refreshes + 1, now
                directory.deliver(hub.password(str(refreshes)))
        if not number:
            wait_for(fleet, "update secrets", 1, every=0.01)
            began = time.monotonic()
        time.sleep(max(0.0, began + number / sizes.per_second - time.monotonic()))
        cluster = fleet.clusters[number % len(fleet.clusters)]
        name = f"new-{number:04}"
        made[cluster.name, name] = time.monotonic()
        fleet.order(f"/{cluster.name}/namespaces", {"names": [name], "labels": {"pull": "yes"}})
    return made, refreshes


def _waits(log: Log, made: Times) -> Times:
    """Return how long each namespace waited for its Secret."""
    asked = {(cluster, seen["namespace"]): seen["at"] for cluster, seen in log if _what(seen) == "create secrets"}
    return {where: asked[where] - began for where, began in made.items() if where in asked}


def _amid(log: Log, made: Times) -> set[Where]:
    """Return the namespaces that were made while a refresh was under way: writes came just before and just after."""
    moments = [-math.inf, *sorted(seen["at"] for _, seen in log if _what(seen) == "update secrets"), math.inf]
    after = {where: bisect_left(moments, at) for where, at in made.items()}
    return {where for where in made if moments[after[where]] - moments[after[where] - 1] < PAUSE}


def _what(seen: Mapping[str, Any]) -> str:
    return f"{seen['verb']} {seen['resource']}"


def _findings(sizes: Sizes, waits: Times, amid: set[Where], refreshes: int) -> list[Finding]:
    seconds = [wait for where, wait in waits.items() if where in amid]
    p50, p99, worst = (quantile(seconds, share) * 1000 for share in (0.5, 0.99, 1.0))
    note = (
        f"{len(seconds)} new namespaces during {refreshes} refreshes of {sizes.clusters} x {sizes.namespaces} Secrets"
    )
    return [
        Finding(workload="B6", what="new namespace to Secret, p50", value=p50, unit="ms", digits=0, note=note),
        Finding(workload="B6", what="new namespace to Secret, p99", value=p99, unit="ms", digits=0, at_most=250),
        Finding(workload="B6", what="new namespace to Secret, worst", value=worst, unit="ms", digits=0),
        Finding(
            workload="B6",
            what="namespaces made between two refreshes, not counted",
            value=len(waits) - len(seconds),
            digits=0,
            at_most=sizes.fresh - sizes.enough,
        ),
        Finding(
            workload="B6",
            what="namespaces without one request each",
            value=abs(len(waits) - sizes.fresh),
            digits=0,
            exactly=0,
        ),
    ]


def fits(sizes: Sizes) -> bool:
    """Say whether the servers' logs keep every request of a run."""
    per_cluster = sizes.namespaces * (2 + math.ceil(sizes.fresh / 50)) + sizes.fresh / sizes.clusters
    return per_cluster < 9_000
