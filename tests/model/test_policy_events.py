"""Which changes of a policy's status are told as Events."""

from collections.abc import Iterable

import pytest

from imps_multi.model.policy_events import Told, happenings, told_by
from imps_multi.model.status import Condition, HeldStatus, PolicyStatus, TargetCounts

FIELDS = {
    "Ready": "True AllSynced",
    "SourcesResolved": "True AllResolved",
    "TargetsSynced": "True AllSynced",
    "TargetsReachable": "True AllReachable",
    "CredentialsFresh": "True AllFresh",
}


def status(*, failed: int = 0, held: str = "", **changes: str) -> PolicyStatus:
    """Make a status in which all is well but for some conditions, each given as ``status reason``."""
    conditions = [
        Condition(kind, text.split()[0], text.split()[1], f"about {kind}", "2027-01-15T08:00:00Z", 1)
        for kind, text in {**FIELDS, **changes}.items()
    ]
    return PolicyStatus(
        status="Ready",
        conditions=conditions,
        targets=TargetCounts(failed=failed),
        held=HeldStatus(held, 3, "too many") if held else None,
    )


FINE = status()
WRITING = status(Ready="False PartiallySynced", TargetsSynced="False PartiallySynced")
FAILING = status(failed=1, Ready="False PartiallySynced", TargetsSynced="False PartiallySynced")
STUCK = status(failed=1, Ready="False PartiallySynced", TargetsSynced="False DeletionFailed")
REFUSED = status(Ready="False PartiallySynced", TargetsSynced="False Forbidden")
CONFLICT = status(Ready="False Conflict", TargetsSynced="False PartiallySynced")
AWAY = status(Ready="Unknown TargetUnreachable", TargetsReachable="False TargetUnreachable")
STARTING = status(Ready="Unknown Starting", TargetsReachable="Unknown Starting")
NO_SOURCE = status(Ready="False SourceError", SourcesResolved="False SourceError")
NOT_ALLOWED = status(Ready="False SourceNotAllowed", SourcesResolved="False SourceNotAllowed")
ASKING = status(Ready="False PartiallySynced", SourcesResolved="Unknown Waiting")
LATE = status(CredentialsFresh="False RefreshFailing")
HELD = status(held="abc", Ready="False DeletionHeld", DeletionHeld="True DeletionHeld")
HELD_ANEW = status(held="def", Ready="False DeletionHeld", DeletionHeld="True DeletionHeld")
GROWING = status(ExpansionHeld="True ExpansionHeld")


def told(*statuses: PolicyStatus, known: Told | None = None) -> list[str]:
    """Return the reasons of what is told of statuses one after the other; a warning has an exclamation mark."""
    now: Told = known or {}
    found = []
    for one in statuses:
        now, new = happenings(now, one)
        found += [f"{each.reason}{'!' if each.warning else ''}" for each in new]
    return found


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param([FINE], ["Reconciled"], id="a new policy, done"),
        pytest.param([STARTING, ASKING, WRITING, FINE], ["Reconciled"], id="a new policy, on its way"),
        pytest.param([FINE, WRITING, FINE, WRITING, FINE], ["Reconciled"], id="new namespaces and fresh tokens"),
        pytest.param([FAILING, FAILING, FINE], ["SecretReconciliationError!", "Reconciled"], id="a write was denied"),
        pytest.param(
            [FINE, FAILING, WRITING, FINE], ["Reconciled", "SecretReconciliationError!", "Reconciled"], id="by and by"
        ),
        pytest.param([FINE, REFUSED], ["Reconciled", "SecretReconciliationError!"], id="pods may not be watched"),
        pytest.param([FINE, STUCK], ["Reconciled", "SecretDeletionError!"], id="a removal was denied"),
        pytest.param([CONFLICT, CONFLICT, FINE], ["Conflict!", "Reconciled"], id="a conflict"),
        pytest.param([CONFLICT, WRITING, FINE], ["Conflict!", "Reconciled"], id="a conflict that is being mended"),
        pytest.param(
            [FINE, AWAY, AWAY, FINE], ["Reconciled", "TargetUnreachable!", "Reconciled", "TargetsReachable"], id="away"
        ),
        pytest.param([FINE, STARTING, AWAY], ["Reconciled", "TargetUnreachable!"], id="listed in vain, then away"),
        pytest.param([NO_SOURCE, FINE], ["SourceCredentialsError!", "Reconciled"], id="no source"),
        pytest.param([NO_SOURCE, NOT_ALLOWED], ["SourceCredentialsError!"] * 2, id="another fault of the source"),
        pytest.param([FINE, LATE, FINE], ["Reconciled", "SourceCredentialsError!"], id="a refresh is late"),
        pytest.param([status(Ready="False InvalidSpec")], ["ReconciliationFailed!"], id="invalid"),
        pytest.param([status(Ready="False Expired")], ["Expired!"], id="expired"),
        pytest.param([status(Ready="False Contested")], ["Contested!"], id="contested"),
        pytest.param(
            [FINE, status(Ready="Unknown Suspended"), FINE], ["Reconciled", "Suspended", "Reconciled"], id="suspended"
        ),
        pytest.param([HELD, HELD, HELD_ANEW, FINE], ["DeletionHeld!", "DeletionHeld!", "Reconciled"], id="held twice"),
        pytest.param([FINE, GROWING, GROWING, FINE], ["Reconciled", "ExpansionHeld!"], id="an expansion"),
    ],
)
def test_each_change_of_state_is_told_once(statuses: Iterable[PolicyStatus], expected: list[str]) -> None:
    assert told(*statuses) == expected


@pytest.mark.parametrize("one", [FINE, FAILING, REFUSED, CONFLICT, AWAY, NO_SOURCE, LATE, HELD, GROWING])
def test_a_restart_repeats_nothing(one: PolicyStatus) -> None:
    assert told(one, known=told_by(one)) == []


def test_taking_over_from_imps_tells_what_is_new_only() -> None:
    assert told(FINE, known=told_by(PolicyStatus(status="Ready"))) == []
    assert told(FINE, known=told_by(PolicyStatus(status="Failed"))) == ["Reconciled"]
    assert told(CONFLICT, known=told_by(PolicyStatus(status="Ready"))) == ["Conflict!"]


def test_an_event_says_what_the_condition_says_and_no_more_than_fits() -> None:
    long = PolicyStatus(conditions=[Condition("Ready", "False", "Conflict", "x" * 9000, "", 1)])
    _, (event,) = happenings({}, long)
    assert event.message == "x" * 1000
