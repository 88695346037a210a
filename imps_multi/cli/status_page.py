"""How the status is laid out: what is wrong first, each part as a table. Pure; fed with a status and the time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from imps_multi.model.instant import parse_instant
from imps_multi.model.policy import source_title
from imps_multi.model.status import (
    ClusterView,
    CredentialView,
    HeldStatus,
    PolicyClusterStatus,
    PolicyView,
    ServiceStatus,
)
from imps_multi.model.wording import counted

AT_MOST: Final = 20
"""So many clusters are shown, the troubled ones first; -o wide shows them."""
CALM: Final = frozenset({"Up", "Paused"})
RANK: Final = {"False": 0, "Unknown": 1, "True": 2}
UNITS: Final = (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0))
BIG: Final = 2.0
"""A unit is used from so many of it on, as kubectl does: 119m, 2h."""


class Part(Struct, frozen=True):
    """One table. ``left_out``: rows that are not shown."""

    headers: Sequence[str]
    rows: Sequence[tuple[str, ...]]
    folding: str = ""
    left_out: int = 0


def parts(status: ServiceStatus, *, now: float, wide: bool = False) -> list[Part]:
    """Return the tables, those of problems first; what is empty is left out."""
    every = [
        Part(("HUB", "PROBLEM"), list(_hub(status)), "PROBLEM"),
        Part(("HELD", "POLICY", "DELETIONS", "CLUSTERS", "WHY"), [_held(one) for one in status.held], "WHY"),
        _policies(status, now=now, wide=wide),
        _pairs(status, wide=wide),
        _clusters(status, now=now, wide=wide),
        _credentials(status, now=now, wide=wide),
    ]
    return [part for part in every if part.rows]


def in_short(status: ServiceStatus) -> str:
    """Say in one line how everything stands."""
    up = sum(one.state in CALM for one in status.clusters)
    ready = sum(_ready(one)[0] == "True" for one in status.policies)
    in_sync, desired = _sum(status)
    held = f"; {len(status.held)} held" if status.held else ""
    return (
        f"{up} of {len(status.clusters)} clusters up; {ready} of {len(status.policies)} policies ready; "
        f"{in_sync} of {desired} targets in sync{held}"
    )


def moment(text: str | None, *, now: float) -> str:
    """Return how far off a time is: ``in 5h``, ``3m ago``."""
    at = parse_instant(text)
    if at is None:
        return ""
    return f"in {_span(at - now)}" if at > now else f"{_span(now - at)} ago"


def _span(seconds: float) -> str:
    for sign, unit in UNITS:
        if seconds >= BIG * unit:
            return f"{int(seconds // unit)}{sign}"
    return f"{int(seconds)}s"


def _sum(status: ServiceStatus) -> tuple[int, int]:
    targets = [policy.status.targets for policy in status.policies]
    return sum(one.in_sync for one in targets), sum(one.desired for one in targets)


def _hub(status: ServiceStatus) -> Iterator[tuple[str, ...]]:
    if not status.configuration.last_reload_successful:
        yield "configuration", status.configuration.error
    for problem in status.hub.problems:
        where = ":".join([problem.file, *(str(number) for number in (problem.line, problem.column) if number)])
        yield where, problem.message
    if not status.hub.synced:
        yield status.hub.id, "the hub was not read yet"


def _held(one: HeldStatus) -> tuple[str, ...]:
    return one.id, one.policy or "all", str(one.deletions), ", ".join(one.clusters), one.why


def _policies(status: ServiceStatus, *, now: float, wide: bool) -> Part:
    views = sorted(status.policies, key=lambda one: (RANK.get(_ready(one)[0], 1), one.name))
    extra = ("SECRET",) if wide else ()
    rows = [_policy(view, now=now, wide=wide) for view in views]
    return Part(("POLICY", *extra, "READY", "TARGETS", "EXPIRES", "REASON"), rows, "REASON")


def _policy(view: PolicyView, *, now: float, wide: bool) -> tuple[str, ...]:
    ready, reason = _ready(view)
    expiries = [one.expires_at for one in view.status.credentials if one.expires_at]
    first = min(expiries, key=lambda text: parse_instant(text) or now, default=None)
    extra = (view.secret_name,) if wide else ()
    return view.name, *extra, ready, view.status.targets.summary, _when(first, now=now, wide=wide), reason


def _ready(view: PolicyView) -> tuple[str, str]:
    """Return how a policy stands, and what there is to say of it."""
    for condition in view.status.conditions:
        if condition.type == "Ready":
            plain = condition.status == "True" and condition.message == view.status.reason
            told = condition.message if plain else f"{condition.reason}: {condition.message}"
            return condition.status, told
    return "Unknown", view.status.reason


def _pairs(status: ServiceStatus, *, wide: bool) -> Part:
    """Return the clusters of each policy: all, or only those in which something is not right."""
    pairs = ((one, view) for view in status.policies for one in view.status.clusters)
    shown = [(one, view.name) for one, view in pairs if wide or one.reason or one.in_sync < one.desired]
    shown.sort(key=lambda pair: (_fine(pair[0]), pair[0].name, pair[1]))
    rows = [(one.name, policy, f"{one.in_sync}/{one.desired}", one.reason) for one, policy in shown]
    return _cut(Part(("CLUSTER", "POLICY", "TARGETS", "REASON"), rows, "REASON"), wide=wide)


def _fine(one: PolicyClusterStatus) -> bool:
    return not one.reason and one.in_sync >= one.desired


def _clusters(status: ServiceStatus, *, now: float, wide: bool) -> Part:
    views = sorted(status.clusters, key=lambda one: (one.state in CALM and not one.reason, one.name))
    extra = ("VERSION", "NEXT TRY") if wide else ()
    headers = ("CLUSTER", "STATE", "TARGETS", "LAST CONTACT", *extra, "REASON")
    return _cut(Part(headers, [_cluster(view, now=now, wide=wide) for view in views], "REASON"), wide=wide)


def _cluster(view: ClusterView, *, now: float, wide: bool) -> tuple[str, ...]:
    extra = (view.version, _when(view.next_attempt, now=now, wide=wide)) if wide else ()
    reason = f"{view.reason}: {view.message}" if view.reason and view.message else view.reason or view.message
    contact = _when(view.last_contact, now=now, wide=wide)
    return view.name, view.state, view.targets.summary, contact, *extra, reason


def _credentials(status: ServiceStatus, *, now: float, wide: bool) -> Part:
    views = sorted(status.credentials, key=lambda one: (not one.reason, parse_instant(one.expires_at) or float("inf")))
    extra = ("PROVIDER", "REGISTRIES") if wide else ()
    headers = ("SOURCE", "STATE", "EXPIRES", "NEXT REFRESH", *extra, "REASON")
    return Part(headers, [_credential(view, now=now, wide=wide) for view in views], "REASON")


def _credential(view: CredentialView, *, now: float, wide: bool) -> tuple[str, ...]:
    expires = _when(view.expires_at, now=now, wide=wide) or ("never" if view.state == "stored" else "")
    refresh = _when(view.next_refresh, now=now, wide=wide)
    if view.reason and (parse_instant(view.next_refresh) or now) < now and not wide:
        refresh = "retrying"  # it was due; when it is tried again is a matter of seconds or minutes
    extra = (view.provider, ", ".join(view.registries)) if wide else ()
    reason = f"{view.reason}: {view.message}" if view.reason else view.message
    return source_title(view.namespace, view.name), view.state, expires, refresh, *extra, reason


def _when(text: str | None, *, now: float, wide: bool) -> str:
    return (text or "") if wide else moment(text, now=now)


def _cut(part: Part, *, wide: bool) -> Part:
    if wide or len(part.rows) <= AT_MOST:
        return part
    return Part(part.headers, part.rows[:AT_MOST], part.folding, len(part.rows) - AT_MOST)


def left_out(every: Iterable[Part]) -> Iterator[str]:
    """Say what is not shown."""
    for part in every:
        if part.left_out:
            rows = f"{counted(part.left_out, 'more row', 'more rows')} of {part.headers[0]} and {part.headers[1]}"
            yield f"{rows}; -o wide shows them"
