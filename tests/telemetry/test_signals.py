import io
import json
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imps_multi.model.names import ClusterName
from imps_multi.telemetry.audit import AuditLog
from imps_multi.telemetry.logs import configure_logging
from imps_multi.telemetry.metrics import Metrics
from imps_multi.telemetry.signals import ServiceSignals, actor_kind
from tests.telemetry.records import written

if TYPE_CHECKING:
    from imps_multi.ports import Signals


class Place:
    """A service's signals with their three readers."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.lines: list[bytes] = []
        self.audit = AuditLog("there", write_out=self.lines.append)
        self.signals: Signals = ServiceSignals(self.metrics, self.audit)
        self.log = io.StringIO()
        configure_logging("json", "debug", stream=self.log)

    def value(self, name: str, /, **labels: str) -> float | None:
        for family in text_string_to_metric_families(self.metrics.render()[0].decode()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    def said(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def test_a_write_is_counted_audited_and_logged_quietly() -> None:
    place = Place()
    place.signals.write(written())
    labels = {"target_cluster": "prod-1", "operation": "create", "result": "ok"}
    assert place.value("imps_secret_writes_total", **labels) == 1
    assert len(place.audit._waiting) == 1
    assert [(line["level"], line["event"]) for line in place.said()] == [("debug", "Secret written")]


def test_a_thousand_failures_alike_are_counted_each_and_said_once_in_ten_seconds() -> None:
    place = Place()
    for number in range(1000):
        place.signals.write(written(result="Forbidden", time=1000.0 + number / 100))
    place.signals.write(written(result="Forbidden", time=1010.0))
    place.signals.write(written(result="Throttled", time=1010.0))
    said = place.said()
    assert [(line["level"], line["result"], line["more_alike"]) for line in said] == [
        ("warning", "Forbidden", 0),
        ("warning", "Forbidden", 999),
        ("warning", "Throttled", 0),
    ]
    labels = {"target_cluster": "prod-1", "operation": "create", "result": "Forbidden"}
    assert place.value("imps_secret_writes_total", **labels) == 1001


@pytest.mark.parametrize("result", ["Conflict", "AlreadyExists", "NamespaceTerminating", "NotFound"])
def test_a_world_that_moved_on_is_no_warning(result: str) -> None:
    place = Place()
    place.signals.write(written(result=result))
    assert [line["level"] for line in place.said()] == ["debug"]


def test_a_crash_is_counted_by_kind_and_logged_by_name_with_its_traceback() -> None:
    place = Place()
    place.signals.crashed("cluster arn:aws:eks/prod 1", ValueError("no such thing"), incarnation=2)
    assert place.value("imps_actor_restarts_total", actor="cluster") == 1
    (line,) = place.said()
    assert (line["actor"], line["incarnation"]) == ("cluster arn:aws:eks/prod 1", 2)
    assert line["target_cluster"] == "arn:aws:eks/prod 1"
    assert str(line["exception"]).endswith("ValueError: no such thing")


def test_an_actor_that_never_failed_shows_no_restart() -> None:
    assert {Place().value("imps_actor_restarts_total", actor=actor) for actor in ("cluster", "hub_watcher")} == {0}


def test_a_quarantine_shows_until_it_ends() -> None:
    place = Place()
    for active in (True, False):
        place.signals.quarantined("cluster", "prod-1", active=active)
        assert place.value("imps_quarantined", kind="cluster", name="prod-1") == active


def test_a_credentials_quarantine_leaves_no_series_behind() -> None:
    place = Place()
    for active, shown in ((True, 1), (False, None), (False, None)):
        place.signals.quarantined("credential", "credential 1f0c", active=active)
        assert place.value("imps_quarantined", kind="credential", name="credential 1f0c") == shown


def test_durations_and_mints_reach_their_metrics() -> None:
    place = Place()
    place.signals.onboarded(0.02)
    place.signals.fanned_out(1.5)
    place.signals.queued(0.004)
    place.signals.refreshed("ecr", ok=True)
    place.signals.refreshed("ecr", ok=False)
    place.signals.uid_changed(ClusterName("prod-1"))
    assert place.value("imps_namespace_onboarding_seconds_bucket", le="0.025") == 1
    assert place.value("imps_fanout_duration_seconds_sum") == 1.5
    queue = {"name": "targets", "controller": "imagepullsecret"}
    assert place.value("workqueue_queue_duration_seconds_count", **queue) == 1
    assert place.value("imps_credential_refresh_total", provider="ecr", result="ok") == 1
    assert place.value("imps_credential_refresh_total", provider="ecr", result="error") == 1
    assert place.value("imps_target_uid_changes_total", target_cluster="prod-1") == 1


def test_a_provider_s_first_mint_begins_all_of_its_series() -> None:
    place = Place()
    place.signals.refreshed("oauth2", ok=True)
    assert place.value("imps_credential_refresh_total", provider="oauth2", result="ok") == 1
    assert place.value("imps_credential_refresh_total", provider="oauth2", result="error") == 0


@pytest.mark.parametrize(
    ("actor", "kind"),
    [("fleet", "fleet"), ("cluster prod-1", "cluster"), ("token:abc", "token"), ("hub_watcher", "hub_watcher")],
)
def test_an_actors_kind_is_the_word_before_its_name(actor: str, kind: str) -> None:
    assert actor_kind(actor) == kind
