import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from imps_multi.model.credential import SourceKind, SourceState
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName
from imps_multi.model.policy import SourceRef
from imps_multi.model.report import Phase, PolicyTally
from imps_multi.model.status import Condition
from imps_multi.telemetry.metrics import Metrics
from imps_multi.telemetry.snapshot import MetricsSnapshot, QueueCounts, Reload
from tests.telemetry.records import report

NAMES = [
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_queue_duration_seconds",
    "workqueue_retries_total",
    "rest_client_requests_total",
    "imps_build_info",
    "imps_targets_configured",
    "imps_target_up",
    "imps_target_last_contact_timestamp_seconds",
    "imps_target_secrets",
    "imps_secret_writes_total",
    "imps_target_uid_changes_total",
    "imps_fanout_duration_seconds",
    "imps_namespace_onboarding_seconds",
    "imps_delivered_credential_expiration_timestamp_seconds",
    "imps_credential_expiration_timestamp_seconds",
    "imps_credential_last_refresh_timestamp_seconds",
    "imps_credential_refresh_total",
    "imps_state_writes_total",
    "imps_status_condition",
    "imps_actor_restarts_total",
    "imps_quarantined",
    "imps_event_loop_lag_seconds",
    "imps_config_last_reload_successful",
    "imps_config_last_reload_success_timestamp_seconds",
]

