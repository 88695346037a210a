"""When a policy's status is written to its object, and what of it goes in."""

import math

import msgspec
import pytest
from msgspec import structs

from imps_multi.model.hub import HubObject, Place
from imps_multi.model.publishing import BEAT_SECONDS, CHANGE_SECONDS, FLIP_SECONDS, GRACE_SECONDS, Due, Sent, cut, due
from imps_multi.model.shown import shown_policies
from imps_multi.model.status import (
    Condition,
    HeldStatus,
    PolicyClusterStatus,
    PolicyCredentialStatus,
    PolicyStatus,
    TargetCounts,
)

ETCD_LIMIT = 1_500_000
SINCE = 90.0
AT = 100.0


def condition(kind: str = "Ready", status: str = "True", reason: str = "AllSynced", message: str = "fine") -> Condition:
    return Condition(kind, status, reason, message, "2027-01-15T08:00:00Z", 3)


FINE = PolicyStatus(
    status="Ready",
    reason="fine",
    last_successful_reconciliation="2027-01-15T08:00:00Z",
    conditions=[condition()],
    targets=TargetCounts(desired=2, in_sync=2, summary="2/2"),
    clusters=[PolicyClusterStatus("a", in_sync=2, desired=2, since="x", last_contact="2027-01-15T08:00:00Z")],
)
BAD = structs.replace(FINE, status="Failed", conditions=[condition(status="False", reason="Conflict")])
OTHER_REASON = structs.replace(BAD, conditions=[condition(status="False", reason="Expired")])
WRITING = structs.replace(FINE, conditions=[condition(status="False", reason="PartiallySynced")])
EDITED = structs.replace(FINE, conditions=[structs.replace(FINE.conditions[0], observed_generation=4)])
MORE = structs.replace(FINE, managed_namespaces_total=3)
REWORDED = structs.replace(FINE, conditions=[condition(message="2/2 targets are in sync")])
LATER = structs.replace(
    FINE,
    last_successful_reconciliation="2027-01-15T08:09:59Z",
    validity_seconds=77,
    clusters=[structs.replace(FINE.clusters[0], last_contact="2027-01-15T08:09:00Z", next_attempt="z", since="y")],
)
MUCH_LATER = structs.replace(LATER, last_successful_reconciliation="2027-01-15T08:10:00Z")
NOW = Due(-math.inf)


def sent(status: PolicyStatus, over: PolicyStatus | None = None) -> Sent:
    return Sent(status, over, AT)


@pytest.mark.parametrize(
    ("wanted", "shown", "last", "expected"),
    [
        pytest.param(FINE, None, None, Due(SINCE, flip=True), id="nothing is shown"),
        pytest.param(WRITING, None, None, Due(SINCE, flip=True), id="nothing is shown, and targets are being written"),
        pytest.param(FINE, FINE, None, None, id="a restart, nothing new"),
        pytest.param(LATER, FINE, None, None, id="a restart, a little later"),
        pytest.param(MUCH_LATER, FINE, None, NOW, id="a restart, much later"),
        pytest.param(BAD, FINE, None, Due(SINCE, flip=True), id="a restart, a flip"),
        pytest.param(MORE, FINE, None, NOW, id="a restart, a change"),
        pytest.param(FINE, FINE, sent(FINE), None, id="at rest"),
        pytest.param(LATER, FINE, sent(FINE), None, id="the clock went on"),
        pytest.param(MUCH_LATER, FINE, sent(FINE), Due(AT + CHANGE_SECONDS), id="the beat"),
        pytest.param(BAD, FINE, sent(FINE), Due(AT + FLIP_SECONDS, flip=True), id="a flip"),
        pytest.param(OTHER_REASON, BAD, sent(BAD), Due(AT + FLIP_SECONDS, flip=True), id="another reason is a flip"),
        pytest.param(EDITED, FINE, sent(FINE), Due(AT + FLIP_SECONDS, flip=True), id="another generation is a flip"),
        pytest.param(MORE, FINE, sent(FINE), Due(AT + CHANGE_SECONDS), id="a change"),
        pytest.param(REWORDED, FINE, sent(FINE), Due(AT + CHANGE_SECONDS), id="another message is a change"),
        pytest.param(BAD, FINE, sent(BAD, over=FINE), None, id="on its way"),
        pytest.param(BAD, LATER, sent(BAD, over=FINE), None, id="kept by an old CRD, but for the times"),
        pytest.param(FINE, None, sent(FINE, over=FINE), Due(AT + CHANGE_SECONDS), id="somebody cleared it"),
        pytest.param(FINE, BAD, sent(FINE, over=FINE), Due(AT + CHANGE_SECONDS), id="somebody edited it"),
        pytest.param(BAD, BAD, sent(FINE, over=BAD), None, id="somebody wrote the very same"),
    ],
)
def test_a_status_is_due(wanted: PolicyStatus, shown: PolicyStatus | None, last: Sent | None, expected: Due) -> None:
    assert due(wanted, shown, last, since=SINCE) == expected


