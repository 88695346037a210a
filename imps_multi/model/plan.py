"""The planner: what one Secret name in one namespace needs, from what is wanted and what was seen.

Pure. It writes nothing where nothing differs, deletes nothing without the whole picture and the brake's word, and never
touches what is not ours. Applying its write to what was seen and planning again gives no write.
"""

from collections.abc import Mapping

from msgspec import Struct, structs

from imps_multi.model.difference import difference, mark, release, repair_marks
from imps_multi.model.instant import parse_duration, parse_instant
from imps_multi.model.names import (
    ADOPTED_ANNOTATION,
    DELETION_POLICY_ANNOTATION,
    DOCKERCONFIGJSON_TYPE,
    EXPIRES_AT_ANNOTATION,
    LINGER_ANNOTATION,
    UNWANTED_SINCE_ANNOTATION,
    NamespaceName,
    PolicyName,
    RegistryKey,
    SecretName,
    Uid,
)
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.ownership import Foreign, Ours, owner
from imps_multi.model.payload import granted, unknown
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.target_plan import Create, Delete, Line, State, TargetPlan, Update, Wish, Write
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import Marked, Wanted, WantedCache
from imps_multi.model.world import Standing

LINGER = "1h"
LINGER_AT_MOST = 7 * 86400.0
CONTENT_AT_MOST = 1024 * 1024


class Gate(Struct, frozen=True):
    """What may be taken away at this moment. ``looks``: when a lingering target may be looked at again."""

    whole_picture: bool = False
    released: frozenset[Wish] = frozenset()
    held: frozenset[Wish] = frozenset()
    looks: Mapping[tuple[NamespaceName, SecretName], float] = {}


