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
from imps_multi.model.observed import Marks, Pairs, SecretMoved, SeenSecret


class Ours(Struct, frozen=True, gc=False):
    """Ours, whole or stripped; ``policy`` is None where nothing says which policy wrote it."""

    policy: PolicyName | None
    stripped: bool = False


class Foreign(Struct, frozen=True, gc=False):
    """Not ours; ``why`` is for the conflict's message."""

    why: str


Owner = Ours | Foreign


def owner(secret: SeenSecret | SecretMoved, hubs: frozenset[HubId], remembered: Mapping[Uid, PolicyName]) -> Owner:
    """Say whose a Secret is. ``hubs`` holds our id and the previous ones; ``remembered`` what we saw as ours."""
    managed_by = _value(secret.marks.labels, MANAGED_BY_LABEL)
    hub = _value(secret.marks.labels, HUB_LABEL)
    annotated = _value(secret.marks.annotations, POLICY_ANNOTATION)
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
    labels, annotations = secret.marks.labels, secret.marks.annotations
    return (
        _value(labels, MANAGED_BY_LABEL) == MANAGED_BY
        and _value(labels, HUB_LABEL) in hubs
        and bool(_value(annotations, POLICY_ANNOTATION))
    )


def marked_adopted(marks: Marks) -> bool:
    """Say whether it carries the mark of one that is to be given back."""
    return _value(marks.annotations, ADOPTED_ANNOTATION) == "true"


def _value(pairs: Pairs, key: str) -> str | None:
    for name, value in pairs:
        if name == key:
            return value
    return None


def _foreign_because(marks: Marks, managed_by: str | None) -> str:
    if managed_by is not None:
        return "app.kubernetes.io/managed-by names somebody else" if managed_by != MANAGED_BY else "no hub label"
    if marks.owners.imps or _value(marks.labels, IMPS_OWNER_LABEL) is not None:
        return "IMPS wrote it"
    return "it does not carry our labels"
