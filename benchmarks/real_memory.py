"""Resident memory of ``run`` on three real kube-apiservers of a hundred namespaces each, with and without strangers.

By hand: ``python -m benchmarks.real_memory``; it needs the servers that the tests use. Prints figures after the sync
and a minute later, first in clusters of their own, then with ten thousand foreign Secrets in each.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.manifests import docker_source, ecr_source, policy
from tests.e2e.program import Program, printed_role
from tests.e2e.registry import Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.waiting import until
from tests.realcluster.bed import RealBed
from tests.realcluster.binaries import ensure
from tests.realcluster.client import in_bulk
from tests.realcluster.cluster import RealCluster

TEAMS = tuple(f"team-{number:03}" for number in range(100))
STRANGERS, STRANGER_BYTES = 10_000, 3_000


def lay(site: Site, clusters: tuple[RealCluster, ...], registry: Registry) -> None:
    """Set up the installation and the clusters."""
    site.reach(clusters)
    site.configure()
    site.put("sources.yaml", ecr_source("ecr", registry), docker_source("docker", password="docker-password"))
    site.put("everyone.yaml", policy("everyone", sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))
    role = printed_role(site)
    for cluster in clusters:
        cluster.create_namespaces(TEAMS)
        cluster.authorize(SERVICE, role)


def add_strangers(cluster: RealCluster, count: int) -> None:
    """Create foreign Secrets, spread over the namespaces."""
    in_bulk(
        cluster.client().create,
        (
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": f"stranger-{number}", "namespace": TEAMS[number % len(TEAMS)]},
                "stringData": {"value": "x" * STRANGER_BYTES},
            }
            for number in range(count)
        ),
    )


def measure(site: Site, seconds: float) -> tuple[float, float]:
    """Run the service from nothing; return its resident memory in MB right after the sync and some time later."""
    shutil.rmtree(site.state, ignore_errors=True)  # so that it mints
    with Program(site) as program:
        until(lambda: program.in_sync("everyone", 3 * len(TEAMS)), "all targets are in sync")
        synced = program.resident
        time.sleep(seconds)
        return synced, program.resident


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_memory", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long after the sync the second look is")
    parser.add_argument("--strangers", type=int, default=STRANGERS, help="foreign Secrets in each cluster")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Registry() as registry:
        bed = RealBed(ensure(os.environ), Path(scratch))
        try:
            clusters = bed.clusters("east", "north", "west")
            site = Site(Path(scratch) / "site")
            lay(site, clusters, registry)
            plain = measure(site, options.seconds)
            print(
                f"3 x 100 namespaces: {plain[0]:.1f} MB after the sync, {plain[1]:.1f} MB {options.seconds:.0f} s later"
            )
            sys.stdout.flush()
            for cluster in clusters if options.strangers else ():
                add_strangers(cluster, options.strangers)
            again = measure(site, options.seconds)
            print(f"with {options.strangers} strangers each: {again[0]:.1f} MB, then {again[1]:.1f} MB")
            print(f"gained by the strangers: {again[1] - plain[1]:.1f} MB")
        finally:
            bed.stop()


if __name__ == "__main__":
    main()
