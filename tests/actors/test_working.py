"""The workers of one cluster, without time: what each answer to a write leads to."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
import trio.testing
from msgspec import structs

from imps_multi.actors.claims import Claims
from imps_multi.actors.crew import EXPRESS_SHARE, Crew
from imps_multi.actors.setting import Setting, Verdict
from imps_multi.actors.station import LEAST_AT_ONCE, Station, station
from imps_multi.actors.working import keep_working, work_on
from imps_multi.model.book import Due
from imps_multi.model.brake import Wishes
from imps_multi.model.compose import Inputs, compose
from imps_multi.model.hub import HubReading
from imps_multi.model.hub_fold import HubState, fold, snapshot
from imps_multi.model.names import ClusterName, HubId, NamespaceName, SecretName
from imps_multi.model.report import ClusterReport
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import World
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    PortError,
    Throttled,
    Transient,
    Unauthorized,
    WatchNamespaces,
    WatchSecrets,
)
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.window import LASTING
from tests.actors.fake_cluster import FakeClient, FakeCluster
from tests.actors.fakes import RecordingSignals, WallClock, interpret, policy, static

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend",
        ["asyncio", ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})],
        ids=["asyncio", "trio"],
        indirect=False,
    ),
]
SPACE = NamespaceName("team-x")


@dataclass
class Bench:
    """One cluster of one namespace, listed, with what is wanted."""

    cluster: FakeCluster = field(default_factory=lambda: FakeCluster("a", namespaces=(SPACE,)))
    signals: RecordingSignals = field(default_factory=RecordingSignals)
    lost: list[PortError] = field(default_factory=list)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Station]:
        """Set up a station that knows the cluster as it is."""
        world = compose(
            Inputs(hub=snapshot(fold(HubState(), HubReading((policy(), static())), 0.0)), interpret=interpret), World()
        )
        setting = Setting(
            hub=HubId("mgmt"),
            previous_hubs=(),
            world=Latest(world),
            verdict=Latest(Verdict()),
            cache=WantedCache(HubId("mgmt")),
            claims=Claims(),
            probes=anyio.CapacityLimiter(8),
            report=_ignore,
            wish=_ignore_wish,
            signals=self.signals,
            clock=WallClock(),
            rand=lambda: 0.5,
        )
        here = station(self.cluster.member(), setting, FakeClient(self.cluster))
        here.enqueue(here.book.see(self.cluster.picture(WatchNamespaces()), now=0.0))
        here.enqueue(here.book.see(self.cluster.picture(WatchSecrets(SecretName("pull"))), now=0.0))
        yield here
        await here.client.aclose()

    async def turn(self, here: Station) -> None:
        """Let one worker take one key."""
        with anyio.fail_after(5.0):
            namespace = await here.queue.get()
            try:
                await work_on(here, namespace, self.lost.append)
            finally:
                here.queue.done(namespace)


def _ignore(_: ClusterReport) -> None:
    """Nobody listens."""


def _ignore_wish(_name: ClusterName, _wishes: Wishes | None) -> None:
    """Nobody listens."""


@pytest.fixture
def bench() -> Bench:
    """Nothing has gone wrong yet."""
    return Bench()


async def test_a_write_that_works_leaves_nothing_to_do(bench: Bench) -> None:
    async with bench.working() as here:
        assert here.book.writing == {SPACE}
        await bench.turn(here)
        assert here.book.writing == set()
        assert len(here.queue) == 0
    assert [(one.operation, one.result, one.policy) for one in bench.signals.writes] == [("create", "ok", "team")]
    assert bench.signals.writes[0].uid == bench.cluster.secrets[SPACE, "pull"]["metadata"]["uid"]


async def test_the_watch_event_of_our_own_write_changes_nothing(bench: Bench) -> None:
    async with bench.working() as here:
        await bench.turn(here)
        assert here.book.see(bench.cluster.picture(WatchSecrets(SecretName("pull"))), now=1.0) == []


FAILURES: list[tuple[PortError, str, bool]] = [
    (Forbidden("quota"), "Forbidden", False),
    (Invalid("too long"), "Invalid", False),
    (NotFound("namespace"), "NotFound", False),
    (Transient("503", answered=True), "Transient", True),
    (Throttled("slow", retry_after=1.0), "Throttled", False),
]


@pytest.mark.parametrize(("failure", "reason", "doubted"), FAILURES)
async def test_a_failed_write_is_told_and_comes_again_after_a_pause(
    bench: Bench,
    failure: PortError,
    reason: str,
    doubted: bool,  # noqa: FBT001  # a column of the table
) -> None:
    bench.cluster.write_error = lambda *_: failure
    async with bench.working() as here:
        await bench.turn(here)
        [line] = here.book.tally.lines((SPACE, SecretName("pull")))
        assert (line.state.value, line.reason) == ("failed", reason)
        assert here.queue.counts().delayed == 1
        assert here.queue.failures(SPACE) == 1
        assert here.doubted == doubted
        assert bench.lost == []
    assert [one.result for one in bench.signals.writes] == [reason]


@pytest.mark.parametrize("failure", [AlreadyExists("there"), Conflict("moved on")])
async def test_a_conflict_waits_for_the_watch_and_is_no_failure(bench: Bench, failure: PortError) -> None:
    bench.cluster.write_error = lambda *_: failure
    async with bench.working() as here:
        await bench.turn(here)
        [line] = here.book.tally.lines((SPACE, SecretName("pull")))
        assert line.state.value == "pending"
        assert here.queue.counts().delayed == 1


async def test_a_refused_login_loses_the_contact(bench: Bench) -> None:
    bench.cluster.write_error = lambda *_: Unauthorized("who?")
    async with bench.working() as here:
        await bench.turn(here)
    assert [str(one) for one in bench.lost] == ["who?"]


async def test_a_terminating_namespace_is_dropped(bench: Bench) -> None:
    bench.cluster.write_error = lambda *_: NamespaceTerminating("going")
    async with bench.working() as here:
        await bench.turn(here)
        assert here.book.tally.lines((SPACE, SecretName("pull"))) == ()
        assert len(here.queue) == 0


async def test_no_write_begins_after_the_end_did(bench: Bench) -> None:
    async with bench.working() as here:
        here.setting.closing.set("the end")
        async with anyio.create_task_group() as group:
            group.start_soon(keep_working, here, bench.lost.append)
            await anyio.wait_all_tasks_blocked()
            assert here.setting.in_flight.count == 0
            group.cancel_scope.cancel()
    assert bench.cluster.writes == []


async def test_cancelled_inside_a_write_the_key_is_free_and_nothing_counts_as_under_way(bench: Bench) -> None:
    bench.cluster.freeze()
    async with bench.working() as here:
        async with anyio.create_task_group() as group:
            group.start_soon(keep_working, here, bench.lost.append)
            await anyio.wait_all_tasks_blocked()
            assert (here.sending, here.setting.in_flight.count) == (1, 1)
            group.cancel_scope.cancel()
        assert (here.sending, here.setting.in_flight.count) == (0, 0)
        assert here.queue.counts().in_flight == 0
        assert bench.signals.writes == []
        assert here.book.writing == {SPACE}


async def test_a_worker_that_observes_plans_and_sends_nothing(bench: Bench) -> None:
    async with bench.working() as here:
        here.member = structs.replace(here.member, settings=structs.replace(here.member.settings, observe=True))
        await bench.turn(here)
        assert here.book.writing == {SPACE}
    assert bench.cluster.requests == []


async def test_a_plan_is_made_again_when_the_worker_gets_its_key(bench: Bench) -> None:
    async with bench.working() as here:
        bench.cluster.put(SPACE, "pull", data={})
        here.book.see(bench.cluster.picture(WatchSecrets(SecretName("pull"))), now=1.0)
        await bench.turn(here)
    assert bench.cluster.writes == []


@pytest.mark.parametrize("whose", ["fleet", "cluster"])
async def test_only_routine_work_waits_for_a_place(bench: Bench, whose: str) -> None:
    async with bench.working() as here, AsyncExitStack() as others:
        places = here.setting.places if whose == "fleet" else here.slots
        while places.free:
            await others.enter_async_context(places.place())
        async with anyio.create_task_group() as group:
            group.start_soon(keep_working, here, bench.lost.append)
            await anyio.wait_all_tasks_blocked()
            assert [one.operation for one in bench.signals.writes] == ["create"]
            del bench.cluster.secrets[SPACE, "pull"]
            here.book.observed.forget(SecretName("pull"))
            here.book.see(bench.cluster.picture(WatchSecrets(SecretName("pull"))), now=1.0)
            here.queue.add(SPACE)
            await anyio.wait_all_tasks_blocked()
            assert len(bench.signals.writes) == 1
            await others.aclose()
            await anyio.wait_all_tasks_blocked()
            assert len(bench.signals.writes) == 2
            group.cancel_scope.cancel()


async def test_in_a_rush_a_cluster_that_lets_writes_queue_is_given_fewer_routine_ones_at_once(bench: Bench) -> None:
    async with bench.working() as here:
        most = here.member.settings.max_in_flight
        await bench.turn(here)
        await anyio.sleep(LASTING)
        for _ in range(100):
            here.answered(anyio.current_time() - 0.2)
        assert here.slots.free == most
        here.enqueue([Due(SPACE)])
        here.answered(anyio.current_time() - 0.2)
        assert here.slots.free == most
        here.enqueue([Due(SPACE, urgent=True)])
        here.answered(anyio.current_time() - 0.2)
        assert here.slots.free == LEAST_AT_ONCE
        await anyio.sleep(LASTING)
        here.answered(anyio.current_time() - 0.2)
        assert here.slots.free == most


async def test_there_are_as_many_workers_as_there_is_work_for_and_few_at_rest(bench: Bench) -> None:
    bench.cluster = FakeCluster("a", namespaces=tuple(f"team-{number:02}" for number in range(40)))
    bench.cluster.latency = 1.0
    async with bench.working() as here, anyio.create_task_group() as group:
        crew = Crew(here, bench.lost.append, group)
        here.hire = crew.hire
        most = here.member.settings.max_in_flight
        with anyio.fail_after(30):
            crew.begin()
            await anyio.wait_all_tasks_blocked()
            assert bench.cluster.in_flight == most
            assert crew.hands == most - max(1, most // EXPRESS_SHARE)
            await here.queue.wait_idle()
            await anyio.wait_all_tasks_blocked()
            assert crew.hands == 1
            here.queue.add(SPACE, at=anyio.current_time() + 5.0)  # for the one who waits
            await anyio.sleep(6.0)
            assert len(here.queue) == 0
            here.queue.add(SPACE)
            await here.queue.wait_idle()
            assert crew.hands == 1
        group.cancel_scope.cancel()
    assert len(bench.signals.writes) == 40


async def test_nobody_is_hired_for_work_once_contact_is_lost(bench: Bench) -> None:
    async with bench.working() as here:
        async with anyio.create_task_group() as group:
            crew = Crew(here, bench.lost.append, group)
            here.hire = crew.hire
            group.cancel_scope.cancel()
            crew.begin()
        assert crew.hands == 0
        assert here.queue.counts().in_flight == 0
    assert bench.cluster.requests == []
