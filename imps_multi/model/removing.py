"""What becomes of a target that is no longer wanted: kept fresh, marked, given back, deleted.

Pure. Nothing is taken away without the brake's word and the whole picture; until then, and while it lingers, a target
is kept ours and fresh. Called by ``plan``, and by ``keeping`` for a target that waits to be handed over.
"""

from collections.abc import Collection, Iterable

from msgspec import structs

from imps_multi.model.adoption import as_adopted, due
from imps_multi.model.difference import keep_marks, own_keys, release, without_data
from imps_multi.model.instant import parse_duration, parse_instant
from imps_multi.model.names import (
    DELETION_POLICY_ANNOTATION,
    LINGER_ANNOTATION,
    UNWANTED_SINCE_ANNOTATION,
    PolicyName,
)
from imps_multi.model.payload import losses, unknown
from imps_multi.model.planning import Desk, Sight, expiry_there, idle_line, impossible, lost_by, rival_lines, writing
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.target_plan import Delete, Line, State, TargetPlan
from imps_multi.model.view import Candidate
from imps_multi.model.wanted import Marked, Wanted

LINGER = "1h"
LINGER_SECONDS = 3600.0
POD_LINGER = "24h"
"""Of what only pods had selected: jobs come and go, and the next one should find its Secret there."""
LINGER_AT_MOST = 7 * 86400.0
LOOK_AT_MOST = 3600.0
"""How far looks for who names a Secret are apart."""


def unwanted(desk: Desk, sight: Sight, policy: PolicyName, claimants: Iterable[Candidate]) -> TargetPlan | None:
    """Plan a target that nobody may have any more; ``claimants`` would, but may not create it now.

    ``policy``: whose it was, empty where nothing says so.
    """
    candidate, gate = desk.view.policies.get(policy), desk.gate
    how = _how(desk, candidate, sight)
    wish, marked = desk.wish(policy, sight), marks_there(sight)
    let_go = marked is not None or wish in gate.released
    state = State.HELD if wish in gate.held and not let_go else State.LINGERING
    line = Line(policy, state, desired=False, reason=how.value, expires_at=expiry_there(sight.seen), there=True)
    line = structs.replace(line, by_pods=sight.by_pods) if sight.by_pods else line
    plan = TargetPlan(
        sight.record.name,
        sight.name,
        (line, *map(idle_line, claimants)),
        policy=policy,
        why="the cluster is decommissioned" if desk.view.decommission else f"no longer wanted ({how.value})",
        wish=wish,
        marked=marked is not None,
    )
    if desk.view.hub_empty and policy not in desk.view.seen_deleted and not desk.view.decommission:
        return fresh(desk, sight, structs.replace(plan, wish=None), policy, marked)
    if not let_go or not gate.whole_picture:
        return fresh(desk, sight, plan, policy, marked)
    match how:
        case DeletionPolicy.IMMEDIATE:
            return writing(plan, Delete(sight.seen.uid, sight.seen.resource_version, check=False))
        case DeletionPolicy.RETAIN:
            written = None if sight.adopted or candidate is None else own_keys(candidate.resolved)
            update = release(sight.seen, written)
            return None if update is None else writing(plan, update)
        case DeletionPolicy.WHEN_UNREFERENCED:
            return _linger(desk, sight, plan, policy, marked)


def undecided(desk: Desk, sight: Sight, holder: Candidate, rivals: Collection[Candidate]) -> TargetPlan:
    """Plan a marked target that its policy might want again, if the pods there were known: it stays as it is."""
    policy = holder.policy.name
    line = Line(
        policy,
        State.LINGERING,
        desired=False,
        message="the pods there are not known yet",
        expires_at=expiry_there(sight.seen),
        there=True,
        by_pods=sight.by_pods,
    )
    plan = TargetPlan(sight.record.name, sight.name, (line, *rival_lines(rivals, holder)), policy=policy)
    return fresh(desk, sight, plan, policy, marks_there(sight))


