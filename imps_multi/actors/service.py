"""The whole service, put together from ports: which actors there are, what runs under whom, and how it ends.

Root children (hub watcher, composer, braker, reporter, fleet) end the process when they fail too often; clusters and
credentials are quarantined alone. Knows no HTTP, no YAML and no AWS: app brings the adapters.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
import structlog

from imps_multi.actors.braker import Braker
from imps_multi.actors.claims import Claims
from imps_multi.actors.composer import Memory, Rules, identity_keys, run_composer
from imps_multi.actors.fleet import run_fleet
from imps_multi.actors.hub_watcher import watch_hub
from imps_multi.actors.keepers import Keepers
from imps_multi.actors.publisher import Publisher
from imps_multi.actors.quarantine import Quarantine
from imps_multi.actors.reporter import Reporter
from imps_multi.actors.setting import Setting
from imps_multi.actors.token_keeper import Mint, line, load
from imps_multi.model.decommission import is_cleared
from imps_multi.model.fleet import Safety
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.names import ClusterName, HubId, PolicyName
from imps_multi.model.policy import Policy
from imps_multi.model.shown import Shown
from imps_multi.model.status import ConfigurationView
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import World
from imps_multi.ports import Clock, FleetMember, Hub, PolicyBoard, Provider, Section, Signals, StateStore
from imps_multi.runtime.backoff import Backoff, Rand
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.restarts import Exhausted, RestartPolicy
from imps_multi.runtime.shutdown import StopSignal, run_with_drain
from imps_multi.runtime.supervisor import Supervisor

ROOT = RestartPolicy(restarts=5, window=60.0, exhausted=Exhausted.ESCALATE, may_return=False)
ALONE = RestartPolicy(
    restarts=5, window=60.0, backoff=Backoff(initial=0.5, cap=30.0), exhausted=Exhausted.QUARANTINE, may_return=False
)
DRAIN_SECONDS = 5.0
FLUSH_SECONDS = 2.0
PROBE_POOL = 8
ONCE = RestartPolicy()

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The adapters, and what the configuration says now (each ``Latest`` is set again on a reload)."""

    hub_id: HubId
    previous_hubs: tuple[HubId, ...]
    hub: Hub
    store: StateStore
    provider: Callable[[str], Provider]
    documented_life: Callable[[str], float]
    members: Latest[tuple[FleetMember, ...]]
    rules: Latest[Rules]
    safety: Latest[Safety]
    configuration: Latest[ConfigurationView]
    signals: Signals
    clock: Clock
    rand: Rand
    observe: bool = False
    supposing: bool = False
    """Whether what a run would mint now is taken as there, to plan what it would write."""
    board: PolicyBoard | None = None
    """Where policies show how they stand: a hub in a cluster."""


