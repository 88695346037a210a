"""One cluster's actor: keeps contact, watches, and writes what is due there.

Owns the cluster's station (book, queue, client). Reads the world and the brake's verdict; feeds the brake (wishes) and
the reporter. Whatever its cluster does, no other actor waits for it.
"""

import anyio
import structlog

from imps_multi.actors.contact import PROBE, Lost, keep_contact
from imps_multi.actors.crew import Crew
from imps_multi.actors.reporting import keep_reporting
from imps_multi.actors.setting import Setting
from imps_multi.actors.station import Station, hire_nobody, station
from imps_multi.actors.watching import keep_watching
from imps_multi.model.report import ClusterReport, Contact, Phase
from imps_multi.ports import ClusterClient, FleetMember, PortError

CLOSE_SECONDS = 1.0

log = structlog.get_logger()


async def run_cluster(member: FleetMember, setting: Setting) -> None:
    """Run one cluster until cancelled; one call is one incarnation.

    Raises whatever nobody foresaw; what a cluster can do wrong is handled inside.
    """
    client = await connect(member, setting)
    try:
        here = setting.stations[member.settings.name] = station(member, setting, client)
        async with anyio.create_task_group() as group:
            group.start_soon(follow_world, here)
            group.start_soon(follow_verdict, here)
            group.start_soon(keep_reporting, here)
            group.start_soon(keep_contact, here, session)
    finally:
        setting.wish(member.settings.name, None)
        setting.stations.pop(member.settings.name, None)
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await client.aclose()


async def connect(member: FleetMember, setting: Setting) -> ClusterClient:
    """Build the client; what it is built from may be unusable, and may be put right without us."""
    retries = PROBE.start(setting.rand)
    since = setting.clock()
    while True:
        try:
            return await member.connect()
        except PortError as failure:
            delay = retries.next()
            setting.claims.tried(member.settings.name)
            setting.report(_unusable(member, failure, since=since, next_attempt=setting.clock() + delay))
            if retries.attempts == 1:
                reason, message = failure.reason.value, str(failure)
                log.warning("Cluster is degraded", target_cluster=member.settings.name, reason=reason, message=message)
            await anyio.sleep(delay)


def _unusable(member: FleetMember, failure: PortError, *, since: float, next_attempt: float) -> ClusterReport:
    contact = Contact(
        phase=Phase.DEGRADED,
        reason=failure.reason.value,
        message=str(failure),
        since=since,
        next_attempt=next_attempt,
    )
    return ClusterReport(settings=member.settings, contact=contact)


async def session(here: Station, lost: Lost) -> None:
    """Run what needs contact: the watches and the workers."""
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(keep_watching, here, lost)
            crew = Crew(here, lost, group)
            here.hire = crew.hire
            crew.begin()
    finally:
        here.hire = hire_nobody


async def follow_world(here: Station) -> None:
    """Take in each new version of what is wanted, when it is our turn: every cluster hears of it in the same moment."""
    reader = here.setting.world.reader()
    while True:
        await reader.next()
        async with here.setting.turn:
            here.book.drop_names(here.setting.world.value.names)
            touched = here.book.adopt(here.see_world())
            here.adopted_at = here.setting.clock()
            here.rethink_watches()
            await here.look_through(touched)
        if not reader.fresh:
            here.looked_through = here.book.view.version
            here.settle_picture()


async def follow_verdict(here: Station) -> None:
    """Take in each new word of the brake at once, and look at what it concerns when it is our turn."""
    reader = here.setting.verdict.reader()
    while True:
        if touched := here.heed(await reader.next()):
            async with here.setting.turn:
                await here.look_through(touched)
