"""When the status of a policy is written to a hub in a cluster, and what of it.

Pure; the publisher asks it for every policy, whenever the status or the hub changed. A condition that flips, or is of a
new generation, is written at once; anything else at most every half minute; what only goes with the clock every ten
minutes; an equal one never. It compares states, so that whoever clears or edits the status finds it put right.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Struct, structs

from imps_multi.model.instant import parse_instant
from imps_multi.model.status import (
    HeldStatus,
    PolicyClusterStatus,
    PolicyCredentialStatus,
    PolicyStatus,
)

FLIP_SECONDS: Final = 1.0
"""Flips in quick succession are one write a second."""
GRACE_SECONDS: Final = 1.5
"""What is only being listed or written is told of when that takes longer: each new namespace would flip twice."""
CHANGE_SECONDS: Final = 30.0
BEAT_SECONDS: Final = 600.0
"""``lastSuccessfulReconciliation`` is never older than this while all is well."""

NAMESPACES_SHOWN: Final = 100
CLUSTERS_SHOWN: Final = 20
CREDENTIALS_SHOWN: Final = 50
REGISTRIES_SHOWN: Final = 20
LONGEST_REASON: Final = 1024
LONGEST_MESSAGE: Final = 256

T = TypeVar("T")


class Sent(Struct, frozen=True):
    """The last write of a policy's status: what, over what, and when (seconds of a monotonic clock)."""

    status: PolicyStatus
    over: PolicyStatus | None
    at: float


class Due(Struct, frozen=True):
    """When a status is to be written; ``flip``: a condition changed. In the past, or minus infinity: now."""

    at: float
    flip: bool = False


def due(wanted: PolicyStatus, shown: PolicyStatus | None, sent: Sent | None, *, since: float) -> Due | None:
    """Say when to write ``wanted`` (cut), where the hub shows ``shown``; None while there is nothing to write.

    ``since``: when its flags became what they are. A flip is told by what was sent last, so that nobody who undoes our
    writes makes us write in a loop.
    """
    base, last = (sent.status, sent.at) if sent is not None else (shown, -math.inf)
    if shown is not None and alike(shown, wanted):
        base = shown
    elif base is None or flags(base) != flags(wanted):
        patience = GRACE_SECONDS if base is not None and under_way(wanted) else 0.0
        return Due(max(last + FLIP_SECONDS, since + patience), flip=True)
    elif sent is None or not _alike(sent.over, shown) or not alike(sent.status, wanted):
        return Due(last + CHANGE_SECONDS)  # else it is on its way, or the hub's old CRD does not keep all of it
    return Due(last + CHANGE_SECONDS) if _is_stale(base, wanted) else None


def flags(status: PolicyStatus) -> frozenset[tuple[str, str, str, int]]:
    """Return what of a status is a flip when it changes; the generation too, for ``kubectl wait`` waits for that."""
    return frozenset((one.type, one.status, one.reason, one.observed_generation) for one in status.conditions)


def alike(one: PolicyStatus, other: PolicyStatus) -> bool:
    """Say whether two statuses differ in nothing but what goes with the clock, or with the process that looks."""
    return _timeless(one) == _timeless(other)


def under_way(status: PolicyStatus) -> bool:
    """Say whether clusters are only being listed, or targets written: no trouble, and nothing to tell of."""
    known = {one.type: one for one in status.conditions}
    ready, reachable, synced = (known.get(kind) for kind in ("Ready", "TargetsReachable", "TargetsSynced"))
    if ready is None or status.targets.failed or (reachable is not None and reachable.status == "False"):
        return False
    refused = synced is not None and synced.reason == "Forbidden"
    return ready.reason == "Starting" or (ready.reason == "PartiallySynced" and not refused)


def _alike(one: PolicyStatus | None, other: PolicyStatus | None) -> bool:
    return one is other or (one is not None and other is not None and alike(one, other))


def _timeless(status: PolicyStatus) -> PolicyStatus:
    return structs.replace(
        status,
        last_successful_reconciliation=None,
        validity_seconds=None,
        clusters=[structs.replace(one, since=None, last_contact=None, next_attempt=None) for one in status.clusters],
    )


def _is_stale(base: PolicyStatus, wanted: PolicyStatus) -> bool:
    new = parse_instant(wanted.last_successful_reconciliation)
    old = parse_instant(base.last_successful_reconciliation)
    return new is not None and (old is None or new - old >= BEAT_SECONDS)


def cut(status: PolicyStatus) -> PolicyStatus:
    """Return what of a status goes into the object: bounded, however many clusters, namespaces and sources there are.

    Clusters come with the troubled first. The credential that expires first leads, for the printer column shows it.
    """
    return structs.replace(
        status,
        reason=_text(status.reason, LONGEST_REASON),
        managed_namespaces=status.managed_namespaces[:NAMESPACES_SHOWN],
        source_secret_status=_texts(status.source_secret_status),
        clusters=[_cluster(one) for one in status.clusters[:CLUSTERS_SHOWN]],
        credentials=[_credential(one) for one in sorted(status.credentials, key=_expiry)[:CREDENTIALS_SHOWN]],
        held=_held(status.held) if status.held is not None else None,
    )


def _texts(texts: dict[str, str]) -> dict[str, str]:
    return {key: _text(text) for key, text in _first(list(texts.items()), CREDENTIALS_SHOWN)}


def _cluster(one: PolicyClusterStatus) -> PolicyClusterStatus:
    return structs.replace(one, message=_text(one.message)) if len(one.message) > LONGEST_MESSAGE else one


def _credential(one: PolicyCredentialStatus) -> PolicyCredentialStatus:
    return structs.replace(one, message=_text(one.message), registries=list(_first(one.registries, REGISTRIES_SHOWN)))


def _expiry(one: PolicyCredentialStatus) -> str:
    """Return what sorts by expiry: all times have one form, so that they sort as texts."""
    return one.expires_at or "never"


def _held(one: HeldStatus) -> HeldStatus:
    return structs.replace(one, why=_text(one.why), clusters=list(_first(one.clusters, CLUSTERS_SHOWN)))


def _first(items: Sequence[T], most: int) -> Sequence[T]:
    return items if len(items) <= most else items[:most]


def _text(text: str, most: int = LONGEST_MESSAGE) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
