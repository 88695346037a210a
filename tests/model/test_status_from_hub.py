"""The status as the policies in a hub tell it."""

import msgspec

from imps_multi.model.status import (
    Condition,
    HeldStatus,
    PolicyClusterStatus,
    PolicyCredentialStatus,
    PolicyStatus,
)
from imps_multi.model.status_from_hub import status_from_hub

SPEC = {"target": {"secret": {"name": "pull"}}}


def manifest(name: str, status: PolicyStatus) -> dict[str, object]:
    """Make an object as a server gives it."""
    return {"metadata": {"name": name, "generation": 3}, "spec": SPEC, "status": msgspec.to_builtins(status)}


FINE = PolicyClusterStatus("a", in_sync=2, desired=2, last_contact="2026-01-01T00:00:00Z")
AWAY = PolicyClusterStatus("b", in_sync=0, desired=2, reason="Timeout", message="no answer")


def test_policies_have_the_status_that_was_written() -> None:
    status = PolicyStatus("Ready", conditions=[Condition("Ready", "True", "AllSynced", "m", "t", 3)])
    (view,) = status_from_hub("mgmt", [manifest("p", status)]).policies
    assert (view.name, view.generation, view.secret_name, view.status) == ("p", 3, "pull", status)


def test_clusters_are_gathered_from_all_policies_the_worst_word_winning() -> None:
    refused = msgspec.structs.replace(FINE, reason="Forbidden", message="no")
    found = status_from_hub(
        "mgmt", [manifest("q", PolicyStatus(clusters=[FINE, AWAY])), manifest("p", PolicyStatus(clusters=[refused]))]
    )
    assert [(one.name, one.state, one.reason, one.targets.summary) for one in found.clusters] == [
        ("a", "Up", "Forbidden", "4/4"),
        ("b", "Degraded", "Timeout", "0/2"),
    ]
    assert [one.name for one in found.policies] == ["p", "q"]


def test_credentials_and_held_sets_are_told_once() -> None:
    status = PolicyStatus(
        credentials=[PolicyCredentialStatus("ns", "ecr", ["r"], expires_at="2026-01-01T00:00:00Z")],
        held=HeldStatus("h-1", 3, "too many"),
    )
    found = status_from_hub("mgmt", [manifest("p", status), manifest("q", status)])
    assert [(one.name, one.registries) for one in found.credentials] == [("ecr", ["r"])]
    assert [(one.id, one.policy) for one in found.held] == [("h-1", "p")]


def test_a_policy_without_a_status_and_one_that_something_else_wrote_are_shown_bare() -> None:
    foreign = {"metadata": {"name": "q"}, "status": {"status": "Ready", "managedNamespaces": 5}}
    found = status_from_hub("mgmt", [{"metadata": {"name": "p"}, "spec": SPEC}, foreign])
    assert [(one.name, one.status.status) for one in found.policies] == [("p", "Failed"), ("q", "Ready")]
