"""When the past may be forgotten: nothing of it lies anywhere any more.

Pure. As long as any configured cluster is away, or still being written, everything is kept.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from imps_multi.model.brake import Wishes
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.report import ClusterReport
from imps_multi.model.world import Standing, World


class Rest(Struct, frozen=True):
    """What has come to rest.

    ``quiet``: policies of which everything that lies anywhere is as it is wanted now. ``gone``: deleted ones of which
    nothing lies anywhere. Both hold for one ``version`` of the world alone: the next may need the past again.
    """

    version: int = -1
    quiet: frozenset[PolicyName] = frozenset()
    gone: frozenset[PolicyName] = frozenset()


def at_rest(world: World, clusters: Iterable[ClusterReport], wishes: Mapping[ClusterName, Wishes]) -> Rest:
    """Say which policies have no past any more. ``clusters``: every configured one."""
    reports = list(clusters)
    if not (world.synced and world.whole) or any(_restless(report, world) for report in reports):
        return Rest()
    said = [wishes.get(report.settings.name) for report in reports]
    if any(one is None or one.version < world.version for one in said):
        return Rest()
    restless = {wish.policy for one in said if one is not None for wish in one.wishes}
    carried = {name for one in said if one is not None for name, count in one.totals.items() if count}
    return Rest(
        version=world.version,
        quiet=frozenset(
            name
            for name, resolved in world.policies.items()
            if resolved.standing is Standing.VALID and not resolved.policy.suspend and name not in restless
        ),
        gone=frozenset(
            name
            for name, resolved in world.policies.items()
            if resolved.standing is Standing.DELETED and name not in carried
        ),
    )


def _restless(report: ClusterReport, world: World) -> bool:
    """Say whether anything may still have to be written in a cluster: unseen as yet, or not written for now."""
    settings = report.settings
    return not report.synced or report.settled < world.version or settings.paused or settings.observe