def test_what_is_only_being_written_is_told_when_it_takes_longer() -> None:
    assert due(WRITING, FINE, None, since=SINCE) == Due(SINCE + GRACE_SECONDS, flip=True)
    failing = structs.replace(WRITING, targets=TargetCounts(failed=1))
    assert due(failing, FINE, None, since=SINCE) == Due(SINCE, flip=True)


def test_the_beat_is_ten_minutes() -> None:
    assert BEAT_SECONDS == 600.0


def _huge() -> PolicyStatus:
    """Make the status of a policy in a thousand clusters, with as much text as ever."""
    text = "ü" * 5000
    return PolicyStatus(
        status="Failed",
        reason=text,
        managed_namespaces=[f"{number:063}" for number in range(20_000)],
        source_secret_status={f"{number:063}.{number:0253}": text for number in range(500)},
        conditions=[condition(kind, message=text[:1024]) for kind in "abcdefg"],
        clusters=[PolicyClusterStatus(f"{number:0200}", reason="Timeout", message=text) for number in range(1000)],
        credentials=[
            PolicyCredentialStatus(f"{number:063}", f"{number:0253}", ["r" * 253] * 500, message=text)
            for number in range(500)
        ],
        held=HeldStatus("id", 5, text, clusters=["c" * 200] * 1000),
        managed_namespaces_total=20_000,
    )


def test_a_status_of_a_thousand_clusters_fits_into_an_object() -> None:
    small = cut(_huge())
    assert len(msgspec.json.encode(small)) < ETCD_LIMIT / 3
    assert (len(small.managed_namespaces), small.managed_namespaces_total) == (100, 20_000)
    assert [one.name for one in small.clusters] == [f"{number:0200}" for number in range(20)]
    assert small.reason.endswith("…")


def test_what_is_small_is_not_cut() -> None:
    assert cut(FINE) == FINE


def test_the_credential_that_expires_first_leads_for_the_printer_column() -> None:
    late, soon = "2027-01-15T20:00:00Z", "2027-01-15T09:00:00Z"
    given = [
        PolicyCredentialStatus("x", "static"),
        PolicyCredentialStatus("x", "late", expires_at=late),
        PolicyCredentialStatus("x", "soon", expires_at=soon),
    ]
    assert [one.name for one in cut(PolicyStatus(credentials=given)).credentials] == ["soon", "late", "static"]


def _object(status: object, name: str = "team", kind: str = "ImagePullSecret") -> HubObject:
    content = {"metadata": {"name": name, "uid": "u-1"}, "status": status}
    return HubObject(kind, "", name, Place("hub"), content)


def test_a_status_is_read_back_as_it_was_written() -> None:
    (shown,) = shown_policies([_object(msgspec.to_builtins(FINE)), _object({}, kind="Secret")], {}).values()
    assert (shown.uid, shown.status) == ("u-1", FINE)


@pytest.mark.parametrize("status", [None, {}, "Ready", {"conditions": "none"}, {"status": 7}, {"clusters": [{}]}])
def test_what_cannot_be_read_counts_as_nothing(status: object) -> None:
    (shown,) = shown_policies([_object(status)], {}).values()
    assert shown.status is None


def test_what_imps_wrote_is_read() -> None:
    status = {"status": "Ready", "managedNamespaces": ["a"], "validitySeconds": 5, "reason": None}
    (shown,) = shown_policies([_object(status)], {}).values()
    assert shown.status == PolicyStatus(status="Ready", managed_namespaces=["a"], validity_seconds=5)


def test_what_did_not_change_is_not_read_again() -> None:
    before = shown_policies([_object(msgspec.to_builtins(FINE))], {})
    after = shown_policies([_object(msgspec.to_builtins(FINE))], before)
    assert all(after[name] is before[name] for name in before)
