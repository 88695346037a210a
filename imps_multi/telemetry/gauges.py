"""Gauges: how things stand, computed from one snapshot when somebody scrapes.

A pure function from a snapshot to metric families; between scrapes nothing is kept up, so at rest gauges cost nothing.
"""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from imps_multi.model.report import ClusterReport, Phase
from imps_multi.model.target_plan import State
from imps_multi.telemetry.instruments import QUEUE
from imps_multi.telemetry.snapshot import MetricsSnapshot, QueueCounts, Reload

STATUSES = ("True", "False", "Unknown")
_IN_CONTACT = frozenset({Phase.UP, Phase.PAUSED})


def families(
    snapshot: MetricsSnapshot, departed: Sequence[ClusterReport], *, queue: QueueCounts, version: str, python: str
) -> Iterator[Metric]:
    """Return every gauge. ``departed`` left lately; ``queue`` sums the queues, its counts growing only."""
    yield InfoMetricFamily("imps_build", "What runs here.", value={"version": version, "python_version": python})
    yield _plain("imps_targets_configured", "Clusters in the configuration.", len(snapshot.clusters))
    yield from cluster_families(snapshot.clusters, departed)
    yield from _source_families(snapshot)
    yield _conditions(snapshot)
    yield from _reload_families("imps_config", "configuration", snapshot.configuration)
    yield from _reload_families("imps_hub", "hub", snapshot.hub)
    yield from _queue_families(queue)


def is_up(report: ClusterReport) -> bool:
    """Whether the last contact succeeded, authorised, and everything that is watched was listed whole."""
    return report.synced and report.contact.phase in _IN_CONTACT and report.contact.reason in {"", "Paused"}


def cluster_families(clusters: Sequence[ClusterReport], departed: Sequence[ClusterReport]) -> Iterator[Metric]:
    """Return the gauges of each cluster; those that left show what they showed last, and that they are not up."""
    up = GaugeMetricFamily(
        "imps_target_up",
        "1 while the last contact with the cluster succeeded, authorised, and all that is watched there is known.",
        labels=["target_cluster"],
    )
    contact = GaugeMetricFamily(
        "imps_target_last_contact_timestamp_seconds",
        "When the cluster last answered.",
        labels=["target_cluster"],
    )
    secrets = GaugeMetricFamily(
        "imps_target_secrets",
        "Targets in the cluster by how they stand.",
        labels=["target_cluster", "state"],
    )
    expiry = GaugeMetricFamily(
        "imps_delivered_credential_expiration_timestamp_seconds",
        "The earliest expiry of what lies in the cluster's targets.",
        labels=["target_cluster"],
    )
    for report in clusters:
        up.add_metric([report.settings.name], float(is_up(report)))
    for report in departed:
        up.add_metric([report.settings.name], 0.0)
    for report in (*clusters, *departed):
        name = report.settings.name
        if report.contact.last_contact is not None:
            contact.add_metric([name], report.contact.last_contact)
        for state in State:
            count = sum(getattr(tally, state.value) for tally in report.policies.values())
            secrets.add_metric([name, state.value], count)
        expires_at = delivered_expiry(report)
        if expires_at is not None:
            expiry.add_metric([name], expires_at)
    yield from (up, contact, secrets, expiry)


def delivered_expiry(report: ClusterReport) -> float | None:
    """Return the earliest expiry of what lies in a cluster's targets, as far as it is known."""
    known = [tally.expires_at for tally in report.policies.values()]
    return min((at for at in [report.expires_at, *known] if at is not None), default=None)


def _source_families(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    labels = ["source_namespace", "source_name"]
    expiry = GaugeMetricFamily(
        "imps_credential_expiration_timestamp_seconds", "When the source's credential expires.", labels=labels
    )
    refresh = GaugeMetricFamily(
        "imps_credential_last_refresh_timestamp_seconds", "When the source's credential was minted.", labels=labels
    )
    for source in snapshot.sources:
        where = [source.ref.namespace, source.ref.name]
        if source.expires_at is not None:
            expiry.add_metric(where, source.expires_at)
        if source.issued_at is not None:
            refresh.add_metric(where, source.issued_at)
    yield from (expiry, refresh)


def _conditions(snapshot: MetricsSnapshot) -> Metric:
    family = GaugeMetricFamily(
        "imps_status_condition",
        "1 for the status that each condition of a policy has.",
        labels=["name", "condition", "status"],
    )
    for name, conditions in snapshot.policies.items():
        for condition in conditions:
            for status in STATUSES:
                family.add_metric([name, condition.type, status], float(condition.status == status))
    return family


def _reload_families(prefix: str, what: str, reload: Reload) -> Iterator[Metric]:
    yield _plain(
        f"{prefix}_last_reload_successful", f"1 where the last reading of the {what} was good.", reload.successful
    )
    if reload.succeeded_at is not None:
        yield _plain(
            f"{prefix}_last_reload_success_timestamp_seconds",
            f"When the {what} was last read well.",
            reload.succeeded_at,
        )


def _queue_families(queue: QueueCounts) -> Iterator[Metric]:
    labels = ["name", "controller"]
    depth = GaugeMetricFamily(
        "workqueue_depth", "Namespaces that are due and wait for a worker, over all clusters.", labels=labels
    )
    depth.add_metric(QUEUE, queue.depth)
    adds = CounterMetricFamily("workqueue_adds", "Namespaces that were put into a queue.", labels=labels)
    adds.add_metric(QUEUE, queue.adds)
    retries = CounterMetricFamily("workqueue_retries", "Namespaces that were put back after a failure.", labels=labels)
    retries.add_metric(QUEUE, queue.retries)
    yield from (depth, adds, retries)


def _plain(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=float(value))
