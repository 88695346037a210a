"""How the status is laid out: problems first, times as people say them, long tables cut."""

import pytest
from msgspec import structs

from imps_multi.cli.status_page import AT_MOST, Part, in_short, left_out, moment, parts
from imps_multi.model.instant import format_instant
from imps_multi.model.status import (
    ClusterView,
    Condition,
    ConfigurationView,
    CredentialView,
    HeldStatus,
    HubView,
    PolicyClusterStatus,
    PolicyCredentialStatus,
    PolicyStatus,
    PolicyView,
    ProblemView,
    ServiceStatus,
    TargetCounts,
)

NOW = 1_800_000_000.0
HUB = HubView(id="mgmt", synced=True, whole=True)


def at(seconds: float) -> str:
    """Write a time that is so far from now."""
    return format_instant(NOW + seconds)


def policy(name: str, ready: str = "True", reason: str = "AllSynced", *clusters: PolicyClusterStatus) -> PolicyView:
    """Make a policy's view."""
    condition = Condition("Ready", ready, reason, "words", at(0), 1)
    counts = TargetCounts(desired=4, in_sync=3, summary="3/4")
    credentials = [PolicyCredentialStatus("ns", "ecr", expires_at=at(3 * 3600))]
    plain = PolicyStatus(reason="words", conditions=[condition], targets=counts)
    return PolicyView(name, 1, "pull", structs.replace(plain, clusters=list(clusters), credentials=credentials))


def cluster(name: str, state: str = "Up", reason: str = "", message: str = "") -> ClusterView:
    """Make a cluster's view."""
    return ClusterView(name, "uid", {}, state, reason, message, last_contact=at(-5))


def shown(status: ServiceStatus, *, wide: bool = False) -> dict[str, Part]:
    """Return the tables by their first header."""
    return {part.headers[0] + part.headers[1]: part for part in parts(status, now=NOW, wide=wide)}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "in 5s"),
        (90, "in 90s"),
        (120, "in 2m"),
        (3 * 3600 + 10, "in 3h"),
        (-47 * 3600, "47h ago"),
        (-3 * 86400, "3d ago"),
        (0, "0s ago"),
    ],
)
def test_times_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert moment(at(seconds), now=NOW) == text


def test_a_time_that_is_not_known_is_left_empty() -> None:
    assert moment(None, now=NOW) == ""


def test_policies_that_are_not_ready_come_first() -> None:
    status = ServiceStatus(
        "1", HUB, policies=[policy("a"), policy("b", "Unknown", "Suspended"), policy("c", "False", "X")]
    )
    assert shown(status)["POLICYREADY"].rows == [
        ("c", "False", "3/4", "in 3h", "X: words"),
        ("b", "Unknown", "3/4", "in 3h", "Suspended: words"),
        ("a", "True", "3/4", "in 3h", "words"),
    ]


def test_clusters_in_trouble_come_first_with_why() -> None:
    status = ServiceStatus("1", HUB, clusters=[cluster("a"), cluster("b", "Degraded", "Timeout", "no answer")])
    assert shown(status)["CLUSTERSTATE"].rows == [
        ("b", "Degraded", "0/0", "5s ago", "Timeout: no answer"),
        ("a", "Up", "0/0", "5s ago", ""),
    ]


def test_only_pairs_in_which_something_is_not_right_are_shown_but_wide() -> None:
    fine = PolicyClusterStatus("a", in_sync=2, desired=2)
    bad = PolicyClusterStatus("b", in_sync=1, desired=2, reason="Timeout")
    status = ServiceStatus("1", HUB, policies=[policy("p", "True", "AllSynced", fine, bad)])
    assert shown(status)["CLUSTERPOLICY"].rows == [("b", "p", "1/2", "Timeout")]
    assert len(shown(status, wide=True)["CLUSTERPOLICY"].rows) == 2


def test_a_source_that_fails_comes_first_then_what_expires_first() -> None:
    late = CredentialView("ns", "late", "ecr", "minted", expires_at=at(7200))
    soon = structs.replace(late, name="soon", expires_at=at(600), next_refresh=at(60))
    stored = CredentialView("ns", "stored", "static", "stored")
    odd = CredentialView("ns", "z", "static", "stored", message="its password is empty")
    failing = CredentialView("", "ecr:public:0a1b", "ecr", "unknown", reason="Forbidden", message="refused")
    rows = shown(ServiceStatus("1", HUB, credentials=[late, soon, stored, odd, failing]))["SOURCESTATE"].rows
    assert list(rows) == [
        ("ecr:public:0a1b", "unknown", "", "", "Forbidden: refused"),
        ("ns/soon", "minted", "in 10m", "in 60s", ""),
        ("ns/late", "minted", "in 2h", "", ""),
        ("ns/stored", "stored", "never", "", ""),
        ("ns/z", "stored", "never", "", "its password is empty"),
    ]


def test_a_refresh_that_was_due_and_failed_is_being_tried_again() -> None:
    failing = CredentialView(
        "ns", "ecr", "ecr", "minted", expires_at=at(600), next_refresh=at(-14), reason="SourceError", message="503"
    )
    rows = shown(ServiceStatus("1", HUB, credentials=[failing]))["SOURCESTATE"].rows
    assert list(rows) == [("ns/ecr", "minted", "in 10m", "retrying", "SourceError: 503")]


def test_what_is_wrong_with_hub_and_configuration_is_the_first_table() -> None:
    hub = HubView(id="mgmt", synced=False, whole=False, problems=[ProblemView("a.yaml", 3, 0, "not YAML")])
    status = ServiceStatus("1", hub, ConfigurationView(last_reload_successful=False, error="c.yaml: bad"))
    first = parts(status, now=NOW)[0]
    assert first.rows == [
        ("configuration", "c.yaml: bad"),
        ("a.yaml:3", "not YAML"),
        ("mgmt", "the hub was not read yet"),
    ]


def test_held_sets_are_shown_with_their_id() -> None:
    status = ServiceStatus("1", HUB, held=[HeldStatus("h-1", 30, "too many", clusters=["a", "b"])])
    assert parts(status, now=NOW)[0].rows == [("h-1", "all", "30", "a, b", "too many")]
    assert in_short(status) == "0 of 0 clusters up; 0 of 0 policies ready; 0 of 0 targets in sync; 1 held"


def test_a_large_fleet_is_cut_but_wide() -> None:
    status = ServiceStatus("1", HUB, clusters=[cluster(f"c-{number:03}") for number in range(AT_MOST + 5)])
    every = parts(status, now=NOW)
    assert [len(part.rows) for part in every] == [AT_MOST]
    assert list(left_out(every)) == ["5 more rows of CLUSTER and STATE; -o wide shows them"]
    assert list(left_out(parts(status, now=NOW, wide=True))) == []
