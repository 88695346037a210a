"""The planner: what one Secret name in one namespace needs, from what is wanted and what was seen.

Pure. It writes nothing where nothing differs, deletes nothing without the whole picture and the brake's word, and never
touches what is not ours. Applying its write to what was seen and planning again gives no write.
"""

from collections.abc import Mapping

from msgspec import Struct, structs

from imps_multi.model.difference import difference, keep_marks, release, repair_marks, without_data
from imps_multi.model.dockerconfig import MAX_SECRET_BYTES
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
from imps_multi.model.payload import given_before, granted, losses, unknown
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.target_plan import Create, Delete, Line, State, TargetPlan, Update, Wish, Write
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import Marked, Wanted, WantedCache
from imps_multi.model.world import Resolved, Standing

LINGER = "1h"
EXPANSION_HELD = "ExpansionHeld"
LINGER_AT_MOST = 7 * 86400.0


class Gate(Struct, frozen=True):
    """What may be taken away at this moment. ``looks``: when a lingering target may be looked at again."""

    whole_picture: bool = False
    released: frozenset[Wish] = frozenset()
    held: frozenset[Wish] = frozenset()
    looks: Mapping[tuple[NamespaceName, SecretName], float] = {}
    admitted: Mapping[PolicyName, int] | None = None
    """The generation of each policy that may make new targets; None where there is no limit."""


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
        able = [one for one in claimants if one.able]
        lines = [_idle_line(one) for one in claimants if not one.able]
        if not able:
            return TargetPlan(record.name, name, tuple(lines))
        winner, rivals = able[0], able[1:]
        line, wanted = self._to_create(winner, record, now)
        write = None if wanted is None else Create(wanted)
        return TargetPlan(
            record.name,
            name,
            (line, *lines, *_rival_lines(rivals, winner)),
            write,
            winner.policy.name,
            "" if write is None else "the target is missing",
        )

    def _to_create(self, winner: Candidate, record: NamespaceRecord, now: float) -> tuple[Line, Wanted | None]:
        name = winner.policy.name
        if winner.resolved.waiting:
            return Line(name, State.PENDING, reason="Waiting", message="its sources are being asked"), None
        sources = granted(winner.resolved, self.view.cluster, record.name)
        wanted = self._cache.wanted(winner.resolved, sources, unexpired_at=now)
        if not wanted.payload.registries:
            reason = "SourceNotAllowed" if len(sources) < len(winner.resolved.sources) else "SourceError"
            return Line(name, State.PENDING, reason=reason, message="no source gives a usable credential here"), None
        if _too_large(wanted):
            return Line(name, State.FAILED, reason="TooLarge", message=_TOO_LARGE), None
        admitted = self._gate.admitted
        if admitted is not None and admitted.get(name) != winner.policy.generation:
            return Line(name, State.PENDING, reason=EXPANSION_HELD, message="so many new targets need approval"), None
        return Line(name, State.PENDING), wanted

    def _ours(
        self,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        whose: Ours,
        claimants: list[Candidate],
        now: float,
    ) -> TargetPlan | None:
        owner_now = self._owner(whose)
        if owner_now is not None and _holds(owner_now, name, record):
            rivals = [one for one in claimants if one is not owner_now]
            return self._keep(record, name, seen, owner_now, rivals, now)
        heir = next((one for one in claimants if one.able), None)
        if heir is None:
            return self._unwanted(record, name, seen, whose, claimants, now)
        rivals = [one for one in claimants if one is not heir]
        if whose.policy is None:
            return self._keep(record, name, seen, heir, rivals, now)
        if whose.policy not in self.view.policies and not (self.view.whole and self.view.synced):
            why = f"it belongs to policy {whose.policy}, and whether that is gone cannot be read at this moment"
            return _conflicting(record, name, claimants, why)
        return self._hand_over(record, name, seen, whose.policy, heir, rivals, now)

    def _owner(self, whose: Ours) -> Candidate | None:
        """Return the policy that a target names, while it exists."""
        candidate = self.view.policies.get(whose.policy) if whose.policy else None
        return None if candidate is None or candidate.resolved.standing is Standing.DELETED else candidate

    def _keep(
        self,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        holder: Candidate,
        rivals: list[Candidate],
        now: float,
    ) -> TargetPlan:
        wanted, wish, wake_at = self._content(holder, record, name, seen, now)
        if wanted is not None:
            update = difference(seen, holder.resolved, wanted)
        else:
            update = repair_marks(seen, holder.resolved, self.view.hub)
        line = self._kept_line(holder, seen, update, wish, wanted)
        if line.state is State.FAILED or holder.suspended:
            update = None
        if not (holder.policy.secret.name == name and holder.selects(record)):
            line = _lingering(line, holder)
        return TargetPlan(
            record.name,
            name,
            (line, *_rival_lines(rivals, holder)) if rivals else (line,),
            update,
            holder.policy.name,
            "" if update is None else _why(seen, update),
            wish,
            wake_at,
        )

    def _content(
        self, holder: Candidate, record: NamespaceRecord, name: SecretName, seen: SeenSecret, now: float
    ) -> tuple[Wanted | None, Wish | None, float | None]:
        """Return what a kept target should hold (None: leave its data alone), the loss wished, when to look again."""
        resolved = holder.resolved
        sources = granted(resolved, self.view.cluster, record.name)
        wanted = self._cache.wanted(resolved, sources, unexpired_at=now, there=seen.registries)
        lost = _lost(holder, seen, wanted)
        if not lost and not unknown(sources):
            return wanted, None, None
        kept = self._cache.wanted(resolved, sources, keep=lost, unexpired_at=now, there=seen.registries)
        if unknown(sources):
            due = _rewrite_due(holder, seen)
            if due is None or now < due or not _later(kept, seen):
                return None, None, due if due is not None and now < due else None
            return kept, None, None
        whole = kept if not losses(lost, kept.payload.registries) else None
        if not holder.able:
            return whole, None, None
        wish = Wish(holder.policy.name, self.view.cluster, record.name, name, tuple(sorted(lost)))
        if wish in self._gate.released and self._gate.whole_picture:
            return wanted, wish, None
        return whole, wish, None

    def _kept_line(
        self, holder: Candidate, seen: SeenSecret, update: Update | None, wish: Wish | None, wanted: Wanted | None
    ) -> Line:
        name = holder.policy.name
        expires_at = _expiry_there(seen)
        if update is not None:
            trouble = _impossible(seen, update)
            if trouble is not None:
                reason, message = trouble
                return Line(name, State.FAILED, reason=reason, message=message, expires_at=expires_at, there=True)
        if wish is not None and wish in self._gate.held:
            message = "losing a registry waits for approval"
            return Line(name, State.HELD, message=message, expires_at=expires_at, there=True)
        if wish is not None and wanted is None:
            message = "losing a registry is not decided yet, and what it had there is not known"
            return Line(name, State.PENDING, reason="Waiting", message=message, expires_at=expires_at, there=True)
        if update is None:
            return Line(name, State.IN_SYNC, expires_at=expires_at, there=True)
        reason = "Suspended" if holder.suspended else ""
        return Line(name, State.PENDING, reason=reason, expires_at=expires_at, there=True)

    def _hand_over(
        self,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        previous: PolicyName,
        heir: Candidate,
        rivals: list[Candidate],
        now: float,
    ) -> TargetPlan:
        """Give a target to another policy that wants it, in place; what gets lost by that counts for the brake."""
        former = self.view.policies.get(previous)
        sources = granted(heir.resolved, self.view.cluster, record.name)
        wanted = self._cache.wanted(heir.resolved, sources, unexpired_at=now, there=seen.registries)
        ready = bool(wanted.payload.registries) and not unknown(sources)
        lost = losses(seen.registries, wanted.payload.registries) if ready else frozenset()
        if former is not None:
            lost = _from_us(former, lost)
        wish = Wish(previous, self.view.cluster, record.name, name, tuple(sorted(lost))) if lost else None
        let_go = wish is None or (wish in self._gate.released and self._gate.whole_picture)
        line = Line(heir.policy.name, State.PENDING, reason="HandOver", message=f"policy {previous} had it")
        before = Line(previous, State.LINGERING, desired=False, expires_at=_expiry_there(seen), there=True)
        if wish is not None and wish in self._gate.held:
            line, before = structs.replace(line, state=State.HELD), structs.replace(before, state=State.HELD)
        lines = (line, before, *_rival_lines(rivals, heir))
        plan = TargetPlan(record.name, name, lines, None, heir.policy.name, f"taken over from {previous}", wish)
        if not (ready and let_go):
            return self._fresh(plan, former, previous, seen, _marked(seen, now), record, now)
        update = difference(seen, _after(heir, former), wanted)
        trouble = None if update is None else _impossible(seen, update)
        if trouble is not None:
            reason, message = trouble
            failed = structs.replace(line, state=State.FAILED, reason=reason, message=message)
            return structs.replace(plan, lines=(failed, *lines[1:]))
        return plan if update is None else _writing(plan, update)

    def _unwanted(
        self,
        record: NamespaceRecord,
        name: SecretName,
        seen: SeenSecret,
        whose: Ours,
        claimants: list[Candidate],
        now: float,
    ) -> TargetPlan | None:
        policy = whose.policy or PolicyName("")
        candidate = self.view.policies.get(policy)
        marks = dict(seen.marks.annotations)
        how = _deletion_policy(candidate, marks)
        wish = Wish(policy, self.view.cluster, record.name, name)
        let_go = UNWANTED_SINCE_ANNOTATION in marks or wish in self._gate.released
        held = not let_go and wish in self._gate.held
        state = State.HELD if held else State.LINGERING
        line = Line(policy, state, desired=False, reason=how.value, expires_at=_expiry_there(seen), there=True)
        lines = (line, *(_idle_line(one) for one in claimants))
        marked = _marked(seen, now)
        why = f"no longer wanted ({how.value})"
        plan = TargetPlan(record.name, name, lines, None, policy, why, wish, marked=marked is not None)
        if self.view.hub_empty and policy not in self.view.seen_deleted:
            return self._fresh(structs.replace(plan, wish=None), candidate, policy, seen, marked, record, now)
        if not let_go or not self._gate.whole_picture:
            return self._fresh(plan, candidate, policy, seen, marked, record, now)
        if how is DeletionPolicy.IMMEDIATE:
            return _writing(plan, Delete(seen.uid, seen.resource_version, check=False))
        if how is DeletionPolicy.RETAIN:
            update = release(seen)
            return None if update is None else _writing(plan, update)
        return self._linger(plan, candidate, record, seen, marked or Marked(now, LINGER), now)

    def _linger(
        self,
        plan: TargetPlan,
        candidate: Candidate | None,
        record: NamespaceRecord,
        seen: SeenSecret,
        marked: Marked,
        now: float,
    ) -> TargetPlan:
        since = marked.unwanted_since
        until = since + (parse_duration(marked.linger) or 3600.0)
        look = max(until, self._gate.looks.get((plan.namespace, plan.name), 0.0))
        last = since + LINGER_AT_MOST
        already = any(key == UNWANTED_SINCE_ANNOTATION for key, _ in seen.marks.annotations)
        if already and now >= min(look, last):
            return _writing(plan, Delete(seen.uid, seen.resource_version, check=now < last))
        fresh = self._fresh(plan, candidate, plan.policy, seen, marked, record, now)
        return structs.replace(fresh, wake_at=min(look, last))

    def _fresh(
        self,
        plan: TargetPlan,
        candidate: Candidate | None,
        policy: PolicyName | None,
        seen: SeenSecret,
        marked: Marked | None,
        record: NamespaceRecord,
        now: float,
    ) -> TargetPlan:
        """Keep an unwanted target ours, marked and fresh, as far as its content is known."""
        if candidate is not None and candidate.suspended:
            return plan
        wanted = self._content_for_unwanted(candidate, seen, marked, record, now)
        if wanted is not None and candidate is not None:
            update = difference(seen, candidate.resolved, wanted)
            if update is not None and _impossible(seen, update) is not None:
                update = without_data(seen, update)
        else:
            update = keep_marks(seen, policy, self.view.hub, marked)
        return plan if update is None else _writing(plan, update)

    def _content_for_unwanted(
        self,
        candidate: Candidate | None,
        seen: SeenSecret,
        marked: Marked | None,
        record: NamespaceRecord,
        now: float,
    ) -> Wanted | None:
        """Return what keeps an unwanted target fresh, and no more; None where its content is not known any more."""
        if candidate is None:
            return None
        resolved = candidate.resolved
        sources = granted(resolved, self.view.cluster, record.name)
        if unknown(sources):
            return None
        plain = self._cache.wanted(resolved, sources, unexpired_at=now, there=seen.registries)
        keep = _lost(candidate, seen, plain)
        only = None
        if losses(plain.payload.registries, seen.registries):
            only = (plain.payload.registries | keep) - losses(plain.payload.registries | keep, seen.registries)
        wanted = self._cache.wanted(
            resolved, sources, keep=keep, unexpired_at=now, there=seen.registries, only=only, marked=marked
        )
        return None if losses(keep, wanted.payload.registries) or not wanted.payload.registries else wanted


