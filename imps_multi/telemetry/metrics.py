"""The service's metrics: counters that are fed, gauges that are looked up, and who left in between.

Owns its registry, so that two services in one process do not meet. Fed by ``signals``, by the transport's hook and by
the snapshot; read by ``server``. A scrape happens on the event loop, so nothing here needs a lock.
"""

import platform
import time
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import imps_multi
from imps_multi.model.names import ClusterName
from imps_multi.model.report import ClusterReport
from imps_multi.ports import Clock
from imps_multi.telemetry.departures import Departures
from imps_multi.telemetry.gauges import families
from imps_multi.telemetry.instruments import Instruments
from imps_multi.telemetry.snapshot import MetricsSnapshot, QueueCounts, Snapshot


class Metrics(Collector):
    """One service's metrics. Give ``registry`` more collectors where a test or a benchmark wants them."""

    def __init__(self, *, clock: Clock = time.time, version: str = imps_multi.__version__) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)  # first, so that a scrape shows the counters of a cluster that it just met
        self.instruments = Instruments(self.registry)
        self._clock = clock
        self._version = version
        self._snapshot: Snapshot = MetricsSnapshot
        self._clusters = Departures()
        self._hosts = Departures()
        self._last_reports: dict[ClusterName, ClusterReport] = {}
        self._queues = _GrowingCounts()

    def watch(self, snapshot: Snapshot) -> None:
        """Say where gauges are looked up from now on."""
        self._snapshot = snapshot

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition and its content type: OpenMetrics where the ``Accept`` header asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def requested(self, code: str, method: str, host: str) -> None:
        """Count a request to an API server: the transport's hook."""
        self.instruments.requested(code, method, host)

    def describe(self) -> list[Metric]:
        """Declare nothing: names that come at scrape time are known by the tests."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Look at the service once, and return every gauge."""
        snapshot = self._snapshot()
        departed = self._settle(snapshot)
        queue = self._queues.sum(snapshot.queues)
        yield from families(snapshot, departed, queue=queue, version=self._version, python=platform.python_version())

    def _settle(self, snapshot: MetricsSnapshot) -> list[ClusterReport]:
        """Start the series of who came, drop those of who left long ago; return the last reports of who left lately."""
        now = self._clock()
        present = {report.settings.name: report for report in snapshot.clusters}
        self.instruments.know_clusters(present)
        self._last_reports |= present
        for provider in {source.provider for source in snapshot.sources if source.issued_at is not None}:
            self.instruments.know_provider(provider)
        remembered = self.instruments.clusters | self._last_reports.keys()
        for name in self._clusters.settle(present, remembered, now=now):
            self.instruments.forget_cluster(name)
            self._last_reports.pop(ClusterName(name), None)
        if snapshot.hosts is not None:
            for host in self._hosts.settle(snapshot.hosts, self.instruments.hosts, now=now):
                self.instruments.forget_host(host)
        return [report for name, report in self._last_reports.items() if name not in present]


class _GrowingCounts:
    """Sums counters of queues that come, go and start anew, so that the sum never falls."""

    def __init__(self) -> None:
        self._seen: dict[ClusterName, QueueCounts] = {}
        self._adds = 0
        self._retries = 0

    def sum(self, queues: Mapping[ClusterName, QueueCounts]) -> QueueCounts:
        for name, now in queues.items():
            before = self._seen.get(name, QueueCounts())
            if now.adds < before.adds:  # a new queue under the old name
                before = QueueCounts()
            self._adds += now.adds - before.adds
            self._retries += max(0, now.retries - before.retries)
        self._seen = dict(queues)
        return QueueCounts(sum(one.depth for one in queues.values()), self._adds, self._retries)
