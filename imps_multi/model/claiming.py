"""What a policy does about a target that it wants and does not have: make it, or adopt the Secret that lies there.

Pure. What lies there and is not ours stays as it is unless ``conflictPolicy: Adopt`` takes it over; then only once
every source gives its credential, since what it holds now may be good. Called by ``plan``.
"""

from collections.abc import Iterable

from msgspec import structs

from imps_multi.model.adoption import adopting, by_imps, obstacles
from imps_multi.model.credential import SourceState
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.planning import Desk, Sight, conflicting, idle_line, rival_lines, unwritable
from imps_multi.model.policy import ConflictPolicy
from imps_multi.model.target_plan import Create, Line, State, TargetPlan, Write
from imps_multi.model.view import Candidate
from imps_multi.model.wanted import Wanted

EXPANSION_HELD = "ExpansionHeld"

Turn = tuple[Line, Wanted | None]
"""How the winner stands, and what it would write now."""


def missing(
    desk: Desk, record: NamespaceRecord, name: SecretName, claimants: list[Candidate], now: float
) -> TargetPlan | None:
    """Plan a target that is not there."""
    winner = _first_able(claimants)
    if winner is None:
        lines = tuple(map(idle_line, claimants))
        return TargetPlan(record.name, name, lines) if lines else None
    line, wanted = _to_create(desk, winner, record.name, now)
    write = None if wanted is None else Create(wanted)
    return _claimed(record, name, claimants, (winner, line), write, "the target is missing")


def occupied(desk: Desk, sight: Sight, claimants: list[Candidate], why: str) -> TargetPlan | None:
    """Plan a target in whose place a Secret lies that is not ours; ``why`` says so."""
    winner, against = _first_able(claimants), obstacles(sight.seen, desk.view.hubs)
    if (sight.record.name, sight.name) in desk.view.sources or sight.seen.uid in desk.view.source_uids:
        against = (*against, "it is a source of a policy")
    if winner is None or against or not _adopts(winner):
        first = next(iter(claimants), None) if winner is None else winner
        message = f"a Secret of that name is there and {why}; {_way_out(against, first)}"
        return conflicting(sight.record, sight.name, claimants, message)
    line, wanted = _to_adopt(desk, sight, winner)
    write = None if wanted is None else adopting(sight.seen, winner.resolved, wanted)
    reason = "adopted from IMPS" if by_imps(sight.seen.marks) else "adopted"
    return _claimed(sight.record, sight.name, claimants, (winner, line), write, reason)


def _first_able(claimants: Iterable[Candidate]) -> Candidate | None:
    return next((one for one in claimants if one.able), None)


def _claimed(
    record: NamespaceRecord,
    name: SecretName,
    claimants: list[Candidate],
    first: tuple[Candidate, Line],
    write: Write | None,
    why: str,
) -> TargetPlan:
    winner, line = first
    if winner.selects_by_pods(record):
        line = structs.replace(line, by_pods=True)
    idle = [idle_line(one) for one in claimants if not one.able]
    rivals = [one for one in claimants if one.able and one is not winner]
    lines = (line, *idle, *rival_lines(rivals, winner))
    return TargetPlan(record.name, name, lines, write, winner.policy.name, "" if write is None else why)


def _to_create(desk: Desk, winner: Candidate, namespace: NamespaceName, now: float) -> Turn:
    if (waits := _not_yet(desk, winner)) is not None:
        return waits, None
    sources = desk.sources(winner, namespace)
    wanted = desk.cache.wanted(winner.resolved, sources, unexpired_at=now)
    if not wanted.payload.registries:
        return _pending(winner, _refused(winner, sources), "no source gives a usable credential here"), None
    return _sized(winner, wanted)


def _to_adopt(desk: Desk, sight: Sight, winner: Candidate) -> Turn:
    if (waits := _not_yet(desk, winner)) is not None:
        return waits, None
    sources = desk.sources(winner, sight.record.name)
    all_may_go = len(sources) == len(winner.resolved.sources) > 0
    if not (all_may_go and all(_gives(one, sight.now) for one in sources)):
        message = "the Secret there is adopted once every source gives a credential for it"
        return _pending(winner, _refused(winner, sources), message), None
    return _sized(winner, desk.cache.wanted(winner.resolved, sources, unexpired_at=sight.now))


def _not_yet(desk: Desk, winner: Candidate) -> Line | None:
    """Return the line of a policy that may not have new targets at this moment."""
    admitted = desk.gate.admitted
    if admitted is not None and admitted.get(winner.policy.name) != winner.policy.generation:
        return _pending(winner, EXPANSION_HELD, "so many new targets need approval")
    return _pending(winner, "Waiting", "its sources are being asked") if winner.resolved.waiting else None


def _sized(winner: Candidate, wanted: Wanted) -> Turn:
    if (trouble := unwritable(wanted)) is not None:
        return Line(winner.policy.name, State.FAILED, reason=trouble[0], message=trouble[1]), None
    return Line(winner.policy.name, State.PENDING), wanted


def _pending(winner: Candidate, reason: str, message: str) -> Line:
    return Line(winner.policy.name, State.PENDING, reason=reason, message=message)


def _refused(winner: Candidate, sources: tuple[SourceState, ...]) -> str:
    return "SourceNotAllowed" if len(sources) < len(winner.resolved.sources) else "SourceError"


def _gives(source: SourceState, now: float) -> bool:
    return bool(source.entries) and (source.expires_at is None or source.expires_at > now)


def _adopts(candidate: Candidate) -> bool:
    return candidate.policy.conflict_policy is ConflictPolicy.ADOPT


def _way_out(against: tuple[str, ...], first: Candidate | None) -> str:
    adopts = first is not None and _adopts(first)
    if against:
        return f"it {'cannot' if adopts else 'could not'} be adopted: {', '.join(against)}"
    return (
        "it is not adopted for a policy that may not write now"
        if adopts
        else "conflictPolicy: Adopt would take it over"
    )