class Planner:
    """Everything that stays the same from one target to the next."""

    def __init__(self, view: View, cache: WantedCache, remembered: Mapping[Uid, PolicyName], gate: Gate) -> None:
        self.view = view
        self._cache = cache
        self._remembered = remembered
        self._gate = gate

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
            return _conflicting(record, name, claimants, f"a Secret of that name is there and {whose.why}")
        if seen.type != DOCKERCONFIGJSON_TYPE:
            return _conflicting(record, name, claimants, f"the Secret there has type {seen.type[:63]}")
        return self._ours(record, name, seen, whose, claimants, now)

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
        able = [one for one in claimants if one.resolved.standing is Standing.VALID and not one.policy.suspend]
        lines = [
            Line(one.policy.name, State.PENDING, reason="Suspended", message="suspended, and not there yet")
            for one in claimants
            if one.policy.suspend
        ]
        if not able:
            return TargetPlan(record.name, name, tuple(lines)) if lines else None
        winner, rivals = able[0], able[1:]
        line, wanted = self._to_create(winner, record, now)
        lines = [line, *lines, *_rival_lines(rivals, winner)]
        write = None if wanted is None else Create(wanted)
        return TargetPlan(record.name, name, tuple(lines), write, winner.policy.name, "the target is missing")

    def _to_create(self, winner: Candidate, record: NamespaceRecord, now: float) -> tuple[Line, Wanted | None]:
        name = winner.policy.name
        if winner.resolved.waiting:
            return Line(name, State.PENDING, reason="Waiting", message="its sources are being asked"), None
        sources = granted(winner.resolved, self.view.cluster, record.name)
        wanted = self._cache.wanted(winner.resolved, sources, unexpired_at=now)
        if not wanted.payload.registries:
            reason = "SourceNotAllowed" if len(sources) < len(winner.resolved.sources) else "SourceError"
            return Line(name, State.PENDING, reason=reason, message="no source gives a usable credential here"), None
        if len(wanted.payload.content) > CONTENT_AT_MOST:
            return Line(name, State.FAILED, reason="TooLarge", message="the merged Secret is over 1 MiB"), None
        return Line(name, State.PENDING, expires_at=wanted.payload.expires_at), wanted

    def _ours(
        self,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        whose: Ours,
        claimants: list[Candidate],
        now: float,
    ) -> TargetPlan | None:
        holder = self._holder(name, record, whose)
        if holder is None and (heirs := _heirs(claimants, whose)):
            holder = heirs[0]
        if holder is None:
            return self._unwanted(record, name, seen, whose, now)
        rivals = [one for one in claimants if one is not holder]
        return self._keep(record, name, seen, whose, holder, rivals, now)

    def _holder(self, name: SecretName, record: NamespaceRecord, whose: Ours) -> Candidate | None:
        candidate = self.view.policies.get(whose.policy) if whose.policy else None
        if candidate is None or candidate.resolved.standing is Standing.DELETED:
            return None
        wants = candidate.policy.secret.name == name and candidate.selects(record)
        stays = candidate.resolved.standing is Standing.INVALID or candidate.policy.suspend
        return candidate if wants or stays else None

    def _keep(
        self,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        whose: Ours,
        holder: Candidate,
        rivals: list[Candidate],
        now: float,
    ) -> TargetPlan:
        heir = whose.policy not in (None, holder.policy.name)
        wanted, wish, wake_at = self._content(holder, record, name, seen, now, previous=whose.policy if heir else None)
        if wanted is not None:
            update = difference(seen, holder.resolved, wanted)
        else:
            update = None if heir else repair_marks(seen, holder.resolved, self.view.hub)
        line = self._kept_line(holder, seen, update, wish, wanted)
        if line.state is State.FAILED or holder.policy.suspend:
            update = None
        desired = holder.selects(record) and holder.policy.secret.name == name
        return TargetPlan(
            record.name,
            name,
            (structs.replace(line, desired=desired), *_rival_lines(rivals, holder)),
            update,
            holder.policy.name,
            "" if update is None else _why(seen, update),
            wish,
            wake_at,
        )

    def _content(
        self,
        holder: Candidate,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        now: float,
        *,
        previous: PolicyName | None,
    ) -> tuple[Wanted | None, Wish | None, float | None]:
        """Return what a kept target should hold (None: leave its data alone), the loss wished, when to look again.

        ``previous``: the policy that had the target, where it is handed over to ``holder``.
        """
        resolved = holder.resolved
        sources = granted(resolved, self.view.cluster, record.name)
        wanted = self._cache.wanted(resolved, sources)
        if unknown(sources):
            due = _rewrite_due(holder, seen)
            if due is None or now < due:
                return None, None, due
            return self._cache.wanted(resolved, sources, keep=_lost(holder, seen, wanted)), None, None
        lost = _lost(holder, seen, wanted) if previous is None else seen.registries - wanted.payload.registries
        if not lost:
            return wanted, None, None
        wish = Wish(previous or holder.policy.name, self.view.cluster, record.name, name, tuple(sorted(lost)))
        if wish in self._gate.released and self._gate.whole_picture:
            return wanted, wish, None
        if previous is not None:
            return None, wish, None
        kept = self._cache.wanted(resolved, sources, keep=lost)
        return (kept if lost <= kept.payload.registries else None), wish, None

    def _kept_line(
        self, holder: Candidate, seen: SeenSecret, update: Update | None, wish: Wish | None, wanted: Wanted | None
    ) -> Line:
        name = holder.policy.name
        expires_at = _expiry_there(seen)
        if wanted is not None and len(wanted.payload.content) > CONTENT_AT_MOST:
            return Line(name, State.FAILED, reason="TooLarge", message="the merged Secret is over 1 MiB")
        if update is not None and update.wanted is not None and seen.immutable and seen.content != _digest(update):
            message = "the Secret is immutable; delete it, and it will be made anew"
            return Line(name, State.FAILED, reason="Immutable", message=message, expires_at=expires_at)
        if wish is not None and wish in self._gate.held:
            return Line(name, State.HELD, message="losing a registry waits for approval", expires_at=expires_at)
        if update is None:
            return Line(name, State.IN_SYNC, expires_at=expires_at)
        return Line(name, State.PENDING, reason="Suspended" if holder.policy.suspend else "", expires_at=expires_at)

    def _unwanted(
        self, record: NamespaceRecord, name: SecretName, seen: SeenSecret, whose: Ours, now: float
    ) -> TargetPlan | None:
        candidate = self.view.policies.get(whose.policy) if whose.policy else None
        policy = whose.policy or PolicyName("")
        if self.view.hub_empty and policy not in self.view.seen_deleted:
            return None
        marks = dict(seen.marks.annotations)
        wish = Wish(policy, self.view.cluster, record.name, name)
        let_go = UNWANTED_SINCE_ANNOTATION in marks or wish in self._gate.released
        how = _deletion_policy(candidate, marks)
        since = _unwanted_since(marks, now)
        held = not let_go and wish in self._gate.held
        state = State.HELD if held else State.LINGERING
        line = Line(policy, state, desired=False, reason=how.value, expires_at=_expiry_there(seen))
        plan = TargetPlan(record.name, name, (line,), None, policy, f"no longer wanted ({how.value})", wish)
        if not let_go or not self._gate.whole_picture:
            marked = UNWANTED_SINCE_ANNOTATION in marks
            return _fresh(self, plan, candidate, seen, _marks_of(marks, since) if marked else None, record)
        if how is DeletionPolicy.IMMEDIATE:
            return _writing(plan, Delete(seen.uid, seen.resource_version, check=False))
        if how is DeletionPolicy.RETAIN:
            return _writing(plan, release(seen))
        return self._linger(plan, candidate, record, seen, since, now)

    def _linger(
        self,
        plan: TargetPlan,
        candidate: Candidate | None,
        record: NamespaceRecord,
        seen: SeenSecret,
        since: float,
        now: float,
    ) -> TargetPlan:
        marks = dict(seen.marks.annotations)
        until = since + (parse_duration(marks.get(LINGER_ANNOTATION)) or 3600.0)
        look = max(until, self._gate.looks.get((plan.namespace, plan.name), 0.0))
        last = since + LINGER_AT_MOST
        marked = UNWANTED_SINCE_ANNOTATION in marks
        if marked and now >= min(look, last):
            return _writing(plan, Delete(seen.uid, seen.resource_version, check=now < last))
        fresh = _fresh(self, plan, candidate, seen, _marks_of(marks, since), record)
        return _waking(fresh, min(look, last))

    def content_for_unwanted(
        self, candidate: Candidate | None, seen: SeenSecret, marked: Marked | None, record: NamespaceRecord
    ) -> Wanted | None:
        """Return what keeps an unwanted target fresh, or None where its content is not known any more."""
        if candidate is None or candidate.policy.suspend:
            return None
        resolved = candidate.resolved
        sources = granted(resolved, self.view.cluster, record.name)
        if unknown(sources):
            return None
        keep = seen.registries.intersection(resolved.retained)
        wanted = self._cache.wanted(resolved, sources, keep=keep, marked=marked)
        return wanted if seen.registries <= wanted.payload.registries else None