def _conflicting(record: NamespaceRecord, name: SecretName, claimants: list[Candidate], why: str) -> TargetPlan | None:
    lines = tuple(Line(one.policy.name, State.CONFLICT, reason="Conflict", message=why) for one in claimants)
    return TargetPlan(record.name, name, lines) if lines else None


def _rival_lines(rivals: list[Candidate], winner: Candidate) -> list[Line]:
    why = f"policy {winner.policy.name} has this Secret name here"
    return [Line(rival.policy.name, State.CONFLICT, reason="Conflict", message=why) for rival in rivals]


def _idle_line(claimant: Candidate) -> Line:
    """Return the line of a policy that wants a target and may not create it now."""
    if claimant.resolved.standing is Standing.INVALID:
        return Line(claimant.policy.name, State.PENDING, reason="InvalidSpec", message="its spec is invalid")
    return Line(claimant.policy.name, State.PENDING, reason="Suspended", message="suspended, and not there yet")


def _holds(owner_now: Candidate, name: SecretName, record: NamespaceRecord) -> bool:
    """Say whether a target stays with the policy that it names: it is wanted, or nothing may be taken away for it."""
    return not owner_now.able or (owner_now.policy.secret.name == name and owner_now.selects(record))


def _lingering(line: Line, holder: Candidate) -> Line:
    """Turn the line of a target that is kept, though not wanted."""
    state = line.state if line.state in (State.FAILED, State.HELD) else State.LINGERING
    reason = line.reason or ("Suspended" if holder.suspended else "InvalidSpec")
    return structs.replace(line, state=state, desired=False, reason=reason)


