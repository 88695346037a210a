"""What a target needs that a policy has and wants, and one that goes from one policy to another.

Pure. A rotation is one update in place; a registry goes only by the brake's word; what is not known at this moment is
left alone until a known entry in it grows old. Called by ``plan``.
"""

from collections.abc import Collection

from msgspec import Struct, structs

from imps_multi.model.adoption import adopted, as_adopted, due
from imps_multi.model.credential import SourceState
from imps_multi.model.difference import own_keys, repair_marks
from imps_multi.model.names import PolicyName, RegistryKey
from imps_multi.model.observed import SeenSecret
from imps_multi.model.payload import losses, unknown
from imps_multi.model.planning import (
    Desk,
    Sight,
    expiry_there,
    from_policy,
    impossible,
    lost_by,
    rival_lines,
    writing,
)
from imps_multi.model.removing import fresh, marks_there
from imps_multi.model.target_plan import Line, State, TargetPlan, Update, Wish
from imps_multi.model.view import Candidate
from imps_multi.model.wanted import Wanted
from imps_multi.model.world import Resolved, Retained


class Content(Struct, frozen=True, gc=False):
    """What a kept target should hold (None: its data is left alone), the loss wished, when to look again.

    ``trouble``: reason and message where there is nothing that it could hold.
    """

    wanted: Wanted | None
    wish: Wish | None = None
    wake_at: float | None = None
    trouble: tuple[str, str] = ("", "")


def keep(
    desk: Desk, sight: Sight, holder: Candidate, rivals: Collection[Candidate] = (), *, desired: bool = True
) -> TargetPlan:
    """Plan a target of a policy that keeps it; not ``desired`` is one of a policy that may take nothing away now."""
    content = _content(desk, sight, holder)
    if content.wanted is not None:
        update = due(sight, holder.resolved, content.wanted)
    else:
        update = repair_marks(sight.seen, holder.resolved, desk.view.hub)
        update = as_adopted(sight.seen, update) if adopted(sight, holder.resolved) else update
    line = _line(desk, sight.seen, holder, update, content)
    if sight.by_pods:
        line = structs.replace(line, by_pods=True)
    if line.state is State.FAILED or holder.suspended:
        update = None
    return TargetPlan(
        sight.record.name,
        sight.name,
        (line if desired else _lingering(line, holder), *rival_lines(rivals, holder)),
        update,
        holder.policy.name,
        "" if update is None else _why(sight.seen, update),
        content.wish,
        content.wake_at,
    )


def hand_over(
    desk: Desk, sight: Sight, previous: PolicyName, heir: Candidate, rivals: Collection[Candidate]
) -> TargetPlan:
    """Give a target to another policy that wants it, in place; what gets lost by that counts for the brake."""
    former = desk.view.policies.get(previous)
    sources = desk.sources(heir, sight.record.name)
    wanted = desk.wanted(heir, sources, sight)
    ready = bool(wanted.payload.registries) and not unknown(sources)
    lost = losses(sight.seen.registries, wanted.payload.registries) if ready else frozenset()
    if former is not None:
        lost = from_policy(former, lost)
    wish = desk.wish(previous, sight, lost) if lost else None
    held = wish is not None and wish in desk.gate.held
    before = Line(previous, State.LINGERING, desired=False, expires_at=expiry_there(sight.seen), there=True)
    by_pods = heir.selects_by_pods(sight.record)
    line = Line(
        heir.policy.name, State.PENDING, reason="HandOver", message=f"policy {previous} had it", by_pods=by_pods
    )
    if held:
        line, before = structs.replace(line, state=State.HELD), structs.replace(before, state=State.HELD)
    others = rival_lines(rivals, heir)
    why = f"taken over from {previous}"
    plan = TargetPlan(sight.record.name, sight.name, (line, before, *others), None, heir.policy.name, why, wish)
    if not ready or not (wish is None or desk.gate.lets_go(wish)):
        return fresh(desk, sight, plan, previous, marks_there(sight))
    update = due(sight, _heritage(heir, former), wanted)
    if update is not None and (trouble := impossible(sight.seen, update)) is not None:
        failed = structs.replace(line, state=State.FAILED, reason=trouble[0], message=trouble[1])
        return structs.replace(plan, lines=(failed, before, *others))
    return writing(plan, update)


