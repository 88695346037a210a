"""The reporter: joins what clusters, hub and brake say into one status, and tells what changed.

Owns the last report of every cluster and the published status. Feeds the status API, the metrics, the log and whoever
waits for the service to settle.
"""

from collections.abc import Callable, Mapping

import anyio
import structlog
from msgspec import structs

from imps_multi.model.brake import HeldSet, Wishes
from imps_multi.model.growth import Expansion
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.names import ClusterName, HubId, PolicyName
from imps_multi.model.report import ClusterReport, Phase
from imps_multi.model.rest import Rest, at_rest
from imps_multi.model.service_status import Facts, service_status
from imps_multi.model.shown import Shown
from imps_multi.model.status import Condition, ConfigurationView, PolicyStatus, ServiceStatus
from imps_multi.model.world import World
from imps_multi.ports import Clock, FleetMember, Signals
from imps_multi.runtime.latest import Latest, wait_any

PAUSE_SECONDS = 0.2
PAUSE_PER_CLUSTER = 0.005
"""With many clusters a status is rarer: computing it takes the longer, the more there are."""
LONGEST_PAUSE = 1.0
IDLE_SECONDS = 10.0
CATCH_UP_SECONDS = 2.0
START_SECONDS = 120.0
"""For so long after a start, what the hub shows stands until every cluster was heard."""

log = structlog.get_logger()