def _lost(holder: Candidate, seen: SeenSecret, wanted: Wanted) -> frozenset[RegistryKey]:
    """Return the registries that an update would take away; what nobody of ours put there is tampering, not a loss."""
    missing = losses(seen.registries, wanted.payload.registries)
    return _from_us(holder, missing) if missing else missing


def _from_us(holder: Candidate, missing: frozenset[RegistryKey]) -> frozenset[RegistryKey]:
    return missing.intersection(given_before(holder.resolved)) if holder.resolved.history_known else missing


def _after(heir: Candidate, former: Candidate | None) -> Resolved:
    """Return the heir with the former policy's own labels and annotations as past ones."""
    resolved = heir.resolved
    if former is None:
        return resolved
    left, secret = former.resolved, former.policy.secret
    return structs.replace(
        resolved,
        past_labels=resolved.past_labels | left.past_labels | {key for key, _ in secret.labels},
        past_annotations=resolved.past_annotations | left.past_annotations | {key for key, _ in secret.annotations},
    )


def _impossible(seen: SeenSecret, update: Update) -> tuple[str, str] | None:
    """Return why an API server would refuse an update, as reason and message."""
    if update.wanted is None:
        return None
    if _too_large(update.wanted):
        return "TooLarge", _TOO_LARGE
    if seen.immutable:
        return "Immutable", "the Secret is immutable; delete it, and it will be made anew"
    return None


