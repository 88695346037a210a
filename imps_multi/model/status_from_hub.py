"""The service's status as far as the policies in a hub tell it, for when no instance can be asked.

Pure. Each policy's own status is whole but for what it cuts (its first clusters, the troubled ones first); clusters,
credentials and held sets are gathered from them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from imps_multi.model.status import (
    ClusterView,
    CredentialView,
    HeldStatus,
    HubView,
    PolicyClusterStatus,
    PolicyStatus,
    PolicyView,
    ServiceStatus,
    TargetCounts,
)

ANSWERING = frozenset({"", "Paused", "Forbidden"})
"""Reasons that a policy gives of a cluster that answers."""


def status_from_hub(hub_id: str, manifests: Iterable[Mapping[str, Any]]) -> ServiceStatus:
    """Gather the status from ImagePullSecrets as a server gives them; one that has none yet is left bare."""
    policies = sorted(map(_policy, manifests), key=lambda one: one.name)
    statuses = [policy.status for policy in policies]
    return ServiceStatus(
        version="",
        hub=HubView(id=hub_id, synced=True, whole=True),
        clusters=_clusters(statuses),
        policies=policies,
        credentials=_credentials(statuses),
        held=_held(policies),
    )


def _policy(manifest: Mapping[str, Any]) -> PolicyView:
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    secret = (spec.get("target") or {}).get("secret") or {}
    return PolicyView(
        name=str(metadata.get("name", "")),
        generation=int(metadata.get("generation") or 0),
        secret_name=str(secret.get("name", "")),
        status=_status(manifest.get("status") or {}),
    )


def _status(given: Mapping[str, Any]) -> PolicyStatus:
    try:
        return msgspec.convert(given, PolicyStatus, strict=False)
    except msgspec.ValidationError:  # written by something else, such as IMPS
        return PolicyStatus(status=str(given.get("status", "Failed")), reason=str(given.get("reason", "")))


def _clusters(statuses: Iterable[PolicyStatus]) -> list[ClusterView]:
    known: dict[str, list[PolicyClusterStatus]] = {}
    for status in statuses:
        for cluster in status.clusters:
            known.setdefault(cluster.name, []).append(cluster)
    return [_cluster(name, views) for name, views in sorted(known.items())]


def _cluster(name: str, views: list[PolicyClusterStatus]) -> ClusterView:
    worst = next((view for view in views if view.reason), views[0])
    desired, in_sync = sum(view.desired for view in views), sum(view.in_sync for view in views)
    state = "Up" if worst.reason in ANSWERING else "Degraded"
    return ClusterView(
        name=name,
        uid="",
        labels={},
        state="Paused" if worst.reason == "Paused" else state,
        reason=worst.reason,
        message=worst.message,
        since=worst.since,
        next_attempt=worst.next_attempt,
        last_contact=max((view.last_contact for view in views if view.last_contact), default=None),
        targets=TargetCounts(desired=desired, in_sync=in_sync, summary=f"{in_sync}/{desired}"),
    )


def _credentials(statuses: Iterable[PolicyStatus]) -> list[CredentialView]:
    known: dict[tuple[str, str], CredentialView] = {}
    for status in statuses:
        for one in status.credentials:
            known[one.namespace, one.name] = CredentialView(
                namespace=one.namespace,
                name=one.name,
                provider="",
                state="",
                registries=one.registries,
                expires_at=one.expires_at,
                refreshed_at=one.refreshed_at,
                reason=one.reason,
                message=one.message,
            )
    return [view for _, view in sorted(known.items())]


def _held(policies: Iterable[PolicyView]) -> list[HeldStatus]:
    known: dict[str, HeldStatus] = {}
    for policy in policies:
        held = policy.status.held
        if held is not None and held.id:
            known.setdefault(held.id, msgspec.structs.replace(held, policy=held.policy or policy.name))
    return list(known.values())