def fresh(desk: Desk, sight: Sight, plan: TargetPlan, policy: PolicyName, marked: Marked | None) -> TargetPlan:
    """Keep an unwanted target ours, marked and fresh, as far as its content is known."""
    candidate = desk.view.policies.get(policy)
    wanted = _content(desk, sight, candidate, marked)
    if wanted is None or candidate is None:
        update = keep_marks(sight.seen, policy, desk.view.hub, marked)
        return writing(plan, as_adopted(sight.seen, update) if sight.adopted else update)
    update = due(sight, candidate.resolved, wanted)
    if update is not None and impossible(sight.seen, update) is not None:
        update = without_data(sight.seen, update)
    return writing(plan, update)


def marks_there(sight: Sight) -> Marked | None:
    """Return the marks of one that is to go, put right where somebody spoilt them; None where it has none."""
    marks = dict(sight.seen.marks.annotations)
    if UNWANTED_SINCE_ANNOTATION not in marks:
        return None
    since, linger = parse_instant(marks[UNWANTED_SINCE_ANNOTATION]), marks.get(LINGER_ANNOTATION)
    return Marked(
        unwanted_since=sight.now if since is None else min(since, sight.now),
        linger=linger if linger is not None and parse_duration(linger) is not None else _linger_of(sight),
    )


def _linger(desk: Desk, sight: Sight, plan: TargetPlan, policy: PolicyName, there: Marked | None) -> TargetPlan:
    marked = there or Marked(sight.now, _linger_of(sight))
    until = marked.unwanted_since + (parse_duration(marked.linger) or LINGER_SECONDS)
    look = max(until, _next_look(desk, sight))
    last = marked.unwanted_since + LINGER_AT_MOST
    if sight.now >= min(look, last):
        return writing(plan, Delete(sight.seen.uid, sight.seen.resource_version, check=sight.now < last))
    return structs.replace(fresh(desk, sight, plan, policy, marked), wake_at=min(look, last))


def _next_look(desk: Desk, sight: Sight) -> float:
    """Return when somebody who named it is looked for again; at once where the clock was set back since."""
    look = desk.gate.looks.get((sight.record.name, sight.name), 0.0)
    return look if look - sight.now <= LOOK_AT_MOST else 0.0


def _linger_of(sight: Sight) -> str:
    return POD_LINGER if sight.by_pods else LINGER


def _content(desk: Desk, sight: Sight, candidate: Candidate | None, marked: Marked | None) -> Wanted | None:
    """Return what keeps an unwanted target fresh, and no more; None where its content is not known any more."""
    if candidate is None:
        return None
    sources, there = desk.sources(candidate, sight.record.name), sight.seen.registries
    if unknown(sources):
        return None
    plain = desk.wanted(candidate, sources, sight)
    keep = lost_by(candidate, sight, plain)
    given = plain.payload.registries | keep
    added = losses(given, there)
    only = given - added if added else None
    wanted = desk.wanted(candidate, sources, sight, keep=keep, only=only, marked=marked)
    return None if losses(keep, wanted.payload.registries) or not wanted.payload.registries else wanted


def _how(desk: Desk, candidate: Candidate | None, sight: Sight) -> DeletionPolicy:
    """Say how a target goes; from a cluster that is decommissioned without linger and without asking who names it."""
    how = _deletion_policy(candidate, sight)
    if desk.view.decommission and how is DeletionPolicy.WHEN_UNREFERENCED:
        return DeletionPolicy.IMMEDIATE
    return how


def _deletion_policy(candidate: Candidate | None, sight: Sight) -> DeletionPolicy:
    if sight.adopted:
        return DeletionPolicy.RETAIN
    if candidate is not None:
        return candidate.policy.deletion_policy
    try:
        return DeletionPolicy(dict(sight.seen.marks.annotations).get(DELETION_POLICY_ANNOTATION))
    except ValueError:
        return DeletionPolicy.WHEN_UNREFERENCED
