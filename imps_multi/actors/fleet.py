"""The fleet's actor: one supervised group per cluster, started, restarted and stopped as the configuration says.

Owns which clusters run. A change touches only the clusters that it changes. A cluster's actor that fails in a way
nobody foresaw is restarted, then quarantined, alone.
"""

from collections.abc import Callable, Iterable

import anyio

from imps_multi.actors.cluster import run_cluster
from imps_multi.actors.quarantine import Quarantine
from imps_multi.actors.setting import Setting
from imps_multi.model.names import ClusterName
from imps_multi.model.report import ClusterReport, Contact, Phase
from imps_multi.ports import FleetMember
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.restarts import RestartPolicy
from imps_multi.runtime.supervisor import ChildStatus, Supervisor
from imps_multi.runtime.supervisor import Phase as ChildPhase


async def run_fleet(
    members: Latest[tuple[FleetMember, ...]],
    setting: Setting,
    *,
    policy: RestartPolicy,
    forget: Callable[[ClusterName], None],
) -> None:
    """Run exactly the configured clusters, for ever."""
    running: dict[ClusterName, FleetMember] = {}
    quarantine = Quarantine("cluster", setting.signals)

    def on_crash(name: str, incarnation: int, error: Exception) -> None:
        setting.signals.crashed(f"cluster {name}", error, incarnation=incarnation)

    def on_change(status: ChildStatus) -> None:
        quarantine.see(status)
        member = running.get(ClusterName(status.name))
        if status.phase is ChildPhase.QUARANTINED and member is not None:
            setting.report(_quarantined(member, status, setting))

    async with Supervisor(policy=policy, rand=setting.rand, on_crash=on_crash, on_change=on_change) as supervisor:
        reader = members.reader()
        while True:
            wanted = {member.settings.name: member for member in await reader.next()}
            setting.claims.configure(wanted)
            gone = [name for name in running if name not in wanted]
            changed = [name for name in running if name in wanted and _differs(running[name], wanted[name])]
            await _stop(supervisor, (*gone, *changed))
            for name in (*gone, *changed):
                del running[name]
                setting.wish(name, None)
            for name in gone:
                forget(name)
            for name, member in wanted.items():
                if name not in running:
                    running[name] = member
                    setting.report(ClusterReport(settings=member.settings))
                    _start(supervisor, member, setting)


async def _stop(supervisor: Supervisor, names: Iterable[ClusterName]) -> None:
    """Stop clusters together: one that takes its time to close must not keep the others waiting."""
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(supervisor.stop, name)


def _start(supervisor: Supervisor, member: FleetMember, setting: Setting) -> None:
    async def child() -> None:
        await run_cluster(member, setting)

    supervisor.start(member.settings.name, child)


def _differs(running: FleetMember, wanted: FleetMember) -> bool:
    return (running.settings, running.fingerprint) != (wanted.settings, wanted.fingerprint)


def _quarantined(member: FleetMember, status: ChildStatus, setting: Setting) -> ClusterReport:
    now = setting.clock()
    wait = max(0.0, (status.until or anyio.current_time()) - anyio.current_time())
    contact = Contact(
        phase=Phase.QUARANTINED,
        reason="InternalError",
        message=f"its actor failed {status.crashes} times; see the log",
        since=now,
        next_attempt=now + wait,
    )
    return ClusterReport(settings=member.settings, contact=contact)
