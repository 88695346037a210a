"""Whether a policy is Ready, and why not: one table, first match wins.

Pure. Fed with the policy as resolved, every cluster's report and what is held; read by ``policy_status``.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from imps_multi.model.brake import HeldSet
from imps_multi.model.fleet import Connectivity
from imps_multi.model.growth import Expansion
from imps_multi.model.instant import format_instant
from imps_multi.model.merge_remarks import merge_remarks
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.payload import allowed
from imps_multi.model.report import ClusterReport, Phase, PolicyTally
from imps_multi.model.selection_remarks import cluster_misses, namespace_misses
from imps_multi.model.status import PolicyStatus, TargetCounts
from imps_multi.model.target_plan import Wish
from imps_multi.model.view import reaches
from imps_multi.model.wording import counted
from imps_multi.model.world import Resolved

ANSWERED = frozenset({"Unauthorized", "Forbidden", "Duplicate", "Throttled", "InternalError"})
"""Reasons of trouble of a cluster that did answer, or that cannot be blamed on its absence."""


class Ready(Struct, frozen=True):
    """A row of the table."""

    status: str
    reason: str
    message: str
    exit_code: int = 0


class Circumstances(Struct, frozen=True):
    """What a policy's status depends on, beside the policy."""

    reports: Mapping[ClusterName, ClusterReport]
    now: float
    held: tuple[HeldSet, ...]
    expansions: tuple[Expansion, ...] = ()
    shown: Mapping[PolicyName, PolicyStatus] = {}
    """What the hub showed of each policy when it was first read."""
    starting: bool = False
    """The process started a moment ago: what was shown stands until the clusters were heard."""
    look: int = 0
    """The version of the world that a cluster must have looked at to be heard."""


class Severity(enum.IntEnum):
    """Exit codes of a one-time run."""

    FINE = 0
    WRONG = 1
    UNREACHABLE = 3


def readiness(resolved: Resolved, around: Circumstances) -> Ready:
    """Return the first row of the table that holds."""
    for row in _ROWS:
        if (ready := row(resolved, around)) is not None:
            return ready
    return _all_synced(resolved, around)


def _suspended(resolved: Resolved, _: Circumstances) -> Ready | None:
    if not resolved.policy.suspend:
        return None
    return Ready("Unknown", "Suspended", "spec.suspend is true: nothing is written, refreshes included")


def _source_trouble(resolved: Resolved, around: Circumstances) -> Ready | None:
    ready = sources_resolved(resolved, around)
    return None if ready.status != "False" else ready


def _expired(resolved: Resolved, around: Circumstances) -> Ready | None:
    late = sorted(
        name
        for name, tally in tallies_of(resolved, around).items()
        if tally.expires_at is not None and tally.expires_at <= around.now
    )
    if not late:
        return None
    return Ready("False", "Expired", f"an entry that was delivered has expired in {_some(late)}", Severity.WRONG)


def _target_trouble(resolved: Resolved, around: Circumstances) -> Ready | None:
    mine = {name: tally for name, tally in tallies_of(resolved, around).items() if _counted(around.reports[name])}
    counts = target_counts(mine.values())
    reasons = {reason for tally in mine.values() for reason in tally.reasons}
    text = _trouble_text(mine, around)
    if counts.conflict:
        return Ready(
            "False",
            "Conflict",
            f"{counted(counts.conflict, 'target is', 'targets are')} in conflict: {text}",
            Severity.WRONG,
        )
    if "Contested" in reasons:
        return Ready("False", "Contested", f"somebody keeps changing targets: {text}", Severity.WRONG)
    if counts.failed or counts.pending:
        message = f"{synced_text(counts)}, {counts.failed} failed, {counts.pending} pending: {text}"
        return Ready("False", "PartiallySynced", message, Severity.WRONG)
    refused = _refused(mine) + [
        f"{report.settings.name}: {report.contact.reason}: {report.contact.message}"
        for report in reached(resolved, around)
        if report.contact.phase in (Phase.DEGRADED, Phase.QUARANTINED) and report.contact.reason in ANSWERED
    ]
    return Ready("False", "PartiallySynced", _some(refused), Severity.WRONG) if refused else None