def _fresh(
    planner: Planner,
    plan: TargetPlan,
    candidate: Candidate | None,
    seen: SeenSecret,
    marked: Marked | None,
    record: NamespaceRecord,
) -> TargetPlan:
    if candidate is not None and candidate.policy.suspend:
        return plan
    wanted = planner.content_for_unwanted(candidate, seen, marked, record)
    if wanted is not None and candidate is not None:
        update = difference(seen, candidate.resolved, wanted)
    else:
        update = mark(seen, marked) if marked is not None else None
    return plan if update is None else _writing(plan, update)


def _conflicting(record: NamespaceRecord, name: SecretName, claimants: list[Candidate], why: str) -> TargetPlan | None:
    lines = tuple(Line(one.policy.name, State.CONFLICT, reason="Conflict", message=why) for one in claimants)
    return TargetPlan(record.name, name, lines) if lines else None


def _rival_lines(rivals: list[Candidate], winner: Candidate) -> list[Line]:
    why = f"policy {winner.policy.name} has this Secret name here"
    return [Line(rival.policy.name, State.CONFLICT, reason="Conflict", message=why) for rival in rivals]


def _heirs(claimants: list[Candidate], whose: Ours) -> list[Candidate]:
    return [
        one
        for one in claimants
        if one.policy.name != whose.policy and one.resolved.standing is Standing.VALID and not one.policy.suspend
    ]


def _lost(holder: Candidate, seen: SeenSecret, wanted: Wanted) -> frozenset[RegistryKey]:
    """Return the registries that an update would take away; what nobody of ours put there is tampering, not a loss."""
    missing = seen.registries - wanted.payload.registries
    if not missing or not holder.resolved.history_known:
        return missing
    return missing.intersection(holder.resolved.retained)


def _rewrite_due(holder: Candidate, seen: SeenSecret) -> float | None:
    """Return when a target with an unknown source must be rewritten: a quarter of the life before its known end."""
    lives = [
        source.expires_at - source.issued_at
        for source in holder.resolved.sources
        if source.expires_at is not None and source.issued_at is not None
    ]
    there = _expiry_there(seen)
    return None if there is None or not lives else there - min(lives) / 4


def _expiry_there(seen: SeenSecret) -> float | None:
    return parse_instant(dict(seen.marks.annotations).get(EXPIRES_AT_ANNOTATION))


def _digest(update: Update) -> bytes:
    return b"" if update.wanted is None else update.wanted.payload.digest


def _deletion_policy(candidate: Candidate | None, marks: Mapping[str, str]) -> DeletionPolicy:
    if marks.get(ADOPTED_ANNOTATION) == "true":
        return DeletionPolicy.RETAIN
    if candidate is not None:
        return candidate.policy.deletion_policy
    try:
        return DeletionPolicy(marks.get(DELETION_POLICY_ANNOTATION))
    except ValueError:
        return DeletionPolicy.WHEN_UNREFERENCED


def _unwanted_since(marks: Mapping[str, str], now: float) -> float:
    since = parse_instant(marks.get(UNWANTED_SINCE_ANNOTATION))
    return now if since is None else min(since, now)


def _marks_of(marks: Mapping[str, str], since: float) -> Marked:
    linger = marks.get(LINGER_ANNOTATION)
    return Marked(since, linger if linger is not None and parse_duration(linger) is not None else LINGER)


def _why(seen: SeenSecret, update: Update) -> str:
    if update.wanted is None:
        return "labels or annotations differ"
    return "the credential differs" if not seen.foreign_keys else "the content differs"


def _writing(plan: TargetPlan, write: Write) -> TargetPlan:
    return structs.replace(plan, write=write)


def _waking(plan: TargetPlan, at: float) -> TargetPlan:
    return structs.replace(plan, wake_at=at)
