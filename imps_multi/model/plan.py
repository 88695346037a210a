"""The planner: what one Secret name in one namespace needs, from what is wanted and what was seen.

Pure. It writes nothing where nothing differs, deletes nothing without the whole picture and the brake's word, and never
touches what is not ours. Applying its write to what was seen and planning again gives no write. Whose a target is, is
decided here; what it needs then, in ``claiming``, ``keeping`` and ``removing``.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from msgspec import structs

from imps_multi.model.choosing import NO_PODS, PodsThere
from imps_multi.model.claiming import missing, occupied
from imps_multi.model.gate import Gate
from imps_multi.model.keeping import hand_over, keep
from imps_multi.model.names import DOCKERCONFIGJSON_TYPE, NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.ownership import Foreign, Ours, marked_adopted, owner
from imps_multi.model.planning import Desk, Sight, conflicting
from imps_multi.model.removing import marks_there, undecided, unwanted
from imps_multi.model.target_plan import Line, State, TargetPlan
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Standing

ITS_OWN_SOURCE: Final = (
    "the source Secret itself belongs there; exclude this namespace, or give the targets another name"
)

LastSaid = Callable[[tuple[NamespaceName, SecretName]], tuple[Line, ...]]
"""What was last said of a target; nothing where it was not looked at yet."""


def _nothing(_: tuple[NamespaceName, SecretName]) -> tuple[Line, ...]:
    return ()


class Planner:
    """Everything that stays the same from one target to the next."""

    def __init__(
        self,
        view: View,
        cache: WantedCache,
        remembered: Mapping[Uid, PolicyName],
        gate: Gate,
        adopted: Collection[Uid] = (),
        *,
        pods: PodsThere = NO_PODS,
        last_said: LastSaid = _nothing,
    ) -> None:
        """Keep what is passed in; ``remembered`` and ``adopted``: what was seen and is not said any more."""
        self.view = view
        self._pods = pods
        self._last_said = last_said
        self._remembered = remembered
        self._adopted = adopted
        self._desk = Desk(view, cache, gate)

    def plan(
        self, record: NamespaceRecord | None, name: SecretName, seen: SeenSecret | None, *, now: float
    ) -> TargetPlan | None:
        """Return what a target needs; None where nobody has to do with it (gone, terminating, foreign and unwanted)."""
        if record is None or record.terminating:
            return None
        claimants = [
            candidate for candidate in self.view.by_name.get(name, ()) if candidate.selects(record, self._pods)
        ]
        if self.view.sources and any(candidate.reads(record.name, name) for candidate in claimants):
            return conflicting(record, name, claimants, ITS_OWN_SOURCE)
        if seen is None:
            return missing(self._desk, record, name, claimants, now)
        whose = owner(seen, self.view.hubs, self._remembered)
        sight = Sight(record, name, seen, now, adopted=marked_adopted(seen.marks) or seen.uid in self._adopted)
        if isinstance(whose, Foreign):
            return occupied(self._desk, sight, claimants, whose.why)
        if seen.type != DOCKERCONFIGJSON_TYPE:
            return conflicting(record, name, claimants, f"the Secret there has type {seen.type[:63]}")
        return self._ours(sight, whose, claimants)

    def forbidden(self, record: NamespaceRecord | None, name: SecretName, message: str) -> TargetPlan | None:
        """Return how a target stands whose name may not be read in this cluster."""
        if record is None or record.terminating:
            return None
        lines = tuple(
            Line(candidate.policy.name, State.FAILED, reason="Forbidden", message=message)
            for candidate in self.view.by_name.get(name, ())
            if candidate.selects(record, self._pods)
        )
        return TargetPlan(record.name, name, lines) if lines else None

    def _ours(self, sight: Sight, whose: Ours, claimants: list[Candidate]) -> TargetPlan | None:
        holder = self._holder(whose)
        if holder is not None:
            claims = any(one is holder for one in claimants)
            writes_it = holder.policy.secret.name == sight.name
            desired = claims or (writes_it and holder.undecided(sight.record, self._pods))
            sight = self._with_history(sight, holder, desired=desired)
            rivals = [one for one in claimants if one is not holder] if len(claimants) > claims else []
            if desired and holder.able and not claims and marks_there(sight) is not None:
                return undecided(self._desk, sight, holder, rivals)
            if desired or not holder.able:
                return keep(self._desk, sight, holder, rivals, desired=desired)
        heir = next((one for one in claimants if one.able), None)
        if heir is None:
            policy = whose.policy or PolicyName("")
            if holder is None:
                sight = self._with_history(sight, self.view.policies.get(policy), desired=False)
            return unwanted(self._desk, sight, policy, claimants)
        rivals = [one for one in claimants if one is not heir]
        if whose.policy is None:
            return keep(self._desk, sight, heir, rivals)
        if whose.policy not in self.view.policies and not (self.view.whole and self.view.synced):
            why = f"it belongs to policy {whose.policy}, and whether that is gone cannot be read at this moment"
            return conflicting(sight.record, sight.name, claimants, why)
        return hand_over(self._desk, sight, whose.policy, heir, rivals)

    def _with_history(self, sight: Sight, candidate: Candidate | None, *, desired: bool) -> Sight:
        """Add whether only pods select the target, or did when it was wanted last; by its last spec where unknown."""
        if candidate is None:
            return sight
        by_pods = candidate.selects_by_pods(sight.record)
        if not desired:
            said = self._last_said((sight.record.name, sight.name))
            by_pods = next((line.by_pods for line in said if line.policy == candidate.policy.name), by_pods)
        return structs.replace(sight, by_pods=True) if by_pods else sight

    def _holder(self, whose: Ours) -> Candidate | None:
        """Return the policy that a target names, while it exists."""
        candidate = self.view.policies.get(whose.policy) if whose.policy else None
        return None if candidate is None or candidate.resolved.standing is Standing.DELETED else candidate
