"""When a pass is over: everything that could be reached is as it should be, or was tried often enough.

Used by ``run --once``, ``plan`` and the demo; looks at what the reporter knows and decides nothing else.
"""

import anyio

from imps_multi.actors.service import Service
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.report import ClusterReport, Phase
from imps_multi.runtime.shutdown import StopSignal

LOOK_SECONDS = 0.05
CALM_LOOKS = 3
"""So many looks in a row must agree, since actors hand on to one another."""


async def wait_settled(service: Service, stop: StopSignal) -> None:
    """Return when nothing more will happen by itself soon; each cluster is waited for at most its request timeout."""
    began = anyio.current_time()
    calm = 0
    while calm < CALM_LOOKS and not stop.is_set:
        await anyio.sleep(LOOK_SECONDS)
        calm = calm + 1 if settled(service, waited=anyio.current_time() - began) else 0


def settled(service: Service, *, waited: float) -> bool:
    """Say whether hub, sources, brake and every cluster have come to rest. ``waited`` in seconds since the start."""
    hub, world, keepers = service.hub.get(HubSnapshot()), service.world.value, service.keepers
    if not (hub.synced and world.synced) or hub.unsure or keepers is None:
        return False
    if any(not state.tried for state in keepers.states().values()):
        return False
    members = service.ports.members.value
    reports = service.reporter.reports
    if any(member.settings.name not in reports for member in members) or not service.braker.settled:
        return False
    return all(_at_rest(report, world.version, waited) for report in reports.values())


def _at_rest(report: ClusterReport, version: int, waited: float) -> bool:
    if report.contact.phase in (Phase.UP, Phase.PAUSED):
        if report.listed:
            return report.settled >= version or report.given_up
        return waited > report.settings.request_timeout
    if report.contact.phase is Phase.STARTING:
        return waited > report.settings.request_timeout
    return waited > min(report.settings.request_timeout, GIVE_UP_SECONDS)


GIVE_UP_SECONDS = 5.0
"""A cluster that was tried and failed is tried again for so long, in case it was only starting."""
