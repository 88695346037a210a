"""``sync`` and ``approve``: asked over the socket of the running instance, or stored for the next pass."""

from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread
import structlog

from imps_multi.actors.service import Service
from imps_multi.hubs.control import Answer, Handler, Request, drop_request, stored_requests
from imps_multi.model.names import PolicyName

log = structlog.get_logger()


def handlers(service: Service) -> Mapping[str, Handler]:
    """Return what the running instance can be asked."""

    async def sync(name: str) -> Answer:
        if await service.sync(PolicyName(name)):
            return Answer(ok=True, message=f"{name}: its sources are minted anew and its targets looked at")
        return Answer(ok=False, message=f"there is no policy {name}")

    async def approve(held_id: str) -> Answer:
        if await service.braker.approve(held_id):
            return Answer(ok=True, message=f"{held_id} may go")
        return Answer(ok=False, message=f"no held set {held_id} was shown in the last 24 hours")

    return {"sync": sync, "approve": approve}


async def take_up_stored(root: Path, service: Service) -> None:
    """Carry out what was asked while nothing ran."""
    known = handlers(service)
    await service.loaded.wait()
    if service.ended.is_set():
        return
    for request in await anyio.to_thread.run_sync(stored_requests, root):
        handler = known.get(request.command)
        answer = await handler(request.argument) if handler is not None else _unknown(request)
        log.info(
            "Stored request was taken up", command=request.command, argument=request.argument, answer=answer.message
        )
        await anyio.to_thread.run_sync(drop_request, root, request)


def _unknown(request: Request) -> Answer:
    return Answer(ok=False, message=f"there is no command {request.command}")
