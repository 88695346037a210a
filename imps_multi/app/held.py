"""Shows what the brake holds in the hub's namespace, and takes approvals from there.

What is held is the reporter's to say, and to let it go the braker's. A hub that is away is tried again later.
"""

from collections.abc import Sequence

import anyio
import structlog

from imps_multi.actors.service import Service
from imps_multi.kube.held_map import HeldMap
from imps_multi.model.status import HeldStatus, ServiceStatus
from imps_multi.ports import PortError
from imps_multi.runtime.latest import Latest

LOOK_SECONDS = 2.0
REST_SECONDS = 30.0
"""A set of the last day can be approved when it is not held as such any more, too."""

log = structlog.get_logger()


async def keep_held_shown(service: Service, held_map: HeldMap) -> None:
    """Show and take up for ever."""
    await service.loaded.wait()
    shown: list[HeldStatus] | None = None
    failing = False
    while True:
        held = held_now(service.reporter.status)
        try:
            if held != shown:
                await held_map.show(held)
                shown = held
            await take_up_approvals(service, held_map)
            failing = False
        except PortError as failure:
            if not failing:
                log.warning("Held sets cannot be shown in the hub; it is tried again", message=str(failure))
            failing = True
        await _until_due(service.reporter.status, LOOK_SECONDS if held else REST_SECONDS, shown)


async def take_up_approvals(service: Service, held_map: HeldMap) -> None:
    """Let go what somebody approved on the ConfigMap. Raises port errors."""
    page = await held_map.read()
    if page is None or not page.approvals:
        return
    for held_id in page.approvals:
        if not await service.braker.approve(held_id):
            log.warning("No held set of this id was shown in the last 24 hours", id=held_id)
    await held_map.taken()


async def take_up_once(service: Service, held_map: HeldMap) -> None:
    """Carry out what was approved while nothing ran."""
    await service.loaded.wait()
    if service.ended.is_set():
        return
    try:
        await take_up_approvals(service, held_map)
    except PortError as failure:
        log.warning("Approvals could not be looked for", message=str(failure))


async def show_once(status: ServiceStatus, held_map: HeldMap) -> None:
    """Show what is held at the end of a pass."""
    try:
        await held_map.show(status.held)
    except PortError as failure:
        log.warning("Held sets could not be shown in the hub", message=str(failure))


def held_now(status: Latest[ServiceStatus]) -> list[HeldStatus]:
    """Return what is held as it was last computed."""
    found = status.get(None)
    return found.held if found is not None else []


async def _until_due(status: Latest[ServiceStatus], seconds: float, shown: Sequence[HeldStatus] | None) -> None:
    """Wait until something else is held, or it is time to look for approvals."""
    with anyio.move_on_after(seconds):
        version = status.version
        while held_now(status) == shown:
            version, _ = await status.wait_newer(version)
        return
