"""Leaving: every Secret of ours that an errand is about, handed over or removed, straight in the clusters.

A service that observes looks at hub, state and clusters; what it sees is given to ``model.leaving``, and its writes are
made here, bound to what was seen. Nothing is minted and the state stays as it is. Run by the ``leave`` command.
"""

from collections.abc import Iterator
from functools import partial

import anyio
import anyio.to_thread
from msgspec import structs

from imps_multi.actors.contact import advised
from imps_multi.actors.service import Service
from imps_multi.actors.station import Station
from imps_multi.actors.working import note_write, send
from imps_multi.app.assembly import Assembly
from imps_multi.app.leave_permit import Instance, notes, problems, refusal, unknown_cluster
from imps_multi.app.settling import wait_settled
from imps_multi.config.load import Loaded
from imps_multi.model.leave_result import DONE, LeaveResult, LeftSecret
from imps_multi.model.leaving import Errand, Parting, parting
from imps_multi.ports import Conflict, Forbidden, Invalid, NotFound, PortError, Throttled
from imps_multi.runtime.shutdown import StopSignal

ROUNDS = 5
PAUSE_SECONDS = 0.3
LONGEST_PAUSE = 10.0

Place = tuple[str, str, str, str]
"""Cluster, namespace, name and uid."""


async def leave(
    loaded: Loaded, errand: Errand, *, instance: Instance, write: bool, agreed: frozenset[Place] | None = None
) -> LeaveResult:
    """Look at what there is, and with ``write`` do what is to be done; ``agreed`` narrows it to what was shown.

    Raises:
        HubUnreachable: a hub in a cluster does not answer.
    """
    assembly = await anyio.to_thread.run_sync(partial(_assembly, loaded, write=write))
    if unknown := unknown_cluster(assembly.service, errand):
        return LeaveResult(errand.manner.value, refusal=unknown)
    try:
        if assembly.hub_in_cluster is not None:
            await assembly.hub_in_cluster.reach()
            await assembly.hub_in_cluster.check_readable()
        return await _leave(assembly, errand, instance, agreed=agreed, write=write)
    finally:
        await assembly.aclose()


async def _leave(
    assembly: Assembly, errand: Errand, instance: Instance, *, agreed: frozenset[Place] | None, write: bool
) -> LeaveResult:
    service, stop = assembly.service, StopSignal()
    members = service.ports.members
    members.set(tuple(one for one in members.value if errand.cluster in (None, one.settings.name)))
    async with anyio.create_task_group() as outer:
        outer.start_soon(service.run, stop)
        outer.start_soon(assembly.audit.run)
        await wait_settled(service, stop)
        result = await _result(service, errand, instance, agreed=agreed, write=write)
        stop.set("it is left")
        await service.ended.wait()
        await assembly.audit.flush()
        outer.cancel_scope.cancel()
    return result


def _assembly(loaded: Loaded, *, write: bool) -> Assembly:
    audit = loaded.configuration.telemetry.audit_log
    destination = audit if write and audit != "stdout" else ""  # standard output is for what was asked for
    return Assembly(loaded, observe=True, read_only=True, audit=destination)


async def _result(
    service: Service, errand: Errand, instance: Instance, *, agreed: frozenset[Place] | None, write: bool
) -> LeaveResult:
    leavings = [Leaving(station, errand, agreed) for station in service.setting.stations.values()]
    secrets = sorted(shown for one in leavings for shown in one.found())
    manner, wrong = errand.manner.value, list(problems(service, errand, found=bool(secrets)))
    refused = refusal(service, errand, instance)
    if refused or not write:
        return LeaveResult(manner, secrets, wrong, refusal=refused)
    async with anyio.create_task_group() as group:
        for one in leavings:
            group.start_soon(one.run)
    done = sorted(shown for one in leavings for shown in one.results.values())
    told = list(notes(service, errand))
    if joined := sum(1 for one in secrets if agreed is not None and place(one) not in agreed):
        told.append(f"{joined} more came while you were asked; run it again for them")
    return LeaveResult(manner, done, wrong, told)


class Leaving:
    """The work in one cluster. ``results``: what became of each Secret."""

    def __init__(self, station: Station, errand: Errand, agreed: frozenset[Place] | None) -> None:
        self._here = station
        self._errand = errand
        self._agreed = agreed
        self._pause = PAUSE_SECONDS
        self._hopeless: set[Place] = set()
        self.results: dict[Place, LeftSecret] = {}

    def found(self) -> list[LeftSecret]:
        """Return everything here that the errand is about."""
        return [self._shown(one) for one in self._partings()]

    async def run(self) -> None:
        """Make every write; what fails for the moment is tried a few times."""
        for number in range(ROUNDS):
            if number:
                await anyio.sleep(self._pause)  # until the watch has shown what changed
            self._settle()
            due = [one for one in self._partings() if self._is_due(place(self._shown(one)))]
            if not due:
                return
            await self._work_off(iter(due))
        await anyio.sleep(self._pause)
        self._settle()

    def _settle(self) -> None:
        """Take for done what failed and is not there to be done any more: its answer was lost, or others were first."""
        left = {place(one) for one in self.found()}
        for where, one in self.results.items():
            if where not in left:
                self.results[where] = structs.replace(one, result=DONE)

    async def _work_off(self, due: Iterator[Parting]) -> None:
        async def work() -> None:
            for one in due:
                await self._carry_out(one)

        async with anyio.create_task_group() as group:
            for _ in range(self._here.member.settings.max_in_flight):
                group.start_soon(work)

    def _partings(self) -> Iterator[Parting]:
        book = self._here.book
        for name, namespace, seen in list(book.observed.everything()):
            found = parting(self._errand, namespace, name, seen, book.view.hubs)
            if found is not None:
                yield found

    def _is_due(self, where: Place) -> bool:
        known = self.results.get(where)
        open_yet = (known is None or known.result != DONE) and where not in self._hopeless
        return open_yet and (self._agreed is None or where in self._agreed)

    async def _carry_out(self, one: Parting) -> None:
        await self._here.limiter.take()
        try:
            await send(self._here, one.plan)
        except NotFound:
            self._here.book.gone(one.plan, now=self._here.setting.clock())
            outcome = DONE
        except PortError as failure:
            note_write(self._here, one.plan, type(failure).__name__)
            outcome = self._explained(failure)
            if isinstance(failure, (Forbidden, Invalid)):
                self._hopeless.add(place(self._shown(one)))
        else:
            outcome = DONE
        shown = self._shown(one, outcome)
        self.results[place(shown)] = shown

    def _explained(self, failure: PortError) -> str:
        match failure:
            case Throttled(retry_after=seconds):
                self._pause = min(max(self._pause, seconds), LONGEST_PAUSE)
            case Conflict():
                return "somebody changed it meanwhile; run it again"
            case Forbidden():
                return advised(failure)
            case _:
                pass
        return f"{type(failure).__name__}: {failure}"

    def _shown(self, one: Parting, result: str = "") -> LeftSecret:
        plan = one.plan
        return LeftSecret(self._here.name, one.policy, one.operation, plan.namespace, plan.name, one.uid, result)


def place(one: LeftSecret) -> Place:
    """Return where a Secret is, and which."""
    return one.cluster, one.namespace, one.secret, one.uid
