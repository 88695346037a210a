"""The status of one policy, computed once from everything that is known of it.

Pure. The previous status only lends the times at which conditions last flipped. Clusters and namespaces are not cut.
"""

from collections.abc import Iterable, Mapping

from msgspec import structs

from imps_multi.model.brake import HeldSet
from imps_multi.model.credential import SourceState
from imps_multi.model.growth import Expansion
from imps_multi.model.instant import format_instant, format_optional
from imps_multi.model.names import ClusterName
from imps_multi.model.policy import SourceRef
from imps_multi.model.readiness import (
    Circumstances,
    Ready,
    Severity,
    credentials_fresh,
    ending_text,
    held_of,
    held_text,
    reached,
    readiness,
    sources_resolved,
    tallies_of,
    target_counts,
    targets_reachable,
    targets_synced,
    unheard,
)
from imps_multi.model.report import ClusterReport, Phase, PolicyTally
from imps_multi.model.status import (
    Condition,
    HeldStatus,
    PolicyClusterStatus,
    PolicyCredentialStatus,
    PolicyStatus,
)
from imps_multi.model.world import InvalidView, Resolved

STANDING = frozenset({"Suspended", "SourceNotAllowed", "SourceError"})
"""Reasons that no cluster has a say in: they are shown at once, also right after a start."""


def invalid_status(
    view: InvalidView, around: Circumstances, previous: PolicyStatus | None, in_force: Resolved | None = None
) -> PolicyStatus:
    """Return the status of a policy that cannot be used; its last valid spec, if ``in_force``, is told of as ever."""
    message = "; ".join(str(problem) for problem in view.problems)
    ready = Ready("False", "InvalidSpec", message, Severity.WRONG)
    base = PolicyStatus() if in_force is None else _computed(in_force, around, previous)
    others = [structs.replace(one, observed_generation=view.generation) for one in base.conditions[1:]]
    return structs.replace(
        base,
        status="Failed",
        reason=message,
        observed_generation=view.generation,
        conditions=_conditions([("Ready", ready)], view.generation, around.now, previous) + others,
        last_successful_reconciliation=previous.last_successful_reconciliation if previous else None,
    )


def policy_status(resolved: Resolved, around: Circumstances, previous: PolicyStatus | None) -> PolicyStatus:
    """Return the status of a policy in force; clusters and namespaces are not cut.

    Right after a start, what the hub shows stands until every cluster was heard.
    """
    shown = around.shown.get(resolved.policy.name) if around.starting else None
    computed = _computed(resolved, around, previous)
    if shown is None or computed.conditions[0].reason in STANDING or not _says_something(shown):
        return computed
    return shown if unheard(resolved, around) else computed


def _says_something(shown: PolicyStatus) -> bool:
    """Say whether a shown status is worth keeping: not that of a start that was cut short."""
    return bool(shown.status) and all(one.reason not in ("Starting", "Waiting") for one in shown.conditions)


def _computed(resolved: Resolved, around: Circumstances, previous: PolicyStatus | None) -> PolicyStatus:
    policy = resolved.policy
    mine = tallies_of(resolved, around)
    counts = target_counts(mine.values())
    ready = readiness(resolved, around)
    held = held_of(resolved, around)
    expansions = [one for one in around.expansions if one.policy == policy.name]
    rows = [
        ("Ready", ready),
        ("SourcesResolved", sources_resolved(resolved, around)),
        ("TargetsSynced", targets_synced(resolved, around)),
        ("TargetsReachable", targets_reachable(resolved, around)),
        ("CredentialsFresh", credentials_fresh(resolved, around)),
        *([("DeletionHeld", Ready("True", "DeletionHeld", held_text(held) + ending_text(resolved)))] if held else []),
        *(
            ("ExpansionHeld", Ready("True", "ExpansionHeld", f"{one.why}: imps-multi approve {one.id}"))
            for one in expansions
        ),
    ]
    namespaces = sorted({space for tally in mine.values() for space in tally.namespaces})
    expiries = [tally.expires_at for tally in mine.values() if tally.expires_at is not None]
    return PolicyStatus(
        status="Failed" if ready.status == "False" else "Ready",
        reason=ready.message,
        last_successful_reconciliation=_last_success(ready, around, previous),
        validity_seconds=max(0, int(min(expiries) - around.now)) if expiries else None,
        managed_namespaces=list(namespaces),
        managed_namespaces_total=len(namespaces),
        source_secret_status={_imps_key(one.ref): one.message or "OK" for one in resolved.sources},
        observed_generation=policy.generation,
        conditions=_conditions(rows, policy.generation, around.now, previous),
        targets=counts,
        clusters=_clusters(resolved, around, mine),
        credentials=[_credential(source) for source in resolved.sources],
        held=_held(held[0]) if held else None,
        last_handled_sync=resolved.handled_sync,
    )