def _held_row(resolved: Resolved, around: Circumstances) -> Ready | None:
    held = held_of(resolved, around)
    return Ready("False", "DeletionHeld", held_text(held) + ending_text(resolved), Severity.WRONG) if held else None


def _unreachable(resolved: Resolved, around: Circumstances) -> Ready | None:
    away = [report for report in reached(resolved, around) if _is_away(report)]
    starting = [report for report in reached(resolved, around) if _is_starting(report, resolved)]
    if away:
        return Ready("Unknown", "TargetUnreachable", _away_text(away), Severity.UNREACHABLE)
    if starting:
        return Ready("Unknown", "Starting", _some([_starting_text(one) for one in starting]), Severity.UNREACHABLE)
    return None


def _starting_text(report: ClusterReport) -> str:
    what = "not contacted yet" if report.contact.phase is Phase.STARTING else "being listed"
    return f"{report.settings.name} is {what}"


def _all_synced(resolved: Resolved, around: Circumstances) -> Ready:
    counts = target_counts(tallies_of(resolved, around).values())
    message = synced_text(counts)
    if counts.lingering:
        message += f", {counted(counts.lingering, 'lingers', 'linger')}"
    return Ready("True", "AllSynced", message + _remarks(resolved, around))


_ROWS = (_suspended, _source_trouble, _expired, _target_trouble, _held_row, _unreachable)


def sources_resolved(resolved: Resolved, around: Circumstances) -> Ready:
    """Say whether every source gives what it should, and may go where it is asked to."""
    waiting = [source for source in resolved.sources if source.reason == "Waiting"]
    wrong = [source for source in resolved.sources if source.reason and source.reason != "Waiting"]
    refusals = list(_refusals(resolved, around))
    if refusals or any(source.reason == "SourceNotAllowed" for source in wrong):
        texts = [*(source.message for source in wrong if source.reason == "SourceNotAllowed"), *refusals]
        return Ready("False", "SourceNotAllowed", _some(texts), Severity.WRONG)
    if wrong:
        return Ready("False", "SourceError", _some([f"{one.ref}: {one.message}" for one in wrong]), Severity.WRONG)
    if waiting:
        return Ready("Unknown", "Waiting", _some([f"{one.ref}: {one.message}" for one in waiting]))
    remarks = [f"{one.ref}: {one.message}" for one in resolved.sources if one.message]
    said = f"{counted(len(resolved.sources), 'source is', 'sources are')} resolved"
    return Ready("True", "AllResolved", f"{said}; {_some(remarks)}" if remarks else said)


def _refusals(resolved: Resolved, around: Circumstances) -> Iterable[str]:
    for source in resolved.sources:
        bounds = source.bounds
        if bounds.policies is None and bounds.clusters is None and bounds.namespaces is None:
            continue
        for name, tally in tallies_of(resolved, around).items():
            for namespace in sorted(tally.namespaces):
                why = allowed(bounds, policy=resolved.policy.name, cluster=name, namespace=namespace)
                if why is not None:
                    yield f"{source.ref} may not go to {name}/{namespace}: {why}"


def targets_synced(resolved: Resolved, around: Circumstances) -> Ready:
    """Say whether every target is as it should be, and whether what should go can be taken away."""
    mine = tallies_of(resolved, around)
    counts = target_counts(mine.values())
    said = synced_text(counts)
    if counts.in_sync != counts.desired:
        return Ready("False", "PartiallySynced", f"{said}: {_trouble_text(mine, around)}")
    if counts.failed:
        return Ready(
            "False",
            "DeletionFailed",
            f"{counted(counts.failed, 'target', 'targets')} cannot be removed: {_trouble_text(mine, around)}",
        )
    if refused := _refused(mine):
        return Ready("False", "Forbidden", _some(refused))
    return Ready("True", "AllSynced", said)


