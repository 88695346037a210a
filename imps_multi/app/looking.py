"""What ``plan`` runs: a service that observes until it has settled, and then says what it would do.

Nothing is written and nothing minted; the state store stays as it is.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from imps_multi.actors.service import Service
from imps_multi.app.assembly import Assembly
from imps_multi.app.commands import load_whole, run_on_loop
from imps_multi.app.explaining import Unknown, explained, known_cluster
from imps_multi.app.hub_parts import HubUnreachable
from imps_multi.app.members import cluster_names
from imps_multi.app.planning import planned
from imps_multi.app.settling import wait_settled
from imps_multi.config.load import Loaded
from imps_multi.model.explain import Explanation
from imps_multi.model.hub import HubObject
from imps_multi.model.plan_difference import PlanDifference, difference
from imps_multi.model.plan_result import PlanResult
from imps_multi.runtime.shutdown import StopSignal
from imps_multi.telemetry.logs import configure_logging

T = TypeVar("T")


def plan_once(config: Path) -> PlanResult:
    """Look at everything once and return what a run would write now.

    Raises:
        InvalidConfiguration: the configuration cannot be used.
        HubUnreachable: a hub in a cluster does not answer.
    """
    loaded = load_whole(config)
    return _run(lambda: look(loaded, planned))


def plan_change(loaded: Loaded, changed: Sequence[HubObject]) -> PlanDifference:
    """Look at everything as it is, and as it would be with some objects of the hub changed; return the difference.

    Raises:
        InvalidConfiguration: what the configuration points to cannot be used.
        HubUnreachable: a hub in a cluster does not answer.
    """
    cluster_names(loaded)  # what is wrong there is raised here, and not out of a group
    plans: dict[bool, PlanResult] = {}
    away: list[HubUnreachable] = []

    async def plan(*, with_it: bool) -> None:
        try:
            plans[with_it] = await look(loaded, planned, changed if with_it else ())
        except HubUnreachable as error:
            away.append(error)

    async def both() -> PlanDifference:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: plan(with_it=False))
            group.start_soon(lambda: plan(with_it=True))
        if away:
            raise away[0]
        return difference(plans[False], plans[True])

    return _run(both)


def explain_once(config: Path, cluster: str, namespace: str) -> Explanation:
    """Look at everything once and say why a namespace gets what it gets.

    Raises:
        InvalidConfiguration: the configuration cannot be used.
        HubUnreachable: a hub in a cluster does not answer.
        Unknown: there is no such cluster or namespace.
    """
    loaded = load_whole(config)
    known_cluster(loaded, cluster)
    found = _run(lambda: look(loaded, lambda service: explained(service, cluster, namespace)))
    if isinstance(found, Unknown):
        raise found
    return found


async def look(
    loaded: Loaded, take: Callable[[Service], Awaitable[T]], changed: Sequence[HubObject] = (), *, fleet: bool = True
) -> T:
    """Look at everything once, write nothing, and return what ``take`` makes of the service when it has settled.

    ``fleet`` False looks at the hub alone.

    Raises:
        HubUnreachable: a hub in a cluster does not answer.
    """
    assembly = await anyio.to_thread.run_sync(
        lambda: Assembly(loaded, observe=True, read_only=True, supposing=True, changed=changed, fleet=fleet)
    )
    try:
        if assembly.hub_in_cluster is not None:
            await assembly.hub_in_cluster.reach()
            await assembly.hub_in_cluster.check_readable()
        return await _looked(assembly, take)
    finally:
        await assembly.aclose()


async def _looked(assembly: Assembly, take: Callable[[Service], Awaitable[T]]) -> T:
    service, stop = assembly.service, StopSignal()
    async with anyio.create_task_group() as outer:
        outer.start_soon(service.run, stop)
        await wait_settled(service, stop)
        result = await take(service)
        stop.set("it was looked at")
        await service.ended.wait()
        outer.cancel_scope.cancel()
    return result


def _run(main: Callable[[], Awaitable[T]]) -> T:
    configure_logging("console", "error")
    return run_on_loop(main)
