"""What may be adopted, and what is changed on an adopted Secret beside its content.

Pure. A Secret that is not ours is taken over only where nobody else is known to write to it, and is marked, so that it
can be given back. What the IMPS operator wrote is free of IMPS's traces afterwards: its ownerReference would have the
Secret collected together with the policy there, and its annotation holds a copy of the credential. Called by
``claiming``, ``keeping`` and ``removing``.
"""

from collections.abc import Iterator

from msgspec import structs

from imps_multi.model.difference import difference
from imps_multi.model.names import (
    ADOPTED_ANNOTATION,
    DOCKERCONFIGJSON_TYPE,
    HUB_LABEL,
    IMPS_LAST_APPLIED,
    IMPS_OWNER_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    HubId,
)
from imps_multi.model.observed import Marks, SeenSecret
from imps_multi.model.planning import Sight
from imps_multi.model.policy import ConflictPolicy
from imps_multi.model.target_plan import Update
from imps_multi.model.wanted import Wanted
from imps_multi.model.world import Resolved

SHOWN = 63


def obstacles(seen: SeenSecret, hubs: frozenset[HubId]) -> tuple[str, ...]:
    """Return everything that stands against adopting a Secret; ``hubs`` are our own ids."""
    return tuple(_obstacles(seen, hubs))


def by_imps(marks: Marks) -> bool:
    """Say whether the IMPS operator wrote it."""
    return any(key == IMPS_OWNER_LABEL for key, _ in marks.labels)


def traced(marks: Marks) -> bool:
    """Say whether IMPS left anything on it that would let it have a say."""
    return marks.owners.imps or by_imps(marks)


def adopted(sight: Sight, resolved: Resolved) -> bool:
    """Say whether a target is to be given back one day: it was adopted, or IMPS wrote to it and Adopt takes it back."""
    adopts = resolved.policy.conflict_policy is ConflictPolicy.ADOPT
    return sight.adopted or (adopts and traced(sight.seen.marks))


def due(sight: Sight, resolved: Resolved, wanted: Wanted) -> Update | None:
    """Return the update that makes a target as it is wanted, and an adopted one remain so."""
    if adopted(sight, resolved):
        return adopting(sight.seen, resolved, wanted)
    return difference(sight.seen, resolved, wanted)


def adopting(seen: SeenSecret, resolved: Resolved, wanted: Wanted) -> Update | None:
    """Return the update that makes a Secret into an adopted target.

    What it carried before is not known, so keys of the policy's past stay: somebody else may have put them there.
    """
    bare = structs.replace(resolved, past_labels=frozenset(), past_annotations=frozenset())
    return as_adopted(seen, difference(seen, bare, wanted))


def as_adopted(seen: SeenSecret, update: Update | None) -> Update | None:
    """Add to an update, or to none, what marks a Secret as adopted and takes IMPS's traces off."""
    labels, annotations = tuple(_labels(seen.marks)), tuple(_annotations(seen.marks))
    owners = seen.marks.owners.others if seen.marks.owners.imps else None
    if update is None and owners is None and not (labels or annotations):
        return None
    base = update or Update(uid=seen.uid, resource_version=seen.resource_version, wanted=None, put=False)
    return structs.replace(
        base, put=False, labels=base.labels + labels, annotations=base.annotations + annotations, owners=owners
    )


def _obstacles(seen: SeenSecret, hubs: frozenset[HubId]) -> Iterator[str]:
    labels, owners = dict(seen.marks.labels), seen.marks.owners
    hub, managed_by = labels.get(HUB_LABEL), labels.get(MANAGED_BY_LABEL, MANAGED_BY)
    if seen.type != DOCKERCONFIGJSON_TYPE:
        yield f"its type is {seen.type[:SHOWN]}, not {DOCKERCONFIGJSON_TYPE}"
    if seen.immutable:
        yield "it is immutable"
    if owners.controller:
        yield f"its ownerReferences name a controller of kind {owners.controller[:SHOWN]}"
    if owners.imps and IMPS_OWNER_LABEL not in labels:
        yield f"its ownerReferences name an ImagePullSecret, and it lacks IMPS's label {IMPS_OWNER_LABEL}"
    if hub is not None and hub not in hubs:
        yield f"it carries the mark of another hub ({hub[:SHOWN]}), which hub.previousIDs does not name"
    if managed_by != MANAGED_BY:
        yield f"its label {MANAGED_BY_LABEL} is {managed_by[:SHOWN]}"


def _labels(marks: Marks) -> Iterator[tuple[str, str | None]]:
    if by_imps(marks):
        yield IMPS_OWNER_LABEL, None


def _annotations(marks: Marks) -> Iterator[tuple[str, str | None]]:
    there = dict(marks.annotations)
    if there.get(ADOPTED_ANNOTATION) != "true":
        yield ADOPTED_ANNOTATION, "true"
    if traced(marks) and IMPS_LAST_APPLIED in there:
        yield IMPS_LAST_APPLIED, None