def _refused(mine: Mapping[ClusterName, PolicyTally]) -> list[str]:
    return [f"{name}: Forbidden: {tally.refused}" for name, tally in sorted(mine.items()) if tally.refused]


def targets_reachable(resolved: Resolved, around: Circumstances) -> Ready:
    """Say whether every cluster can be reached."""
    selected = reached(resolved, around)
    away = [one for one in selected if one.contact.phase in (Phase.DEGRADED, Phase.QUARANTINED)]
    if away:
        return Ready("False", "TargetUnreachable", _away_text(away))
    if any(report.contact.phase is Phase.STARTING for report in selected):
        return Ready("Unknown", "Starting", "not every cluster was contacted yet")
    return Ready("True", "AllReachable", f"{counted(len(selected), 'cluster is', 'clusters are')} reachable")


def credentials_fresh(resolved: Resolved, around: Circumstances) -> Ready:
    """Say whether what was delivered is still good, and refreshed in time."""
    if (expired := _expired(resolved, around)) is not None:
        return expired
    late = [
        f"{source.ref}: {source.message or 'not refreshed in time'}"
        for source in resolved.sources
        if source.next_refresh is not None and source.next_refresh + 60.0 < around.now
    ]
    if late:
        return Ready("False", "RefreshFailing", _some(late))
    return Ready("True", "AllFresh", "nothing that was delivered has expired")


def _remarks(resolved: Resolved, around: Circumstances) -> str:
    remarks = list(map(str, resolved.policy.remarks))
    policy, fleet = resolved.policy, [report.settings for _, report in sorted(around.reports.items())]
    misses = list(cluster_misses(policy, fleet)), list(namespace_misses(policy, reached(resolved, around)))
    remarks += [_some(texts) for texts in misses if texts]
    if not any(reaches(policy, settings) for settings in fleet):
        remarks.append("no cluster is selected")
    elif not any(tally.desired for tally in tallies_of(resolved, around).values()):
        remarks.append("no namespace is selected")
    of_sources = [f"{one.ref}: {one.message}" for one in resolved.sources if one.message and not one.reason]
    remarks += [_some(texts) for texts in (merge_remarks(resolved.sources), of_sources) if texts]
    return "; " + "; ".join(remarks) if remarks else ""


def tallies_of(resolved: Resolved, around: Circumstances) -> dict[ClusterName, PolicyTally]:
    """Return the counts of a policy by cluster."""
    name = resolved.policy.name
    return {cluster: report.policies[name] for cluster, report in around.reports.items() if name in report.policies}


def reached(resolved: Resolved, around: Circumstances) -> list[ClusterReport]:
    """Return every cluster that a policy selects, or that carries targets of it."""
    return [
        report
        for report in around.reports.values()
        if reaches(resolved.policy, report.settings) or resolved.policy.name in report.policies
    ]


def _counted(report: ClusterReport) -> bool:
    """Say whether what is open in a cluster counts against a policy: it can be written now."""
    return report.contact.phase is Phase.UP


def unheard(resolved: Resolved, around: Circumstances) -> bool:
    """Say whether something that a policy depends on was not heard yet: a cluster, or a source that is being asked."""
    waiting = any(source.reason == "Waiting" for source in resolved.sources)
    return waiting or any(not _heard(report, around.look) for report in reached(resolved, around))


def _heard(report: ClusterReport, look: int) -> bool:
    """Say whether a cluster told what there is to tell: counts of an older world are of what was not known then."""
    if report.contact.phase in (Phase.UP, Phase.PAUSED):
        return report.listed and report.looked >= look
    return report.contact.phase is not Phase.STARTING


def _is_away(report: ClusterReport) -> bool:
    always = report.settings.connectivity is Connectivity.ALWAYS and not report.settings.paused
    return always and report.contact.phase is Phase.DEGRADED and report.contact.reason not in ANSWERED