class Reporter:
    """The reporter's actor; ``report`` and ``forget`` are told by the fleet, ``status`` is read by all."""

    def __init__(
        self,
        *,
        hub_id: HubId,
        hub: Latest[HubSnapshot],
        world: Latest[World],
        held: Latest[tuple[HeldSet, ...]],
        expansions: Latest[tuple[Expansion, ...]],
        configuration: Latest[ConfigurationView],
        members: Latest[tuple[FleetMember, ...]],
        wishes: Callable[[], Mapping[ClusterName, Wishes]],
        signals: Signals,
        clock: Clock,
        shown: Latest[Mapping[PolicyName, Shown]] | None = None,
    ) -> None:
        """``shown``: what a hub in a cluster shows of its policies; a directory shows nothing."""
        self._shown = shown
        self._first_shown: dict[PolicyName, PolicyStatus | None] = {}
        self._began: float | None = None
        self._counted_once = False
        self._hub_id = hub_id
        self._hub = hub
        self._world = world
        self._held = held
        self._expansions = expansions
        self._configuration = configuration
        self._members = members
        self._wishes = wishes
        self._signals = signals
        self._clock = clock
        self._told: Latest[int] = Latest(0)
        self._fanout: tuple[int, float] | None = None
        self._world_at = 0.0
        self._contents: Mapping[PolicyName, tuple[object, ...]] = {}
        self.reports: dict[ClusterName, ClusterReport] = {}
        self.status: Latest[ServiceStatus] = Latest()
        self.rest: Latest[Rest] = Latest(Rest())
        """What has no past any more; read by those who remember it."""

    def report(self, report: ClusterReport) -> None:
        """Take in how a cluster stands now."""
        before = self.reports.get(report.settings.name)
        self.reports[report.settings.name] = report
        if before is not None and _says_nothing_new(before, report):
            return
        self._told.set(self._told.value + 1)
        self._watch_fanout()

    @property
    def counted(self) -> bool:
        """Whether every configured cluster was looked at under the newest world, or is away."""
        version = self._world.value.version
        reports = [self.reports.get(member.settings.name) for member in self._members.value]
        return self._world.value.synced and all(report is not None and _counted(report, version) for report in reports)

    @property
    def away(self) -> frozenset[ClusterName]:
        """The configured clusters that were not looked at under the newest world."""
        version = self._world.value.version
        found = {member.settings.name: self.reports.get(member.settings.name) for member in self._members.value}
        return frozenset(name for name, one in found.items() if one is None or not _looked(one, version))

    def forget(self, name: ClusterName) -> None:
        """A cluster left the configuration."""
        self.reports.pop(name, None)
        self._told.set(self._told.value + 1)

    def facts(self) -> Facts:
        """Return what the status is made of, as of now."""
        return Facts(
            hub_id=self._hub_id,
            hub=self._hub.get(HubSnapshot()),
            world=self._world.value,
            reports={
                member.settings.name: self.reports.get(member.settings.name) or ClusterReport(settings=member.settings)
                for member in self._members.value
            },
            held=self._held.value,
            expansions=self._expansions.value,
            configuration=self._configuration.value,
            shown=self._seen_first(),
            starting=self._starting(),
            look=self._to_look_at(),
        )

    def _starting(self) -> bool:
        if self._began is None:
            self._began = anyio.current_time()
        return anyio.current_time() - self._began < START_SECONDS

    def _to_look_at(self) -> int:
        """Return the newest world until all was counted once under the newest; from then on any look tells."""
        self._counted_once = self._counted_once or self.counted
        return 0 if self._counted_once else self._world.value.version

    def _seen_first(self) -> Mapping[PolicyName, PolicyStatus]:
        """Return what was shown of each policy when it was first read: what comes later is our own."""
        current = self._shown.value if self._shown is not None else {}
        for name in self._first_shown.keys() - current.keys():
            del self._first_shown[name]
        for name, one in current.items():
            self._first_shown.setdefault(name, one.status)
        return {name: status for name, status in self._first_shown.items() if status is not None}

    def compute(self) -> ServiceStatus:
        """Compute the status anew and publish it; for a moment after a change, the last one stands."""
        before = self.status.get(None)
        if before is not None and self._catching_up():
            return before
        status = service_status(self.facts(), before, now=self._clock())
        self._say_flips(before, status)
        self.status.set(status)
        return status

    def _catching_up(self) -> bool:
        """Say whether a cluster that is up has not looked at the newest world yet: its counts are of the old one."""
        version = self._world.value.version
        late = any(
            report.contact.phase is Phase.UP and report.listed and report.looked < version
            for report in self.reports.values()
        )
        return late and anyio.current_time() - self._world_at < CATCH_UP_SECONDS

    async def run(self) -> None:
        """Report for ever."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_world)
            await self._keep_computing()

    async def _follow_world(self) -> None:
        world = self._world.reader()
        while True:
            await world.next()
            self._world_at = anyio.current_time()
            self._begin_fanout()

    async def _keep_computing(self) -> None:
        cells = (self._told, self._world, self._held, self._expansions, self._hub, self._configuration)
        readers = [cell.reader() for cell in cells]
        while True:
            with anyio.move_on_after(IDLE_SECONDS):
                await wait_any(*readers)
            for reader in readers:
                if reader.fresh:
                    reader.take()
            self.compute()
            self.rest.set_if_changed(at_rest(self._world.value, self.facts().reports.values(), self._wishes()))
            await anyio.sleep(min(max(PAUSE_SECONDS, PAUSE_PER_CLUSTER * len(self.reports)), LONGEST_PAUSE))

    def _begin_fanout(self) -> None:
        """Time the way of a changed credential to its last reachable target."""
        world = self._world.value
        contents = {name: tuple(one.entries for one in resolved.sources) for name, resolved in world.policies.items()}
        before, self._contents = self._contents, contents
        if any(name in before and before[name] != content for name, content in contents.items()):
            self._fanout = (world.version, anyio.current_time())
        elif self._fanout is not None:
            self._fanout = (world.version, self._fanout[1])
        self._watch_fanout()

    def _watch_fanout(self) -> None:
        """See whether the newest world has reached every cluster that can be reached."""
        if self._fanout is None:
            return
        version, began = self._fanout
        up = [report for report in self.reports.values() if report.contact.phase is Phase.UP]
        if up and all(report.settled >= version or report.given_up for report in up):
            self._fanout = None
            self._signals.fanned_out(anyio.current_time() - began)

    def _say_flips(self, before: ServiceStatus | None, after: ServiceStatus) -> None:
        known = {} if before is None else {view.name: _ready(view.status.conditions) for view in before.policies}
        for view in after.policies:
            ready = _ready(view.status.conditions)
            if ready is not None and known.get(view.name) != ready:
                status, reason = ready
                log.info("Policy changed", policy=view.name, ready=status, reason=reason, message=view.status.reason)


def _counted(report: ClusterReport, version: int) -> bool:
    return report.contact.phase in (Phase.DEGRADED, Phase.QUARANTINED) or _looked(report, version)


def _looked(report: ClusterReport, version: int) -> bool:
    return report.listed and report.looked >= version


def _says_nothing_new(before: ClusterReport, after: ClusterReport) -> bool:
    """Say whether two reports differ in the time of the last contact at most: that is shown when all is next."""
    contact = structs.replace(before.contact, last_contact=after.contact.last_contact)
    return contact == after.contact and structs.replace(before, contact=contact) == after


def _ready(conditions: list[Condition]) -> tuple[str, str] | None:
    return next(((one.status, one.reason) for one in conditions if one.type == "Ready"), None)
