"""How far a cluster that is decommissioned has come: what of ours is left there, and why.

Pure. Told by the cluster's report; shown as that cluster's reason and message. No policy selects such a cluster, so
whatever is counted there is something that is to go.
"""

from collections.abc import Iterator

from msgspec import Struct

from imps_multi.model.report import ClusterReport, Phase, PolicyTally
from imps_multi.model.wording import counted
from imps_multi.model.world import World

DECOMMISSIONING = "Decommissioning"
DECOMMISSIONED = "Decommissioned"
NO_TROUBLE = frozenset({DECOMMISSIONING, DECOMMISSIONED})
"""Reasons of a cluster with which all is as it should be."""
DONE = "nothing of ours is left; take it out of the configuration"


class Progress(Struct, frozen=True):
    """How a decommissioned cluster stands."""

    reason: str
    message: str


def progress(report: ClusterReport, world: World) -> Progress | None:
    """Say what is left; None where the cluster is not decommissioned, or is in trouble, which says more."""
    if not report.settings.decommission or report.contact.phase not in (Phase.UP, Phase.PAUSED):
        return None
    if report.forbidden:
        names = ", ".join(sorted(report.forbidden))
        return Progress(DECOMMISSIONING, f"whether Secrets named {names} are left may not be looked at there")
    if not (world.synced and report.synced and report.looked >= world.version):
        return Progress(DECOMMISSIONING, "what of ours is there is being looked at")
    left = sum(map(_there, report.policies.values()))
    if not left:
        return Progress(DECOMMISSIONED, DONE)
    return Progress(
        DECOMMISSIONING, "; ".join([f"{counted(left, 'Secret of ours is', 'Secrets of ours are')} left", *_why(report)])
    )


def is_cleared(report: ClusterReport, world: World) -> bool:
    """Say whether nothing of ours is left in a cluster that was decommissioned."""
    found = progress(report, world)
    return found is not None and found.reason == DECOMMISSIONED


def _there(tally: PolicyTally) -> int:
    return tally.in_sync + tally.pending + tally.failed + tally.conflict + tally.lingering + tally.held


def _why(report: ClusterReport) -> Iterator[str]:
    tallies = report.policies.values()
    if report.settings.paused or report.settings.observe:
        yield "nothing is written there: it is paused or observed"
    if held := sum(tally.held for tally in tallies):
        yield f"{held} wait for approval"
    for reason, what in (("Suspended", "suspended"), ("InvalidSpec", "invalid")):
        if kept := sum(tally.reasons.get(reason, 0) for tally in tallies):
            yield f"{kept} belong to policies that are {what}"