def exit_code(statuses: Iterable[PolicyStatus]) -> int:
    """Return the exit code of the highest row over all policies."""
    ready = [condition for status in statuses for condition in status.conditions if condition.type == "Ready"]
    if any(condition.status == "False" for condition in ready):
        return Severity.WRONG
    away = any(condition.reason in ("TargetUnreachable", "Starting") for condition in ready)
    return Severity.UNREACHABLE if away else Severity.FINE


def expansion_status(one: Expansion) -> HeldStatus:
    """Return a held expansion as it is shown: it deletes nothing."""
    return HeldStatus(id=one.id, deletions=0, why=one.why, policy=one.policy, clusters=[str(c) for c in one.clusters])


def held_status(one: HeldSet) -> HeldStatus:
    """Return a held set as it is shown."""
    return _held(one)


def _clusters(
    resolved: Resolved, around: Circumstances, mine: Mapping[ClusterName, PolicyTally]
) -> list[PolicyClusterStatus]:
    selected = reached(resolved, around)
    return sorted(
        (_cluster(report, mine.get(report.settings.name, PolicyTally())) for report in selected),
        key=lambda one: (not one.reason, one.in_sync == one.desired, one.name),
    )


def _cluster(report: ClusterReport, tally: PolicyTally) -> PolicyClusterStatus:
    contact = report.contact
    reason = "Paused" if contact.phase is Phase.PAUSED else contact.reason
    message = contact.message
    if not reason and tally.refused:
        reason, message = "Forbidden", tally.refused
    contacted = None if contact.last_contact is None else contact.last_contact // 60 * 60
    return PolicyClusterStatus(
        name=report.settings.name,
        in_sync=tally.in_sync,
        desired=tally.desired,
        reason=reason,
        message=message,
        since=format_optional(contact.since),
        next_attempt=format_optional(contact.next_attempt),
        last_contact=format_optional(contacted),
    )


def _imps_key(ref: SourceRef) -> str:
    return f"{ref.namespace}.{ref.name}" if ref.namespace else ref.name


def _credential(source: SourceState) -> PolicyCredentialStatus:
    return PolicyCredentialStatus(
        namespace=source.ref.namespace,
        name=source.ref.name,
        registries=sorted(entry.registry for entry in source.entries),
        expires_at=format_optional(source.expires_at),
        refreshed_at=format_optional(source.issued_at),
        reason=source.reason,
        message=source.message,
    )


def _held(one: HeldSet) -> HeldStatus:
    return HeldStatus(
        id=one.id, deletions=len(one.members), why=one.why, policy=one.policy, clusters=[str(c) for c in one.clusters]
    )


def _last_success(ready: Ready, around: Circumstances, previous: PolicyStatus | None) -> str | None:
    if ready.status == "True":
        return format_instant(around.now)
    return previous.last_successful_reconciliation if previous is not None else None


def _conditions(
    rows: Iterable[tuple[str, Ready]], generation: int, now: float, previous: PolicyStatus | None
) -> list[Condition]:
    before = {condition.type: condition for condition in previous.conditions} if previous is not None else {}
    return [_condition(name, ready, generation, now, before.get(name)) for name, ready in rows]


def _condition(name: str, ready: Ready, generation: int, now: float, before: Condition | None) -> Condition:
    flipped = before is None or before.status != ready.status
    return Condition(
        type=name,
        status=ready.status,
        reason=ready.reason,
        message=ready.message[:1024],
        last_transition_time=format_instant(now) if flipped or before is None else before.last_transition_time,
        observed_generation=generation,
    )
