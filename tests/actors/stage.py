"""A whole service on fakes, and how tests wait for it: always bounded, never on a real clock."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from imps_multi.actors.composer import Rules
from imps_multi.actors.service import Ports, Service
from imps_multi.model.fleet import Safety
from imps_multi.model.names import HubId, PolicyName
from imps_multi.model.status import ClusterView, ConfigurationView, PolicyStatus
from imps_multi.ports import FleetMember, Provider
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import LIFE, FakeBoard, FakeHub, FakeProvider, FakeStore, RecordingSignals, WallClock, interpret

STEP = 0.01
BOUND = 10.0
HOUR = 3600.0
HUB = HubId("mgmt")


def rules(**given: Any) -> Rules:
    """Return rules under which everything is allowed."""
    return Rules(**{"interpret": interpret, "allowed": lambda _: None, "qualify": lambda policy: policy, **given})


@dataclass
class Stage:
    """The world of one test. What a service needs from outside stays when the service is another one."""

    clusters: dict[str, FakeCluster] = field(default_factory=dict)
    hub: FakeHub = field(default_factory=FakeHub)
    store: FakeStore = field(default_factory=FakeStore)
    clock: WallClock = field(default_factory=WallClock)
    signals: RecordingSignals = field(default_factory=RecordingSignals)
    safety: Latest[Safety] = field(default_factory=lambda: Latest(Safety()))
    rules: Latest[Rules] = field(default_factory=lambda: Latest(rules()))
    members: Latest[tuple[FleetMember, ...]] = field(default_factory=lambda: Latest(()))
    observe: bool = False
    board: FakeBoard | None = None
    rand: Callable[[], float] = field(default_factory=lambda: random.Random(7).random)  # noqa: S311  # repeatable
    provider: FakeProvider = field(init=False)
    minting: Callable[[str], Provider] | None = None
    """What gives providers in the place of that one."""

    def __post_init__(self) -> None:
        self.provider = FakeProvider(self.clock)

    def cluster(self, name: str = "a", *namespaces: str, **given: Any) -> FakeCluster:
        """Add a cluster to the world, and to the configuration."""
        made = self.clusters[name] = FakeCluster(name, namespaces=namespaces, uid=given.pop("uid", ""))
        self.configure(*self.members.value, made.member(**given))
        return made

    def configure(self, *members: FleetMember) -> None:
        """Set the fleet."""
        self.members.set(members)

    def ports(self) -> Ports:
        """Return what a service is made of."""
        return Ports(
            hub_id=HUB,
            previous_hubs=(),
            hub=self.hub,
            store=self.store,
            provider=self.minting or (lambda _: self.provider),
            documented_life=lambda _: LIFE,
            members=self.members,
            rules=self.rules,
            safety=self.safety,
            configuration=Latest(ConfigurationView()),
            signals=self.signals,
            clock=self.clock,
            rand=self.rand,
            observe=self.observe,
            board=self.board,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """Run a service; it is stopped in order at the end, and must have ended in time."""
        service, stop = Service(self.ports()), StopSignal()
        async with anyio.create_task_group() as group:
            group.start_soon(service.run, stop)
            try:
                yield service
            finally:
                stop.set("the test is over")
            with anyio.fail_after(BOUND):
                await service.ended.wait()

    @property
    def writes(self) -> int:
        """The number of writes in all clusters."""
        return sum(len(cluster.writes) for cluster in self.clusters.values())


async def until(holds: Callable[[], object], *, within: float = BOUND) -> float:
    """Wait until something holds; return the seconds it took."""
    began = anyio.current_time()
    with anyio.fail_after(within):
        while not holds():  # noqa: ASYNC110  # on a clock that only goes on when everybody waits
            await anyio.sleep(max(STEP, (anyio.current_time() - began) / 200))
    return anyio.current_time() - began


async def settled(service: Service, *, within: float = BOUND) -> None:
    """Wait until every source was asked and every cluster that is up has what the newest world wants."""

    def holds() -> bool:
        reports = service.reporter.reports.values()
        version = service.world.value.version
        up = [one for one in reports if one.contact.phase.value == "Up"]
        asked = service.keepers is not None and all(one.tried for one in service.keepers.states().values())
        return (
            asked
            and service.braker.settled
            and service.world.value.synced
            and bool(up)
            and all(one.settled == version for one in up)
        )

    await until(holds, within=within)
    await anyio.sleep(0.5)
    await until(holds, within=within)


def status_of(service: Service, policy: str = "team") -> PolicyStatus:
    """Return a policy's status as of now."""
    return next(one.status for one in service.reporter.compute().policies if one.name == policy)


def ready(service: Service, policy: str = "team") -> tuple[str, str]:
    """Return status and reason of a policy's Ready condition."""
    found = next(one for one in status_of(service, policy).conditions if one.type == "Ready")
    return found.status, found.reason


def cluster_view(service: Service, name: str) -> ClusterView:
    """Return how a cluster stands."""
    return next(one for one in service.reporter.compute().clusters if one.name == name)


def held_ids(service: Service) -> list[str]:
    """Return the ids of what is held."""
    return [one.id for one in service.braker.held.value]


def spaces(count: int, prefix: str = "team-") -> tuple[str, ...]:
    """Return so many namespace names."""
    return tuple(f"{prefix}{number:04}" for number in range(count))


def names(policies: Iterable[str]) -> frozenset[PolicyName]:
    """Return policy names."""
    return frozenset(map(PolicyName, policies))