SOURCE = SourceState(
    ref=SourceRef(NamespaceName("registry-access"), "ecr"),
    kind=SourceKind.MINTED,
    provider="ecr",
    issued_at=1000.0,
    expires_at=2000.0,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def samples(metrics: Metrics) -> dict[str, float]:
    """Scrape once: each sample by its name and labels, sorted, as text."""
    text = metrics.render()[0].decode()
    return {
        f"{one.name}{dict(sorted(one.labels.items()))}" if one.labels else one.name: one.value
        for family in parse_text(text)
        for one in family.samples
    }


def of(snapshot: MetricsSnapshot, *, clock: Clock | None = None) -> Metrics:
    metrics = Metrics(clock=clock or Clock())
    metrics.watch(lambda: snapshot)
    return metrics


def busy() -> Metrics:
    """Return metrics in which everything has something to say."""
    conditions = (Condition("Ready", "True", "AllSynced", "", "2026-01-01T00:00:00Z", 1),)
    metrics = of(
        MetricsSnapshot(
            clusters=(report(policies={"p": PolicyTally(in_sync=2, held=1, expires_at=50.0)}),),
            policies={PolicyName("p"): conditions},
            sources=(SOURCE,),
            configuration=Reload(successful=True, succeeded_at=7.0),
        )
    )
    metrics.requested("200", "GET", "10.0.0.1:6443")
    metrics.instruments.restarted("cluster")
    return metrics


@pytest.mark.parametrize("name", NAMES)
def test_every_promised_name_is_there_with_help_and_type(name: str) -> None:
    text = busy().render()[0].decode()
    assert f"# HELP {name} " in text
    assert f"# TYPE {name} " in text
    assert re.search(rf"^{name}(_count|_bucket)?[{{ ]", text, re.MULTILINE)


def test_no_label_is_called_cluster_or_namespace_and_nothing_says_when_it_was_created() -> None:
    text = busy().render()[0].decode()
    assert re.search(r"[{,](cluster|namespace)=", text) is None
    assert "_created" not in text


def test_openmetrics_is_spoken_when_asked_for_and_is_valid() -> None:
    body, content_type = busy().render("application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]  # the library left it untyped
    assert {"imps_secret_writes", "imps_build", "workqueue_adds"} <= names


def test_plain_text_is_spoken_otherwise() -> None:
    assert busy().render("*/*")[1].startswith("text/plain; version=0.0.4")


def test_two_services_in_one_process_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.instruments.write("a", "create", "ok")
    assert [name for name in samples(second) if "imps_secret_writes" in name] == []


def test_a_configured_cluster_starts_at_zero_in_its_first_scrape() -> None:
    seen = samples(of(MetricsSnapshot(clusters=(report("a", phase=Phase.STARTING, synced=False, last_contact=None),))))
    assert seen["imps_target_up{'target_cluster': 'a'}"] == 0
    assert seen["imps_target_uid_changes_total{'target_cluster': 'a'}"] == 0
    for operation in ("create", "update", "delete"):
        key = f"imps_secret_writes_total{{'operation': '{operation}', 'result': 'ok', 'target_cluster': 'a'}}"
        assert seen[key] == 0
    assert "imps_target_last_contact_timestamp_seconds{'target_cluster': 'a'}" not in seen


@pytest.mark.parametrize(
    ("phase", "reason", "synced", "up"),
    [
        (Phase.UP, "", True, 1),
        (Phase.UP, "", False, 0),
        (Phase.STARTING, "", True, 0),
        (Phase.DEGRADED, "Unreachable", True, 0),
        (Phase.UP, "Forbidden", True, 0),
        (Phase.QUARANTINED, "Duplicate", True, 0),
        (Phase.PAUSED, "Paused", True, 1),
        (Phase.PAUSED, "Unreachable", True, 0),
    ],
)
def test_a_target_is_up_only_in_contact_and_synced(phase: Phase, reason: str, *, synced: bool, up: int) -> None:
    seen = samples(of(MetricsSnapshot(clusters=(report("a", phase=phase, reason=reason, synced=synced),))))
    assert seen["imps_target_up{'target_cluster': 'a'}"] == up


def test_targets_are_summed_over_policies_and_the_earliest_expiry_is_shown() -> None:
    tallies = {
        "p": PolicyTally(in_sync=2, held=1, expires_at=50.0),
        "q": PolicyTally(in_sync=3, failed=4, expires_at=40.0),
    }
    seen = samples(of(MetricsSnapshot(clusters=(report("a", policies=tallies),))))
    counts = {
        state: seen[f"imps_target_secrets{{'state': '{state}', 'target_cluster': 'a'}}"]
        for state in ("in_sync", "pending", "failed", "conflict", "lingering", "held")
    }
    assert counts == {"in_sync": 5, "pending": 0, "failed": 4, "conflict": 0, "lingering": 0, "held": 1}
    assert seen["imps_delivered_credential_expiration_timestamp_seconds{'target_cluster': 'a'}"] == 40


def test_a_removed_clusters_series_stay_ten_minutes_not_up_and_then_all_go() -> None:
    clock = Clock()
    clusters = [report("a"), report("b")]
    metrics = Metrics(clock=clock)
    metrics.watch(lambda: MetricsSnapshot(clusters=tuple(clusters)))
    metrics.instruments.write("b", "update", "Forbidden")
    metrics.instruments.quarantined("cluster", "b", active=True)
    samples(metrics)
    clusters.pop()
    left = samples(metrics)
    clock.now = 599
    assert samples(metrics) == left
    assert left["imps_target_up{'target_cluster': 'b'}"] == 0
    assert left["imps_targets_configured"] == 1
    assert left["imps_target_last_contact_timestamp_seconds{'target_cluster': 'b'}"] == 100
    clock.now = 600
    assert [name for name in samples(metrics) if "'b'" in name] == []
    assert samples(metrics)["imps_target_up{'target_cluster': 'a'}"] == 1


def test_a_cluster_that_returns_in_time_keeps_its_counts_and_one_that_returns_late_starts_anew() -> None:
    clock = Clock()
    clusters = [report("a")]
    metrics = Metrics(clock=clock)
    metrics.watch(lambda: MetricsSnapshot(clusters=tuple(clusters)))
    key = "imps_secret_writes_total{'operation': 'create', 'result': 'ok', 'target_cluster': 'a'}"
    metrics.instruments.write("a", "create", "ok")
    gone = clusters.copy()
    for step, expected in ((300, 1.0), (601, 0.0)):
        clusters.clear()
        samples(metrics)
        clock.now += step
        samples(metrics)
        clusters.extend(gone)
        assert samples(metrics)[key] == expected


def test_a_removed_policys_series_go_at_once() -> None:
    conditions = (Condition("Ready", "False", "Conflict", "", "2026-01-01T00:00:00Z", 1),)
    policies = {PolicyName("p"): conditions}
    metrics = Metrics()
    metrics.watch(lambda: MetricsSnapshot(policies=dict(policies)))
    key = "imps_status_condition{'condition': 'Ready', 'name': 'p', 'status': '%s'}"
    assert [samples(metrics)[key % status] for status in ("True", "False", "Unknown")] == [0, 1, 0]
    policies.clear()
    assert [name for name in samples(metrics) if name.startswith("imps_status_condition")] == []


def test_requests_to_a_server_that_is_no_longer_in_use_go_after_ten_minutes() -> None:
    clock = Clock()
    metrics = of(MetricsSnapshot(hosts=frozenset({"b:1"})), clock=clock)
    metrics.requested("200", "GET", "a:1")
    metrics.requested("<error>", "POST", "b:1")
    samples(metrics)
    clock.now = 600
    seen = samples(metrics)
    assert [name for name in seen if "'a:1'" in name] == []
    assert seen["rest_client_requests_total{'code': '<error>', 'host': 'b:1', 'method': 'POST'}"] == 1


def test_credentials_show_their_expiry_and_when_they_were_minted() -> None:
    seen = samples(of(MetricsSnapshot(sources=(SOURCE,))))
    labels = "{'source_name': 'ecr', 'source_namespace': 'registry-access'}"
    assert seen[f"imps_credential_expiration_timestamp_seconds{labels}"] == 2000
    assert seen[f"imps_credential_last_refresh_timestamp_seconds{labels}"] == 1000
    assert seen["imps_credential_refresh_total{'provider': 'ecr', 'result': 'error'}"] == 0


def test_queue_counts_never_fall_when_a_cluster_starts_anew_or_leaves() -> None:
    queues = {ClusterName("a"): QueueCounts(1, 10, 2), ClusterName("b"): QueueCounts(2, 5, 0)}
    metrics = Metrics()
    metrics.watch(lambda: MetricsSnapshot(queues=dict(queues)))
    depth, adds, retries = (
        f"{name}{{'controller': 'imagepullsecret', 'name': 'targets'}}"
        for name in ("workqueue_depth", "workqueue_adds_total", "workqueue_retries_total")
    )
    first = samples(metrics)
    assert (first[depth], first[adds], first[retries]) == (3, 15, 2)
    queues[ClusterName("a")] = QueueCounts(0, 4, 1)
    del queues[ClusterName("b")]
    second = samples(metrics)
    assert (second[depth], second[adds], second[retries]) == (0, 19, 3)


def test_a_bad_reload_shows_and_the_last_good_time_stays() -> None:
    seen = samples(of(MetricsSnapshot(configuration=Reload(successful=False, succeeded_at=7.0))))
    assert seen["imps_config_last_reload_successful"] == 0
    assert seen["imps_config_last_reload_success_timestamp_seconds"] == 7