def _too_large(wanted: Wanted) -> bool:
    return wanted.payload.size > MAX_SECRET_BYTES


_TOO_LARGE = "the merged Secret is over 1 MiB"


def _later(wanted: Wanted, seen: SeenSecret) -> bool:
    """Say whether a target would live longer for being rewritten."""
    there, then = _expiry_there(seen), wanted.payload.expires_at
    return there is not None and (then is None or int(then) > there)


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


def _deletion_policy(candidate: Candidate | None, marks: Mapping[str, str]) -> DeletionPolicy:
    if marks.get(ADOPTED_ANNOTATION) == "true":
        return DeletionPolicy.RETAIN
    if candidate is not None:
        return candidate.policy.deletion_policy
    try:
        return DeletionPolicy(marks.get(DELETION_POLICY_ANNOTATION))
    except ValueError:
        return DeletionPolicy.WHEN_UNREFERENCED


def _marked(seen: SeenSecret, now: float) -> Marked | None:
    """Return the marks that an unwanted target carries, put right where somebody spoilt them."""
    marks = dict(seen.marks.annotations)
    if UNWANTED_SINCE_ANNOTATION not in marks:
        return None
    since = parse_instant(marks[UNWANTED_SINCE_ANNOTATION])
    linger = marks.get(LINGER_ANNOTATION)
    return Marked(
        unwanted_since=now if since is None else min(since, now),
        linger=linger if linger is not None and parse_duration(linger) is not None else LINGER,
    )


def _why(seen: SeenSecret, update: Update) -> str:
    if update.wanted is None:
        return "labels or annotations differ"
    return "the credential differs" if not seen.foreign_keys else "the content differs"


def _writing(plan: TargetPlan, write: Write) -> TargetPlan:
    return structs.replace(plan, write=write)
