"""What the service asked of the API servers, by their audit logs: every write, attributed to it and to nobody else.

Feeds the tests that count.
"""

from collections.abc import Iterable

from tests.e2e.site import SERVICE
from tests.realcluster.audit import Entry
from tests.realcluster.cluster import RealCluster

READING = ("get", "secrets")


class Traffic:
    """The service's requests to some clusters from the moment this was made."""

    def __init__(self, clusters: Iterable[RealCluster]) -> None:
        self._marks = [(cluster, cluster.audit.mark()) for cluster in clusters]

    def all(self) -> list[Entry]:
        """Return every request."""
        return [entry for cluster, mark in self._marks for entry in cluster.audit.since(mark) if entry.user == SERVICE]

    def writes(self) -> list[Entry]:
        """Return every request that tried to change something, refused ones too."""
        return [entry for entry in self.all() if entry.changes]

    def reads(self) -> list[tuple[str, int]]:
        """Return namespace and answer of every single Secret that was read."""
        return [(entry.namespace, entry.code) for entry in self.all() if (entry.verb, entry.resource) == READING]

    def written(self) -> list[tuple[str, str, int]]:
        """Return verb, namespace and answer of every write, sorted."""
        return sorted((entry.verb, entry.namespace, entry.code) for entry in self.writes())