def _content(desk: Desk, sight: Sight, holder: Candidate) -> Content:
    sources = desk.sources(holder, sight.record.name)
    wanted = desk.wanted(holder, sources, sight)
    lost, unresolved = lost_by(holder, sight, wanted), unknown(sources)
    if not (unresolved or wanted.payload.registries):
        return _nothing_to_hold(desk, sight, holder, sources, lost)
    if not (lost or unresolved):
        return Content(wanted)
    kept = desk.wanted(holder, sources, sight, keep=lost)
    if unresolved:
        past = [holder.resolved.retained[key] for key in lost if key in holder.resolved.retained]
        return _while_unknown(sight, (*sources, *past), kept)
    whole = None if losses(lost, kept.payload.registries) else kept
    if not holder.able:
        return Content(whole)
    wish = desk.wish(holder.policy.name, sight, lost)
    return Content(wanted if desk.gate.lets_go(wish) else whole, wish)


def _nothing_to_hold(
    desk: Desk, sight: Sight, holder: Candidate, sources: tuple[SourceState, ...], lost: frozenset[RegistryKey]
) -> Content:
    """Keep what is there: a target without any credential would serve nobody.

    What a source gives that may not go there any more is not renewed there either.
    """
    if len(sources) < len(holder.resolved.sources):
        return Content(None, trouble=("SourceNotAllowed", "no source may go here; what is there is left as it is"))
    kept = desk.wanted(holder, sources, sight, keep=lost)
    usable = lost and not losses(lost, kept.payload.registries)
    trouble = ("SourceError", "no source gives a credential any more; what was there is kept")
    return Content(kept if usable else None, trouble=trouble)


def _while_unknown(sight: Sight, known: tuple[SourceState | Retained, ...], kept: Wanted) -> Content:
    """Leave the data alone until what is known of it would fall under a quarter of its life, and can be renewed."""
    there = expiry_there(sight.seen)
    lives = [
        one.expires_at - one.issued_at for one in known if one.expires_at is not None and one.issued_at is not None
    ]
    if there is None or not lives:
        return Content(None)
    due = there - min(lives) / 4
    if sight.now < due:
        return Content(None, wake_at=due)
    renewed = kept.payload.expires_at
    better = kept.payload.registries and (renewed is None or int(renewed) > there)
    return Content(kept if better else None)


def _line(desk: Desk, seen: SeenSecret, holder: Candidate, update: Update | None, content: Content) -> Line:
    name, wish = holder.policy.name, content.wish
    state, reason, message = State.IN_SYNC, "", ""
    if update is not None and (trouble := impossible(seen, update)) is not None:
        state, (reason, message) = State.FAILED, trouble
    elif wish is not None and wish in desk.gate.held:
        state, message = State.HELD, "losing a registry waits for approval"
    elif wish is not None and content.wanted is None:
        state, reason = State.PENDING, "Waiting"
        message = "losing a registry is not decided yet, and what it had there is not known"
    elif content.trouble[0]:
        state, (reason, message) = State.PENDING, content.trouble
    elif update is not None:
        state, reason = State.PENDING, "Suspended" if holder.suspended else ""
    return Line(name, state, reason=reason, message=message, expires_at=expiry_there(seen), there=True)


def _lingering(line: Line, holder: Candidate) -> Line:
    """Turn the line of a target that is kept, though not wanted."""
    state = line.state if line.state in (State.FAILED, State.HELD) else State.LINGERING
    reason = line.reason or ("Suspended" if holder.suspended else "InvalidSpec")
    return structs.replace(line, state=state, desired=False, reason=reason)


def _heritage(heir: Candidate, former: Candidate | None) -> Resolved:
    """Return the heir with the former policy's own labels and annotations as past ones of its own."""
    resolved = heir.resolved
    if former is None:
        return resolved
    left = own_keys(former.resolved)
    return structs.replace(
        resolved,
        past_labels=resolved.past_labels | left.labels,
        past_annotations=resolved.past_annotations | left.annotations,
    )


def _why(seen: SeenSecret, update: Update) -> str:
    if update.wanted is None:
        return "labels or annotations differ"
    return "the credential differs" if not seen.foreign_keys else "the content differs"
