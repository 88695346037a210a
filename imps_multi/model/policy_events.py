"""Which Events a policy's status is worth: one for each change of state, none for what was told before.

Pure. ``told`` is what was told of a policy so far, by subject; after a start it is read off the status that the hub
shows, so that a restart repeats nothing. The reasons are those of the IMPS operator where they fit.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from imps_multi.model.publishing import under_way
from imps_multi.model.status import Condition, PolicyStatus

Told = Mapping[str, str]
"""The state that was told last, by subject."""

LONGEST_NOTE: Final = 1000
READY: Final = "Ready"

_NORMAL: Final = {"AllSynced": "Reconciled", "Suspended": "Suspended"}
_WARNING: Final = {
    "InvalidSpec": "ReconciliationFailed",
    "Expired": "Expired",
    "Conflict": "Conflict",
    "Contested": "Contested",
}
_UNDECIDED: Final = frozenset({"Starting", "Waiting"})
"""Reasons of conditions that say nothing yet."""


class Happening(Struct, frozen=True):
    """What an Event says. ``warning`` False: type Normal."""

    reason: str
    message: str
    warning: bool = True


def told_by(status: PolicyStatus | None) -> Told:
    """Return what was told by the time that a status was shown."""
    if status is None:
        return {}
    if not status.conditions:  # IMPS's own
        return {READY: "AllSynced"} if status.status == "Ready" else {}
    return {subject: state for subject, state, _ in _states(status)}


def happenings(told: Told, status: PolicyStatus) -> tuple[Told, tuple[Happening, ...]]:
    """Compare a status with what was told; return what has been told then, and what to tell."""
    now = dict(told)
    found = []
    for subject, state, happening in _states(status):
        if now.get(subject, "") != state:
            now[subject] = state
            if happening is not None:
                found.append(happening)
    return now, tuple(found)


_State = tuple[str, str, Happening | None]
"""A subject, its state (empty: all is well), and what is told when it comes to that."""


def _states(status: PolicyStatus) -> Iterator[_State]:
    """Say how each subject stands; one that is undecided is left out, and stays as it was."""
    known = {one.type: one for one in status.conditions}
    ready, sources = known.get(READY), known.get("SourcesResolved")
    if ready is not None:
        yield from _ready(ready, status)
    if sources is not None and sources.status != "Unknown":
        yield _trouble(sources, "SourceCredentialsError")
    if (fresh := known.get("CredentialsFresh")) is not None and not _is_failing(sources):
        late = fresh.reason == "RefreshFailing"
        yield _trouble(fresh, "SourceCredentialsError") if late else (fresh.type, "", None)
    if (synced := known.get("TargetsSynced")) is not None and (state := _writes(synced, status)) is not None:
        yield state
    if (reachable := known.get("TargetsReachable")) is not None and reachable.status != "Unknown":
        yield _reach(reachable)
    held = known.get("DeletionHeld")
    yield _hold("DeletionHeld", held, status.held.id if status.held is not None else "")
    yield _hold("ExpansionHeld", known.get("ExpansionHeld"), "held")


def _ready(one: Condition, status: PolicyStatus) -> Iterator[_State]:
    if one.reason in _UNDECIDED or under_way(status):
        return
    happening = None
    if one.reason in _NORMAL:
        happening = _happening(_NORMAL[one.reason], one, warning=False)
    elif one.reason in _WARNING:
        happening = _happening(_WARNING[one.reason], one)
    yield READY, one.reason, happening


def _writes(one: Condition, status: PolicyStatus) -> _State | None:
    if status.targets.failed or one.reason == "Forbidden":
        reason = "SecretDeletionError" if one.reason == "DeletionFailed" else "SecretReconciliationError"
        return one.type, reason, _happening(reason, one)
    return (one.type, "", None) if one.status == "True" else None


def _reach(one: Condition) -> _State:
    if _is_failing(one):
        return one.type, one.reason, _happening("TargetUnreachable", one)
    return one.type, "", _happening("TargetsReachable", one, warning=False)


def _trouble(one: Condition, reason: str) -> _State:
    return (one.type, one.reason, _happening(reason, one)) if _is_failing(one) else (one.type, "", None)


def _hold(subject: str, one: Condition | None, state: str) -> _State:
    return (subject, state or "held", _happening(subject, one)) if one is not None else (subject, "", None)


def _is_failing(one: Condition | None) -> bool:
    return one is not None and one.status == "False"


def _happening(reason: str, one: Condition, *, warning: bool = True) -> Happening:
    return Happening(reason, one.message[:LONGEST_NOTE], warning)
