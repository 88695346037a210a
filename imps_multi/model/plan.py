"""The planner: what one Secret name in one namespace needs, from what is wanted and what was seen.

Pure. It writes nothing where nothing differs, deletes nothing without the whole picture and the brake's word, and never
touches what is not ours. Applying its write to what was seen and planning again gives no write. Whose a target is, is
decided here; what it needs then, in ``claiming``, ``keeping`` and ``removing``.
"""

from collections.abc import Collection, Mapping

from imps_multi.model.claiming import missing, occupied
from imps_multi.model.gate import Gate
from imps_multi.model.keeping import hand_over, keep
from imps_multi.model.names import DOCKERCONFIGJSON_TYPE, PolicyName, SecretName, Uid
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.ownership import Foreign, Ours, marked_adopted, owner
from imps_multi.model.planning import Desk, Sight, conflicting
from imps_multi.model.removing import unwanted
from imps_multi.model.target_plan import Line, State, TargetPlan
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Standing


class Planner:
    """Everything that stays the same from one target to the next."""

    def __init__(
        self,
        view: View,
        cache: WantedCache,
        remembered: Mapping[Uid, PolicyName],
        gate: Gate,
        adopted: Collection[Uid] = (),
    ) -> None:
        """Keep what is passed in; ``remembered`` and ``adopted``: what was seen and is not said any more."""
        self.view = view
        self._remembered = remembered
        self._adopted = adopted
        self._desk = Desk(view, cache, gate)

    def plan(
        self, record: NamespaceRecord | None, name: SecretName, seen: SeenSecret | None, *, now: float
    ) -> TargetPlan | None:
        """Return what a target needs; None where nobody has to do with it (gone, terminating, foreign and unwanted)."""
        if record is None or record.terminating:
            return None
        claimants = [candidate for candidate in self.view.by_name.get(name, ()) if candidate.selects(record)]
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
            if candidate.selects(record)
        )
        return TargetPlan(record.name, name, lines) if lines else None

    def _ours(self, sight: Sight, whose: Ours, claimants: list[Candidate]) -> TargetPlan | None:
        holder = self._holder(whose)
        if holder is not None:
            desired = any(one is holder for one in claimants)
            if desired or not holder.able:
                rivals = [one for one in claimants if one is not holder] if len(claimants) > desired else ()
                return keep(self._desk, sight, holder, rivals, desired=desired)
        heir = next((one for one in claimants if one.able), None)
        if heir is None:
            return unwanted(self._desk, sight, whose.policy or PolicyName(""), claimants)
        rivals = [one for one in claimants if one is not heir]
        if whose.policy is None:
            return keep(self._desk, sight, heir, rivals)
        if whose.policy not in self.view.policies and not (self.view.whole and self.view.synced):
            why = f"it belongs to policy {whose.policy}, and whether that is gone cannot be read at this moment"
            return conflicting(sight.record, sight.name, claimants, why)
        return hand_over(self._desk, sight, whose.policy, heir, rivals)

    def _holder(self, whose: Ours) -> Candidate | None:
        """Return the policy that a target names, while it exists."""
        candidate = self.view.policies.get(whose.policy) if whose.policy else None
        return None if candidate is None or candidate.resolved.standing is Standing.DELETED else candidate
