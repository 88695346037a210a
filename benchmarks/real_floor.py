"""Fan-out to and rotation of five hundred Secrets in one real cluster, against a bare loop that sends the same.

By hand: ``python -m benchmarks.real_floor``; it needs the servers that the tests use. Ours is the whole program as a
process, from the moment at which the registry gave the token to the last answer of the API server (by its audit log):
it checks and stores the token, composes, plans, writes, and hears of its own writes by its watches. The floor is a
process that sends the same requests, built beforehand, over as many connections, from its first request to the last
answer by the same log. Both take turns; the medians are compared.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import msgspec
import psutil

from benchmarks.bare_sender import Job, Phase
from benchmarks.findings import Finding, median, table
from imps_multi.hubs.control import Request, ask
from imps_multi.sandbox.ecr import Issued
from tests.e2e.manifests import PULL, ecr_source, policy
from tests.e2e.program import Program, printed_role
from tests.e2e.registry import Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import KEY
from tests.e2e.waiting import until
from tests.realcluster.bed import RealBed
from tests.realcluster.binaries import ensure
from tests.realcluster.cluster import RealCluster
from tests.realcluster.rights import cluster_role, rule

CONNECTIONS = 16
LIFETIME = 12 * 3600.0
FLOOR = "floor"
AT_MOST = 1.15
LOOK_SECONDS = 1.5
"""Reading the log takes CPU from those who are measured: after they are done, as it is for the floor."""
Walls: TypeAlias = tuple[float, float, float, float]
"""Seconds of the fan-out and of the rotation, and for both together the sender's CPU and the API server's."""


def ours(site: Site, cluster: RealCluster, registry: Registry, namespaces: list[str]) -> Walls:
    """Run the program: it is ready and has no token, gets one, and later another one."""
    shutil.rmtree(site.state, ignore_errors=True)
    registry.call(partial(registry.ecr.faults.fail, "AccessDeniedException"))
    with Program(site) as program:
        until(lambda: program.ready_condition("everyone") == ("False", "SourceError"), "the token is missed")
        until(lambda: program.metric("imps_target_up", target_cluster=cluster.name) == 1, "the cluster is up")
        mark, before, own = cluster.audit.mark(), cpu(cluster.pid), cpu(program.pid)
        registry.wait_for(registry.ecr.faults.heal)
        fan_out = wall(cluster, mark, registry, len(namespaces), "create")
        mark, mints = cluster.audit.mark(), registry.mints
        anyio.run(ask, site.state, Request("sync", "everyone"))  # as the command does, without another process's start
        until(lambda: registry.mints > mints, "it is minted anew")
        rotation = wall(cluster, mark, registry, len(namespaces), "update")
        used = cpu(program.pid) - own, cpu(cluster.pid) - before
    return fan_out, rotation, *used


def wall(cluster: RealCluster, mark: int, registry: Registry, count: int, verb: str) -> float:
    """Return the seconds from the newest token to the last of so many writes."""

    def ended() -> list[float]:
        return [one.ended for one in cluster.audit.since(mark) if one.user == SERVICE and one.verb == verb]

    until(lambda: len(ended()) >= count, f"{count} requests to {verb}", poll=LOOK_SECONDS)
    return max(ended()) - minted_at(registry.ecr.issued[-1])


def cpu(pid: int) -> float:
    """Return what a process has used so far."""
    times = psutil.Process(pid).cpu_times()
    used: float = times.user + times.system
    return used


def minted_at(issued: Issued) -> float:
    """Return when a token was given out."""
    return issued.expires_at.timestamp() - LIFETIME


def floor(cluster: RealCluster, namespaces: list[str], created: str, replaced: str) -> Walls:
    """Have the bare loop send the same."""
    job = Job(
        url=cluster.url,
        ca_pem=cluster.ca_pem.decode(),
        token=cluster.token(SERVICE),
        connections=CONNECTIONS,
        namespaces=namespaces,
        name=FLOOR,
        created={namespace: created.replace("NAMESPACE", namespace) for namespace in namespaces},
        replaced={namespace: replaced.replace("NAMESPACE", namespace) for namespace in namespaces},
    )
    mark, before = cluster.audit.mark(), cpu(cluster.pid)
    command = [sys.executable, "-m", "benchmarks.bare_sender"]
    done = subprocess.run(command, input=msgspec.json.encode(job), stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own
    phases = msgspec.json.decode(done.stdout, type=list[Phase])
    entries = [one for one in cluster.audit.since(mark) if one.user == SERVICE]
    ends = [max(one.ended for one in entries if one.verb == verb) for verb in ("create", "update")]
    own = sum(phase.cpu for phase in phases)
    return ends[0] - phases[0].began, ends[1] - phases[1].began, own, cpu(cluster.pid) - before


def bodies(cluster: RealCluster, namespace: str) -> tuple[str, str]:
    """Return what ours writes, as it is created and as it is replaced, with places for namespace and version."""
    there = cluster.secret(namespace, PULL)
    assert there is not None
    meta = {key: there["metadata"][key] for key in ("labels", "annotations")}
    meta |= {"name": FLOOR, "namespace": "NAMESPACE"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": there["type"], "data": there["data"]}
    changed = {
        **secret,
        "metadata": {"resourceVersion": "", **meta},
        "data": {KEY: another(there["data"][KEY])},
    }
    compact = partial(json.dumps, separators=(",", ":"))
    return compact(secret), compact(changed)


def another(content: str) -> str:
    """Return a docker config as large as this one, with other passwords."""
    config = json.loads(base64.b64decode(content))
    for entry in config["auths"].values():
        entry["password"] = entry["password"][::-1]
        entry["auth"] = base64.b64encode(f"{entry['username']}:{entry['password']}".encode()).decode()
    return base64.b64encode(json.dumps(config, separators=(",", ":")).encode()).decode()


def clear(cluster: RealCluster, namespaces: list[str]) -> None:
    """Remove what was written."""
    for namespace in namespaces:
        cluster.client().delete(f"/api/v1/namespaces/{namespace}/secrets")


def rounds(
    number: int, first: Callable[[], Walls], second: Callable[[], Walls], between: Callable[[], None]
) -> list[tuple[Walls, Walls]]:
    """Take turns, each first in every other round."""
    found: list[tuple[Walls, Walls]] = []
    for turn in range(number):
        order = (first, second) if turn % 2 else (second, first)
        results: dict[Callable[[], Walls], Walls] = {}
        for one in order:
            between()
            results[one] = one()
        found.append((results[first], results[second]))
        print(
            f"round {turn + 1}: ours {shown(results[first])}, floor {shown(results[second])}",
            file=sys.stderr,
            flush=True,
        )
    return found


def shown(walls: Walls) -> str:
    """Say the times."""
    return f"{walls[0]:.3f} s / {walls[1]:.3f} s (CPU {walls[2]:.2f} s, apiserver {walls[3]:.2f} s)"


def findings(found: list[tuple[Walls, Walls]], size: int) -> list[Finding]:
    """Compare the medians."""
    results: list[Finding] = []
    for index, what in enumerate((f"fan-out to {size}", f"rotation of {size}")):
        mine, bare = (median([turn[whose][index] for turn in found]) for whose in (0, 1))
        results.append(
            Finding(
                workload="real",
                what=f"{what}, wall against the bare loop",
                value=mine / bare,
                unit="x",
                at_most=AT_MOST,
                note=f"{mine:.3f} s against {bare:.3f} s, medians of {len(found)}",
            )
        )
    return results


def main() -> int:
    """Measure, print, and say whether the target was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_floor", description=__doc__)
    parser.add_argument("--namespaces", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Registry(lifetime=LIFETIME) as registry:
        bed = RealBed(ensure(os.environ), Path(scratch))
        try:
            (cluster,) = bed.clusters("east")
            namespaces = [f"team-{number:04}" for number in range(options.namespaces)]
            site = Site(Path(scratch) / "site")
            lay(site, cluster, registry, namespaces)
            ours(site, cluster, registry, namespaces)
            created, replaced = bodies(cluster, namespaces[0])
            found = rounds(
                options.rounds,
                partial(ours, site, cluster, registry, namespaces),
                partial(floor, cluster, namespaces, created, replaced),
                partial(clear, cluster, namespaces),
            )
        finally:
            bed.stop()
    results = findings(found, options.namespaces)
    print(table(results))
    return int(any(one.verdict == "FAIL" for one in results))


def lay(site: Site, cluster: RealCluster, registry: Registry, namespaces: list[str]) -> None:
    """Set up the installation and the cluster; our own limits are out of the way."""
    site.reach([cluster])
    site.configure(
        defaults={"requestsPerSecond": 100_000, "burst": 100_000, "maxInFlight": CONNECTIONS},
        telemetry=site.telemetry(logLevel="info", auditLog=""),
    )
    site.put("sources.yaml", ecr_source("ecr", registry))
    site.put("everyone.yaml", policy("everyone", sources=["ecr"], namespaces={"names": ["team-*"]}))
    cluster.create_namespaces(namespaces)
    cluster.authorize(SERVICE, printed_role(site))
    cluster.authorize(SERVICE, [cluster_role(FLOOR, rule("secrets", "update", names=[FLOOR]))])


if __name__ == "__main__":
    sys.exit(main())
