"""What the parts of the planner share: what they work from, one target as it lies there, and how things are said.

Pure. ``plan`` decides whose a target is; ``keeping`` and ``removing`` what it needs.
"""

from collections.abc import Collection, Iterable

from msgspec import Struct, structs

from imps_multi.model.credential import SourceState
from imps_multi.model.dockerconfig import MAX_SECRET_BYTES
from imps_multi.model.gate import Gate
from imps_multi.model.instant import parse_instant
from imps_multi.model.names import EXPIRES_AT_ANNOTATION, NamespaceName, PolicyName, RegistryKey, SecretName
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.payload import given_before, granted, losses
from imps_multi.model.target_plan import Line, State, TargetPlan, Update, Wish, Write
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import Marked, Wanted, WantedCache
from imps_multi.model.world import Standing

TOO_LARGE = "the merged Secret is over 1 MiB"


class Sight(Struct, frozen=True, gc=False):
    """One target of ours as it is looked at: where, what lies there, when."""

    record: NamespaceRecord
    name: SecretName
    seen: SeenSecret
    now: float
    adopted: bool = False
    """It was adopted: it is to be given back, and marked so."""
    by_pods: bool = False
    """Nothing but pods selects it for the policy that has it, or did when it was selected last."""


class Desk(Struct, frozen=True):
    """What stays the same from one target to the next."""

    view: View
    cache: WantedCache
    gate: Gate

    def sources(self, candidate: Candidate, namespace: NamespaceName) -> tuple[SourceState, ...]:
        """Return the sources of a policy that may go to a namespace."""
        return granted(candidate.resolved, self.view.cluster, namespace)

    def wanted(
        self,
        candidate: Candidate,
        sources: tuple[SourceState, ...],
        sight: Sight,
        *,
        keep: frozenset[RegistryKey] = frozenset(),
        only: frozenset[RegistryKey] | None = None,
        marked: Marked | None = None,
    ) -> Wanted:
        """Return what a policy wants in a target that is there."""
        return self.cache.wanted(
            candidate.resolved,
            sources,
            keep=keep,
            unexpired_at=sight.now,
            there=sight.seen.registries,
            only=only,
            marked=marked,
        )

    def wish(self, policy: PolicyName, sight: Sight, loses: Iterable[RegistryKey] = ()) -> Wish:
        """Put a removal into words."""
        return Wish(policy, self.view.cluster, sight.record.name, sight.name, tuple(sorted(loses)))


def idle_line(claimant: Candidate) -> Line:
    """Return the line of a policy that wants a target and may not create it now."""
    if claimant.resolved.standing is Standing.INVALID:
        return Line(
            claimant.policy.name, State.PENDING, reason="InvalidSpec", message="no valid spec of it is in the hub"
        )
    return Line(claimant.policy.name, State.PENDING, reason="Suspended", message="suspended, and not there yet")


def rival_lines(rivals: Collection[Candidate], winner: Candidate) -> tuple[Line, ...]:
    """Return the lines of policies that want what another one has."""
    if not rivals:
        return ()
    why = f"policy {winner.policy.name} has this Secret name here"
    return tuple(Line(rival.policy.name, State.CONFLICT, reason="Conflict", message=why) for rival in rivals)


def conflicting(
    record: NamespaceRecord, name: SecretName, claimants: Iterable[Candidate], why: str
) -> TargetPlan | None:
    """Return the plan of a target that nobody of ours may have; None where nobody wants it."""
    lines = tuple(Line(one.policy.name, State.CONFLICT, reason="Conflict", message=why) for one in claimants)
    return TargetPlan(record.name, name, lines) if lines else None


def writing(plan: TargetPlan, write: Write | None) -> TargetPlan:
    """Return the plan with its write."""
    return plan if write is None else structs.replace(plan, write=write)


def lost_by(policy: Candidate, sight: Sight, wanted: Wanted) -> frozenset[RegistryKey]:
    """Return the registries that an update would take away; what nobody of ours put there is tampering, not a loss."""
    missing = losses(sight.seen.registries, wanted.payload.registries)
    return from_policy(policy, missing) if missing else missing


def from_policy(policy: Candidate, registries: frozenset[RegistryKey]) -> frozenset[RegistryKey]:
    """Return those of some registries that a policy may have written."""
    resolved = policy.resolved
    return registries.intersection(given_before(resolved)) if resolved.history_known else registries


def expiry_there(seen: SeenSecret) -> float | None:
    """Return the earliest expiry of what lies in a target, as it says itself."""
    for key, value in seen.marks.annotations:
        if key == EXPIRES_AT_ANNOTATION:
            return parse_instant(value)
    return None


def impossible(seen: SeenSecret, update: Update) -> tuple[str, str] | None:
    """Return why an update would be refused, or would do harm, as reason and message."""
    if update.wanted is None:
        return None
    if (trouble := unwritable(update.wanted)) is not None:
        return trouble
    if seen.immutable:
        return "Immutable", "the Secret is immutable; delete it, and it will be made anew"
    return None


def unwritable(wanted: Wanted) -> tuple[str, str] | None:
    """Return why an API server would not take a target, or a kubelet not read it, as reason and message."""
    if wanted.payload.size > MAX_SECRET_BYTES:
        return "TooLarge", TOO_LARGE
    if wanted.payload.fault:
        return "Unreadable", f"a kubelet could not read the merged Secret: {wanted.payload.fault}"
    return None
