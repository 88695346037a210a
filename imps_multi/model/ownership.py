"""Whose a Secret is, read off its marks.

Pure. *Ours* carries both labels with our hub's id, or a former one of it. *Stripped* is one that this process has seen
as ours, or that still carries a part of our marks. Everything else is foreign and is never touched.
"""

from collections.abc import Mapping

from msgspec import Struct

from imps_multi.model.names import (
    HUB_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POLICY_ANNOTATION,
    HubId,
    PolicyName,
    Uid,
)
from imps_multi.model.observed import Marks, SeenSecret


class Ours(Struct, frozen=True):
    """Ours, whole or stripped; ``policy`` is None where nothing says which policy wrote it."""

    policy: PolicyName | None
    stripped: bool = False


class Foreign(Struct, frozen=True):
    """Not ours; ``why`` is for the conflict's message."""

    why: str


Owner = Ours | Foreign


def owner(secret: SeenSecret, hubs: frozenset[HubId], remembered: Mapping[Uid, PolicyName]) -> Owner:
    """Say whose a Secret is. ``hubs`` holds our id and the previous ones; ``remembered`` what we saw as ours."""
    labels, annotations = dict(secret.marks.labels), dict(secret.marks.annotations)
    managed = labels.get(MANAGED_BY_LABEL) == MANAGED_BY
    hub = labels.get(HUB_LABEL)
    annotated = annotations.get(POLICY_ANNOTATION)
    policy = PolicyName(annotated) if annotated else remembered.get(secret.uid)
    if hub is not None and HubId(hub) not in hubs:
        return Foreign(f"it belongs to another hub ({hub[:63]})")
    if managed and hub is not None:
        return Ours(policy)
    if secret.uid in remembered:
        return Ours(remembered[secret.uid], stripped=True)
    if hub is not None or (annotated and managed):
        return Ours(policy, stripped=True)
    return Foreign(_foreign_because(secret.marks, labels.get(MANAGED_BY_LABEL)))


def _foreign_because(marks: Marks, managed_by: str | None) -> str:
    if managed_by is not None:
        return "app.kubernetes.io/managed-by names somebody else" if managed_by != MANAGED_BY else "no hub label"
    if marks.imps_owned:
        return "IMPS wrote it"
    return "it does not carry our labels"