def _is_starting(report: ClusterReport, resolved: Resolved) -> bool:
    if report.settings.connectivity is not Connectivity.ALWAYS or report.settings.paused:
        return False
    listed = report.listed or (report.lacks_pods and not resolved.policy.pods.rules)
    return report.contact.phase is Phase.STARTING or (report.contact.phase is Phase.UP and not listed)


def target_counts(tallies: Iterable[PolicyTally]) -> TargetCounts:
    """Sum counts, of several policies or several clusters."""
    total = list(tallies)
    desired = sum(one.desired for one in total)
    in_sync = sum(one.in_sync for one in total)
    return TargetCounts(
        desired=desired,
        in_sync=in_sync,
        pending=sum(one.pending for one in total),
        failed=sum(one.failed for one in total),
        conflict=sum(one.conflict for one in total),
        lingering=sum(one.lingering for one in total),
        excluded=sum(one.excluded for one in total),
        held=sum(one.held for one in total),
        summary=f"{in_sync}/{desired}",
    )


def held_of(resolved: Resolved, around: Circumstances) -> list[HeldSet]:
    """Return the held sets that a policy waits for: with members of its own, or with targets that it takes over."""
    name = resolved.policy.name
    mine = {cluster: tally for cluster, tally in tallies_of(resolved, around).items() if tally.held}
    return [
        one
        for one in around.held
        if one.policy == name or any(wish.policy == name or _awaited(wish, resolved, mine) for wish in one.members)
    ]


def _awaited(wish: Wish, resolved: Resolved, mine: Mapping[ClusterName, PolicyTally]) -> bool:
    """Say whether what another policy would lose is the target that this one wants there."""
    tally = mine.get(wish.cluster)
    wanted = tally is not None and wish.namespace in tally.namespaces
    return wanted and bool(wish.loses) and wish.secret == resolved.policy.secret.name


def held_text(held: Iterable[HeldSet]) -> str:
    """Say what waits for approval, and how to approve it."""
    return "; ".join(
        f"{counted(len(one.members), 'removal waits', 'removals wait')} for approval ({one.why}): "
        f"imps-multi approve {one.id}"
        for one in held
    )


def ending_text(resolved: Resolved) -> str:
    """Say which held entries cannot be kept fresh: what minted them is gone."""
    ending = [
        f"{registry} (expires {format_instant(kept.expires_at)})"
        for registry, kept in sorted(resolved.retained.items())
        if kept.expires_at is not None and not kept.renewable
    ]
    return f"; cannot be refreshed meanwhile, its source is gone: {_some(ending)}" if ending else ""


def synced_text(counts: TargetCounts) -> str:
    """Say how many targets are in sync, of how many."""
    return f"{counts.summary} {'target is' if counts.desired == 1 else 'targets are'} in sync"


def _trouble_text(mine: Mapping[ClusterName, PolicyTally], around: Circumstances) -> str:
    places: dict[str, list[str]] = {}
    for name, tally in sorted(mine.items()):
        for trouble in tally.troubles:
            places.setdefault(trouble.message or trouble.reason, []).append(f"{name}/{trouble.namespace}")
    texts = [f"{_and_others(found, ', ')}: {why}" for why, found in places.items()]
    texts += [
        f"{name} is observed and not written to (observe: true)"
        for name, tally in sorted(mine.items())
        if tally.pending and around.reports[name].settings.observe
    ]
    return _and_others(texts, "; ") if texts else "being written"


def _and_others(texts: Sequence[str], between: str, most: int = 3) -> str:
    """Name a few; a tally itself holds no more than some, so how many others there are is not known here."""
    return between.join(texts[:most]) + (" and others" if len(texts) > most else "")


def _away_text(away: Iterable[ClusterReport]) -> str:
    return _some([f"{one.settings.name}: {one.contact.reason}: {one.contact.message}" for one in away])


def _some(texts: Sequence[str], most: int = 3) -> str:
    shown = "; ".join(texts[:most])
    return shown if len(texts) <= most else f"{shown}; and {len(texts) - most} more"
