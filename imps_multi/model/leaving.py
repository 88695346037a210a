"""What is done to a Secret of ours when imps-multi leaves: handed over, or removed.

Pure. Somebody asked for it by name and confirmed the count, so neither linger nor brake nor references are looked at;
what is not ours is never touched, and what was adopted is given back. Called by app for every Secret that was seen.
"""

import enum

from msgspec import Struct

from imps_multi.model.difference import release
from imps_multi.model.names import (
    ADOPTED_ANNOTATION,
    DOCKERCONFIGJSON_TYPE,
    ClusterName,
    HubId,
    NamespaceName,
    PolicyName,
    SecretName,
    Uid,
)
from imps_multi.model.observed import SeenSecret
from imps_multi.model.ownership import Foreign, owner
from imps_multi.model.target_plan import Delete, Line, State, TargetPlan


class Manner(enum.Enum):
    """What becomes of the Secrets."""

    KEEP = "keep"
    PURGE = "purge"


class Errand(Struct, frozen=True):
    """What is left: one policy's targets, one cluster, or everything where neither is named."""

    manner: Manner
    policy: PolicyName | None = None
    cluster: ClusterName | None = None


class Parting(Struct, frozen=True):
    """The write that one Secret needs, with the uid it is bound to. ``operation``: delete or release."""

    plan: TargetPlan
    operation: str
    policy: PolicyName
    uid: Uid


def parting(
    errand: Errand, namespace: NamespaceName, name: SecretName, seen: SeenSecret, hubs: frozenset[HubId]
) -> Parting | None:
    """Return what a Secret needs; None for what is not ours, or of another policy. ``hubs``: all our ids."""
    whose = owner(seen, hubs, {})
    if isinstance(whose, Foreign) or (errand.policy is not None and whose.policy != errand.policy):
        return None
    stays = _is_given_back(errand.manner, seen)
    write = release(seen) if stays else Delete(seen.uid, seen.resource_version, check=False)
    policy = whose.policy or PolicyName("")
    line = Line(policy, State.LINGERING, desired=False, there=True)
    plan = TargetPlan(namespace, name, (line,), write, policy, f"left ({errand.manner.value})")
    return None if write is None else Parting(plan, "release" if stays else "delete", policy, seen.uid)


def _is_given_back(manner: Manner, seen: SeenSecret) -> bool:
    """Say whether the Secret stays: also what was adopted, and what we cannot have written."""
    adopted = (ADOPTED_ANNOTATION, "true") in seen.marks.annotations
    return manner is Manner.KEEP or adopted or seen.type != DOCKERCONFIGJSON_TYPE