class Service:
    """One running service. Build it, then ``run`` it once."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.hub: Latest[HubSnapshot] = Latest()
        self.world: Latest[World] = Latest(World())
        self.braker = Braker(
            store=ports.store,
            safety=ports.safety,
            world=self.world,
            clock=ports.clock,
            counted=lambda: self.reporter.counted,
            away=lambda: self.reporter.away,
        )
        self.shown: Latest[Mapping[PolicyName, Shown]] | None = None if ports.board is None else Latest({})
        self.reporter = Reporter(
            hub_id=ports.hub_id,
            hub=self.hub,
            world=self.world,
            held=self.braker.held,
            expansions=self.braker.expansions,
            configuration=ports.configuration,
            members=ports.members,
            wishes=lambda: self.braker.wishes,
            signals=ports.signals,
            clock=ports.clock,
            shown=self.shown,
        )
        self.publisher: Publisher | None = None
        if ports.board is not None and self.shown is not None and not ports.observe:
            self.publisher = Publisher(
                board=ports.board, status=self.reporter.status, shown=self.shown, rand=ports.rand
            )
        self.setting = Setting(
            hub=ports.hub_id,
            previous_hubs=ports.previous_hubs,
            world=self.world,
            verdict=self.braker.verdict,
            cache=WantedCache(ports.hub_id),
            claims=Claims(),
            probes=anyio.CapacityLimiter(PROBE_POOL),
            report=self.reporter.report,
            wish=self.braker.wish,
            signals=ports.signals,
            clock=ports.clock,
            rand=ports.rand,
            observe=ports.observe,
        )
        self.keepers: Keepers | None = None
        self.loaded = anyio.Event()
        """Set when the hub was read and a world was made of it, or when that will not happen any more."""
        self.ended = anyio.Event()

    @property
    def ready(self) -> bool:
        """Whether the hub was read and no end has begun."""
        return self.hub.get(HubSnapshot()).synced and not self.setting.closing.is_set

    async def run(self, stop: StopSignal) -> None:
        """Run until told to stop, then end in order within ten seconds.

        Raises:
            ExceptionGroup: a root actor failed too often.
        """
        try:
            await run_with_drain(
                self._work,
                stop=stop,
                stop_intake=lambda: self.setting.closing.set("the service ends"),
                drain=self.setting.in_flight.wait_none,
                drain_seconds=DRAIN_SECONDS,
                flush=self._flush,
                flush_seconds=FLUSH_SECONDS,
            )
        finally:
            self.ended.set()
            self.loaded.set()

    async def sync(self, policy: PolicyName) -> bool:
        """Mint the sources of a policy anew and look at all its targets; False where there is no such policy."""
        record = self.hub.get(HubSnapshot()).policies.get(policy)
        if record is None or record.in_force is None or self.keepers is None:
            return False
        self.keepers.force(identity_keys(record.in_force, self.hub.value, self.ports.rules.value.interpret))
        for station in self.setting.stations.values():
            station.look_at(station.book.tally.of_policies(frozenset((policy,))))
        return True

    async def _work(self) -> None:
        ports = self.ports
        mint = Mint(
            provider=ports.provider,
            documented_life=ports.documented_life,
            store=ports.store,
            signals=ports.signals,
            clock=ports.clock,
            rand=ports.rand,
            line=line(),
            enabled=not ports.observe,
            supposing=ports.observe and ports.supposing,
        )
        stored = load(dict(await ports.store.load(Section.TOKENS)))
        async with self._supervisor("credential", ALONE) as credentials:
            self.keepers = keepers = Keepers(mint, stored, credentials)
            memory = Memory(ports.store)
            credentials.start("start", self._tell_loaded, policy=ONCE)
            async with self._supervisor("root", ROOT) as root:
                store, rest, shown = ports.store, self.reporter.rest, self.shown
                root.start("hub", ports.hub.run)
                root.start("hub_watcher", lambda: watch_hub(ports.hub, store, self.hub, rest, shown, self._usable))
                root.start("composer", lambda: run_composer(self.hub, keepers, ports.rules, memory, rest, self.world))
                root.start("braker", self.braker.run)
                root.start("reporter", self.reporter.run)
                if self.publisher is not None:  # its failures must not end the service
                    root.start("publisher", self.publisher.run, policy=ALONE)
                root.start("places", self.setting.places.run)
                root.start("fleet", self._fleet)

    def _usable(self, policy: Policy) -> bool:
        return isinstance(self.ports.rules.value.qualify(policy), Policy)

    async def _tell_loaded(self) -> None:
        reader = self.world.reader()
        while not (await reader.next()).synced:
            pass
        self.loaded.set()

    def _fleet(self) -> Awaitable[None]:
        return run_fleet(self.ports.members, self.setting, policy=ALONE, forget=self._left)

    def _left(self, name: ClusterName) -> None:
        """A cluster left the configuration: what it has stays there, and what does not expire stays good."""
        report, world = self.reporter.reports.get(name), self.world.value
        if report is not None and is_cleared(report, world):
            log.info("Cluster left the configuration; nothing of ours is left there", target_cluster=name)
            self.reporter.forget(name)
            return
        policies = [world.policies[one] for one in (report.policies if report else ()) if one in world.policies]
        lasting = {str(one.ref) for policy in policies for one in policy.sources if one.entries and not one.expires_at}
        log.warning(
            "Cluster left the configuration; what it has stays there",
            target_cluster=name,
            credentials_left_behind=sorted(lasting),
        )
        self.reporter.forget(name)

    def _supervisor(self, kind: str, policy: RestartPolicy) -> Supervisor:
        def on_crash(name: str, incarnation: int, error: Exception) -> None:
            self.ports.signals.crashed(name, error, incarnation=incarnation)

        quarantine = Quarantine(kind, self.ports.signals)
        return Supervisor(policy=policy, rand=self.ports.rand, on_crash=on_crash, on_change=quarantine.see)

    async def _flush(self) -> None:
        self.reporter.compute()
        if self.publisher is not None:
            await self.publisher.flush()
