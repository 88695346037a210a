"""Whose a Secret is, read off its marks.

Pure. *Ours* carries both labels with our hub's id, or a former one of it. *Stripped* is one that this process has seen
as ours, or that still carries a part of our marks. Everything else is foreign and is never touched.
"""

from collections.abc import Mapping

from msgspec import Struct

from imps_multi.model.names import (
    ADOPTED_ANNOTATION,
    HUB_LABEL,
    IMPS_OWNER_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POLICY_ANNOTATION,
    HubId,
    PolicyName,
    Uid,
)
from imps_multi.model.observed import Marks, SecretMoved, SeenSecret


class Ours(Struct, frozen=True, gc=False):
    """Ours, whole or stripped; ``policy`` is None where nothing says which policy wrote it."""

    policy: PolicyName | None
    stripped: bool = False


class Foreign(Struct, frozen=True, gc=False):
    """Not ours; ``why`` is for the conflict's message."""

    why: str


Owner = Ours | Foreign
_NOTHING: Mapping[Uid, PolicyName] = {}


def owner(secret: SeenSecret | SecretMoved, hubs: frozenset[HubId], remembered: Mapping[Uid, PolicyName]) -> Owner:
    """Say whose a Secret is. ``hubs`` holds our id and the previous ones; ``remembered`` what we saw as ours."""
    managed_by = hub = annotated = None
    for key, value in secret.marks.labels:  # in one go: it is asked several times for each target
        if key == MANAGED_BY_LABEL:
            managed_by = value
        elif key == HUB_LABEL:
            hub = value
    for key, value in secret.marks.annotations:
        if key == POLICY_ANNOTATION:
            annotated = value
    if hub is not None and hub not in hubs:
        return Foreign(f"it belongs to another hub ({hub[:63]})")
    policy = PolicyName(annotated) if annotated else remembered.get(secret.uid) or None
    if managed_by == MANAGED_BY and hub is not None:
        return Ours(policy)
    if secret.uid in remembered:
        return Ours(remembered[secret.uid] or None, stripped=True)
    if hub is not None or (annotated and managed_by == MANAGED_BY):
        return Ours(policy, stripped=True)
    return Foreign(_foreign_because(secret.marks, managed_by))


def marked_whole(secret: SeenSecret, hubs: frozenset[HubId]) -> bool:
    """Say whether the marks alone tell that it is ours, and whose: nothing needs to be remembered of it."""
    whose = owner(secret, hubs, _NOTHING)
    return isinstance(whose, Ours) and not whose.stripped and whose.policy is not None


def marked_adopted(marks: Marks) -> bool:
    """Say whether it carries the mark of one that is to be given back."""
    return (ADOPTED_ANNOTATION, "true") in marks.annotations


def _foreign_because(marks: Marks, managed_by: str | None) -> str:
    if managed_by is not None:
        return "app.kubernetes.io/managed-by names somebody else" if managed_by != MANAGED_BY else "no hub label"
    if marks.owners.imps or any(key == IMPS_OWNER_LABEL for key, _ in marks.labels):
        return "IMPS wrote it"
    return "it does not carry our labels"
