"""Counters and histograms: what happened, counted as it happens.

Fed by ``signals`` and the transport; read by the registry that it was given. No label holds a target namespace, a
Secret or an image, and none is called cluster or namespace, which Prometheus itself puts on targets.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

OPERATIONS: Final = ("create", "update", "delete")
RESULTS: Final = ("ok", "error")
ALONE: Final = ("cluster", "credential", "publisher")
ROOT: Final = ("braker", "composer", "fleet", "hub", "hub_watcher", "places", "reporter")
"""Every kind of actor that may restart: their series begin at 0, so that the first restart is an increase."""
QUEUE: Final = ("targets", "imagepullsecret")
"""The workqueue's name, and the controller's as IMPS has it."""

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ONBOARDING: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_FANOUT: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_WAITED: Final = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1000.0)


class Instruments:
    """Every counter and histogram of one service. Methods neither block nor raise."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._writes = Counter(
            "imps_secret_writes",
            "Writes of Secrets to target clusters, by what was tried and how it ended.",
            ("target_cluster", "operation", "result"),
            registry=registry,
        )
        self._uid_changes = Counter(
            "imps_target_uid_changes",
            "Targets that came to have another UID: somebody deleted them and they were made anew.",
            ("target_cluster",),
            registry=registry,
        )
        self._quarantined = Gauge(
            "imps_quarantined",
            "1 where a cluster's or a credential's actor failed too often and waits for its next trial.",
            ("kind", "name"),
            registry=registry,
        )
        self._refreshes = Counter(
            "imps_credential_refresh",
            "Credentials minted, or not, at a registry's provider.",
            ("provider", "result"),
            registry=registry,
        )
        self._state_writes = Counter(
            "imps_state_writes",
            "Writes to the state store, which a restart goes on from; one that failed is tried again.",
            ("result",),
            registry=registry,
        )
        self._restarts = Counter(
            "imps_actor_restarts",
            "Restarts of an actor after a failure that nobody foresaw.",
            ("actor",),
            registry=registry,
        )
        self._requests = Counter(
            "rest_client_requests",
            "Requests to API servers, by status code, method and host.",
            ("code", "method", "host"),
            registry=registry,
        )
        self._fanout = Histogram(
            "imps_fanout_duration_seconds",
            "From a source's change until its last reachable target is right.",
            registry=registry,
            buckets=_FANOUT,
        )
        self._onboarding = Histogram(
            "imps_namespace_onboarding_seconds",
            "From the moment a namespace is seen until its Secret is there.",
            registry=registry,
            buckets=_ONBOARDING,
        )
        self._lag = Histogram(
            "imps_event_loop_lag_seconds",
            "How late the event loop woke a timer that was due.",
            registry=registry,
            buckets=_FAST,
        )
        self._waited = Histogram(
            "workqueue_queue_duration_seconds",
            "How long a target's namespace was due before a worker took it.",
            ("name", "controller"),
            registry=registry,
            buckets=_WAITED,
        ).labels(*QUEUE)
        self._hosts: dict[str, dict[tuple[str, str], Counter]] = {}
        self._clusters: set[str] = set()
        self._children: dict[tuple[str, str, str], Counter] = {}
        self.know_provider("ecr")
        for result in RESULTS:
            self._state_writes.labels(result)
        for actor in (*ALONE, *ROOT):
            self._restarts.labels(actor)

    @property
    def clusters(self) -> frozenset[str]:
        """Every cluster that has series here."""
        return frozenset(self._clusters)

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that has series here."""
        return frozenset(self._hosts)

    def know_clusters(self, names: Iterable[str]) -> None:
        """Start the series of configured clusters at 0."""
        for name in names:
            if name not in self._clusters:
                self._clusters.add(name)
                self._uid_changes.labels(name)
                self._quarantined.labels("cluster", name)
                for operation in OPERATIONS:
                    self._write_child((name, operation, RESULTS[0]))

    def know_provider(self, name: str) -> None:
        """Start the series of a provider at 0."""
        for result in RESULTS:
            self._refreshes.labels(name, result)

    def forget_cluster(self, name: str) -> None:
        """Drop the series of a cluster that left."""
        self._clusters.discard(name)
        self._children = {key: child for key, child in self._children.items() if key[0] != name}
        _drop(self._writes, {"target_cluster": name})
        _drop(self._uid_changes, {"target_cluster": name})
        _drop(self._quarantined, {"kind": "cluster", "name": name})

    def forget_host(self, host: str) -> None:
        """Drop the series of an API server that is no longer in use."""
        self._hosts.pop(host, None)
        _drop(self._requests, {"host": host})

    def write(self, cluster: str, operation: str, result: str) -> None:
        """Count a write."""
        self._clusters.add(cluster)
        self._write_child((cluster, operation, result)).inc()

    def uid_changed(self, cluster: str) -> None:
        """Count a target that was made anew."""
        self._clusters.add(cluster)
        self._uid_changes.labels(cluster).inc()

    def quarantined(self, kind: str, name: str, *, active: bool) -> None:
        """Show whether an actor waits for its next trial; but for clusters, nothing is shown of those that do not."""
        if kind == "cluster":
            self._clusters.add(name)
        elif not active:
            _drop(self._quarantined, {"kind": kind, "name": name})
            return
        self._quarantined.labels(kind, name).set(float(active))

    def refreshed(self, provider: str, *, ok: bool) -> None:
        """Count a mint; a provider's series begin together."""
        self.know_provider(provider)
        self._refreshes.labels(provider, RESULTS[0 if ok else 1]).inc()

    def stored(self, *, ok: bool) -> None:
        """Count a write to the state store."""
        self._state_writes.labels(RESULTS[0 if ok else 1]).inc()

    def restarted(self, actor: str) -> None:
        """Count a restart of an actor of that kind."""
        self._restarts.labels(actor).inc()

    def requested(self, code: str, method: str, host: str) -> None:
        """Count a request."""
        children = self._hosts.setdefault(host, {})
        child = children.get((code, method))
        if child is None:
            child = children[code, method] = self._requests.labels(code, method, host)
        child.inc()

    def fanned_out(self, seconds: float) -> None:
        """Take in how long a change of a source took to get everywhere."""
        self._fanout.observe(seconds)

    def onboarded(self, seconds: float) -> None:
        """Take in how long a namespace waited for its first target."""
        self._onboarding.observe(seconds)

    def lagged(self, seconds: float) -> None:
        """Take in how late a timer was."""
        self._lag.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Take in how long a key was due."""
        self._waited.observe(seconds)

    def _write_child(self, labels: tuple[str, str, str]) -> Counter:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._writes.labels(*labels)
        return child


def _drop(metric: MetricWrapperBase, labels: dict[str, str]) -> None:
    metric.remove_by_labels(labels)
