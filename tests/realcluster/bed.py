"""The bed itself: one etcd, and clusters on it that are started when first asked for.

Feeds the fixtures. Whatever happens to the test process, no server outlives it: ordered stop, ``atexit``, and the
guardian for a SIGKILL.
"""

import atexit
from pathlib import Path

from tests.realcluster.apiserver import ApiServer
from tests.realcluster.binaries import Binaries
from tests.realcluster.cluster import RealCluster
from tests.realcluster.etcd import Etcd
from tests.realcluster.process import Guardian


class RealBed:
    """Real clusters by name."""

    def __init__(self, binaries: Binaries, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._guardian = Guardian()
        self._clusters: dict[str, RealCluster] = {}
        self._etcd = Etcd(binaries.etcd, directory, self._guardian)
        atexit.register(self.stop)

    def clusters(self, *names: str) -> tuple[RealCluster, ...]:
        """Return the clusters of these names, running; the missing ones are started side by side."""
        if not self._etcd.server.running:
            self._etcd.start()
        fresh = {name: self._apiserver(name) for name in names if name not in self._clusters}
        for name, apiserver in fresh.items():
            self._clusters[name] = RealCluster(name, apiserver)
            apiserver.start()
        for apiserver in fresh.values():
            apiserver.await_ready()
        return tuple(self._clusters[name] for name in names)

    def compact(self) -> None:
        """Make every older resourceVersion of every cluster expire (410 Gone) where a server has it not in memory."""
        self._etcd.compact()

    def stop(self) -> None:
        """End everything; a second call does nothing."""
        for cluster in self._clusters.values():
            cluster.stop()
        self._clusters.clear()
        self._etcd.server.stop()
        self._guardian.close()
        atexit.unregister(self.stop)

    def _apiserver(self, name: str) -> ApiServer:
        return ApiServer(
            name,
            binary=self._binaries.apiserver,
            directory=self._directory / name,
            etcd_url=self._etcd.url,
            guardian=self._guardian,
        )
