"""B6: how long a new namespace waits for its Secret while every other one is being refreshed.

Measured at the servers: from the moment a namespace is made to the moment the POST of its Secret arrives there. Both
processes read the same monotonic clock, and asking for the namespace is part of the time, so the figure errs upwards.
"""

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
    per_second: float = 100.0


Times = dict[tuple[str, str], float]
"""Moments by cluster and namespace."""


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
            waits = _waits(fleet, made)
        finally:
            finish(service)
    return _findings(sizes, waits, refreshes)


def wait_for(fleet: Fleet, request: str, number: int) -> None:
    """Wait until the servers were asked so often for something.

    Raises:
        TimeoutError: they were not.
    """
    deadline = time.monotonic() + PATIENCE
    while (seen := fleet.counts().requests[request]) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{request}: {seen} of {number} after {PATIENCE:.0f} s")
        time.sleep(0.25)


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
    targets = sizes.clusters * sizes.namespaces
    made: Times = {}
    refreshes = 0
    began = time.monotonic()
    for number in range(sizes.fresh):
        if number % 50 == 0 and fleet.counts().requests["update secrets"] >= targets * refreshes * 0.9:
            refreshes += 1
            directory.deliver(hub.password(str(refreshes)))
            _wait_begun(fleet, targets * (refreshes - 1), targets)
            began = time.monotonic() - number / sizes.per_second
        time.sleep(max(0.0, began + number / sizes.per_second - time.monotonic()))
        cluster = fleet.clusters[number % len(fleet.clusters)]
        name = f"new-{number:04}"
        made[cluster.name, name] = time.monotonic()
        fleet.order(f"/{cluster.name}/namespaces", {"names": [name], "labels": {"pull": "yes"}})
    return made, refreshes


def _wait_begun(fleet: Fleet, before: int, targets: int) -> None:
    """Wait until a refresh is under way."""
    deadline = time.monotonic() + PATIENCE
    while fleet.counts().requests["update secrets"] < before + targets * 0.02 and time.monotonic() < deadline:
        time.sleep(0.05)


def _waits(fleet: Fleet, made: Times) -> list[float]:
    waits = []
    for cluster in fleet.clusters:
        for seen in fleet.ask(f"/{cluster.name}/requests"):
            began = made.get((cluster.name, seen["namespace"]))
            if began is not None and seen["verb"] == "create" and seen["resource"] == "secrets":
                waits.append(seen["at"] - began)
    return waits


def _findings(sizes: Sizes, waits: list[float], refreshes: int) -> list[Finding]:
    p50, p99, worst = (quantile(waits, share) * 1000 for share in (0.5, 0.99, 1.0))
    made = f"{len(waits)} new namespaces during {refreshes} refreshes of {sizes.clusters} x {sizes.namespaces} Secrets"
    return [
        Finding(workload="B6", what="new namespace to Secret, p50", value=p50, unit="ms", digits=0, note=made),
        Finding(workload="B6", what="new namespace to Secret, p99", value=p99, unit="ms", digits=0, at_most=250),
        Finding(workload="B6", what="new namespace to Secret, worst", value=worst, unit="ms", digits=0),
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
