"""The planner: what one Secret name in one namespace needs, from what is wanted and what was seen.

Pure. It writes nothing where nothing differs, deletes nothing without the whole picture and the brake's word, and never
touches what is not ours. Applying its write to what was seen and planning again gives no write. Whose a target is, is
decided here; what it needs then, in ``keeping`` and ``removing``.
"""

from collections.abc import Mapping

from imps_multi.model.gate import Gate
from imps_multi.model.keeping import hand_over, keep
from imps_multi.model.names import DOCKERCONFIGJSON_TYPE, PolicyName, SecretName, Uid
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.ownership import Foreign, Ours, owner
from imps_multi.model.planning import TOO_LARGE, Desk, Sight, conflicting, idle_line, rival_lines, too_large
from imps_multi.model.removing import unwanted
from imps_multi.model.target_plan import Create, Line, State, TargetPlan
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import Wanted, WantedCache
from imps_multi.model.world import Standing

EXPANSION_HELD = "ExpansionHeld"


class Planner:
    """Everything that stays the same from one target to the next."""

    def __init__(self, view: View, cache: WantedCache, remembered: Mapping[Uid, PolicyName], gate: Gate) -> None:
        self.view = view
        self._remembered = remembered
        self._desk = Desk(view, cache, gate)

    def plan(
        self, record: NamespaceRecord | None, name: SecretName, seen: SeenSecret | None, *, now: float
    ) -> TargetPlan | None:
        """Return what a target needs; None where nobody has to do with it (gone, terminating, foreign and unwanted)."""
        if record is None or record.terminating:
            return None
        claimants = [candidate for candidate in self.view.by_name.get(name, ()) if candidate.selects(record)]
        if seen is None:
            return self._missing(record, name, claimants, now) if claimants else None
        whose = owner(seen, self.view.hubs, self._remembered)
        if isinstance(whose, Foreign):
            return conflicting(record, name, claimants, f"a Secret of that name is there and {whose.why}")
        if seen.type != DOCKERCONFIGJSON_TYPE:
            return conflicting(record, name, claimants, f"the Secret there has type {seen.type[:63]}")
        return self._ours(Sight(record, name, seen, now), whose, claimants)

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

    def _missing(
        self, record: NamespaceRecord, name: SecretName, claimants: list[Candidate], now: float
    ) -> TargetPlan | None:
        able = [one for one in claimants if one.able]
        lines = [idle_line(one) for one in claimants if not one.able]
        if not able:
            return TargetPlan(record.name, name, tuple(lines))
        winner, rivals = able[0], able[1:]
        line, wanted = self._to_create(winner, record, now)
        write = None if wanted is None else Create(wanted)
        return TargetPlan(
            record.name,
            name,
            (line, *lines, *rival_lines(rivals, winner)),
            write,
            winner.policy.name,
            "" if write is None else "the target is missing",
        )

    def _to_create(self, winner: Candidate, record: NamespaceRecord, now: float) -> tuple[Line, Wanted | None]:
        name = winner.policy.name
        admitted = self._desk.gate.admitted
        if admitted is not None and admitted.get(name) != winner.policy.generation:
            return Line(name, State.PENDING, reason=EXPANSION_HELD, message="so many new targets need approval"), None
        if winner.resolved.waiting:
            return Line(name, State.PENDING, reason="Waiting", message="its sources are being asked"), None
        sources = self._desk.sources(winner, record.name)
        wanted = self._desk.cache.wanted(winner.resolved, sources, unexpired_at=now)
        if not wanted.payload.registries:
            reason = "SourceNotAllowed" if len(sources) < len(winner.resolved.sources) else "SourceError"
            return Line(name, State.PENDING, reason=reason, message="no source gives a usable credential here"), None
        if too_large(wanted):
            return Line(name, State.FAILED, reason="TooLarge", message=TOO_LARGE), None
        return Line(name, State.PENDING), wanted

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
