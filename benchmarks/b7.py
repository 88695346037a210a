"""B7: a rotated credential reaches all Secrets of one big cluster, at the rate that is allowed there.

The floor is arithmetic: so many requests, less the burst, at so many per second.
"""

import base64
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hub
from benchmarks.b6 import wait_for
from benchmarks.findings import Finding
from benchmarks.fleet import Fleet
from benchmarks.rounds import begin, finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """One cluster, and its limits: the service's own defaults."""

    namespaces: int = 10_000
    per_second: float = 200.0
    burst: int = 400


def run(sizes: Sizes) -> list[Finding]:
    """Measure."""
    with Fleet(clusters=1, namespaces=sizes.namespaces) as fleet, tempfile.TemporaryDirectory() as scratch:
        directory = hub.HubDirectory(Path(scratch) / "ours", fleet.kubeconfig)
        _limit(directory, per_second=1e5, burst=100_000)  # the filling is not what is measured
        directory.deliver(hub.password("first"))
        service = begin("ours", "serve", str(directory.config))
        try:
            wait_for(fleet, "create secrets", sizes.namespaces)
            _limit(directory, per_second=sizes.per_second, burst=sizes.burst)
            time.sleep(3)  # the new limits mean a new start of the cluster's actor, which lists anew
            before = fleet.counts()
            directory.deliver(hub.password("second"))
            wait_for(fleet, "update secrets", sizes.namespaces)
            moments = _updates(fleet)
            time.sleep(0.5)  # for a request too many
            counts = fleet.counts() - before
            stale = _stale(fleet, hub.password("second"))
        finally:
            finish(service)
    floor = (sizes.namespaces - sizes.burst) / sizes.per_second
    seconds = max(moments) - min(moments)
    made = f"{seconds:.1f} s for {sizes.namespaces:,} Secrets; the cap allows {floor:.1f} s"
    return [
        Finding(
            workload="B7",
            what="rotation, of the cap's time",
            value=seconds / floor,
            unit="x",
            at_most=55 / 48,
            note=made,
        ),
        Finding(workload="B7", what="answers 429", value=counts.statuses["429"], digits=0, exactly=0),
        Finding(workload="B7", what="requests to change", value=counts.writes, digits=0, exactly=sizes.namespaces),
        Finding(workload="B7", what="targets without the new credential", value=stale, digits=0, exactly=0),
    ]


def _limit(directory: hub.HubDirectory, *, per_second: float, burst: int) -> None:
    directory.configure(limits={"requestsPerSecond": per_second, "burst": burst})


def _updates(fleet: Fleet) -> list[float]:
    """Return when the changes arrived, as far as the server remembers: as many as there are targets."""
    requests = fleet.ask(f"/{fleet.clusters[0].name}/requests")
    return [seen["at"] for seen in requests if seen["verb"] == "update" and seen["resource"] == "secrets"]


def _stale(fleet: Fleet, word: str) -> int:
    """Count the targets that give another password, or none, to the registry."""
    expected = base64.b64encode(f"AWS:{word}".encode()).decode()
    stale = 0
    for secret in fleet.secrets(hub.SECRET).values():
        content = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
        stale += content["auths"][hub.REGISTRY]["auth"] != expected
    return stale
