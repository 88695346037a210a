"""The one service that most tests of this room look at: two real clusters, two registries, a directory hub.

Each test brings policies, sources and namespaces of its own, named after the defect, and leaves the rest alone. Feeds
the tests by ``conftest``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.e2e.manifests import ecr_source, policy
from tests.e2e.program import Program
from tests.e2e.registry import Registry
from tests.e2e.site import Site
from tests.e2e.targets import Logins, by_namespace, logins
from tests.e2e.traffic import Traffic
from tests.e2e.waiting import until
from tests.realcluster.audit import Entry
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

ACCOUNT_HOST = "{}.dkr.ecr.{}.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the tests share."""

    clusters: tuple[RealCluster, ...]
    site: Site
    registry: Registry
    """A registry that always works."""
    weak: Registry
    """A registry that is made to fail; whoever does heals it."""
    program: Program

    @property
    def east(self) -> RealCluster:
        """The first of the clusters."""
        return self.clusters[0]

    def serve(self, name: str, *manifests: Manifest, namespaces: Iterable[str] = ()) -> None:
        """Create namespaces in every cluster, and lay manifests into the hub as one file."""
        for cluster in self.clusters:
            cluster.create_namespaces(namespaces)
        self.site.put(f"{name}.yaml", *manifests)

    def await_reason(self, name: str, *reasons: str) -> None:
        """Wait until a policy is Ready, or not, for one of these reasons."""
        until(lambda: self.program.ready_condition(name)[1] in reasons, f"{name} says {' or '.join(reasons)}")

    def await_synced(self, name: str, count: int) -> None:
        """Wait until a policy has so many targets, all in sync."""
        until(lambda: self.program.in_sync(name, count), f"{name} has {count} targets in sync")

    def logins(self, prefix: str) -> list[Logins]:
        """Return what the targets in namespaces with a prefix let a kubelet log in with, cluster by cluster."""
        return [
            logins(secret)
            for cluster in self.clusters
            for namespace, secret in sorted(by_namespace(cluster).items())
            if namespace.startswith(prefix)
        ]


class Writes:
    """What the service wrote into namespaces with a prefix from the moment this was made."""

    def __init__(self, stage: Stage, prefix: str) -> None:
        self._traffic = Traffic(stage.clusters)
        self._prefix = prefix

    def seen(self) -> list[tuple[str, str, int]]:
        """Return verb, namespace and answer of each."""
        return sorted((one.verb, one.namespace, one.code) for one in self._entries())

    def _entries(self) -> list[Entry]:
        return [one for one in self._traffic.writes() if one.namespace.startswith(self._prefix)]


def spaces(defect: str, count: int = 3) -> tuple[str, ...]:
    """Return the namespaces of one test."""
    return tuple(f"{defect}-{number}" for number in range(count))


def team(defect: str, *sources: str, **given: object) -> Manifest:
    """Return the policy of one test: its own namespaces, in every cluster."""
    namespaces = given.pop("namespaces", {"names": [f"{defect}-*"]})
    return policy(defect, sources=sources, namespaces=namespaces, **given)  # type: ignore[arg-type]  # parts of a manifest


def ecr(name: str, registry: Registry, **data: str) -> Manifest:
    """Return an ECR source with some keys of its Secret replaced, so that it is an identity of its own."""
    source = ecr_source(name, registry)
    return {**source, "stringData": {**source["stringData"], "stsEndpointURL": registry.url, **data}}
