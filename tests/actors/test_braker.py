"""The braker: one edit is judged as one, what it says is stored first, and what it was told outlives it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from msgspec import structs

from imps_multi.actors.braker import Braker
from imps_multi.model.brake import Wishes
from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, SecretName
from imps_multi.model.policy import Policy, TargetSecret
from imps_multi.model.target_plan import Wish
from imps_multi.model.world import Resolved, Standing, World
from imps_multi.ports import Section
from imps_multi.runtime.latest import Latest
from tests.actors.fakes import FakeStore, WallClock
from tests.actors.stage import HOUR, until

pytestmark = pytest.mark.anyio

TEAM = PolicyName("team")
A, B = ClusterName("a"), ClusterName("b")
WIDE = Safety(fleet=BrakeLimits(100.0, 1000))


def wishes(cluster: ClusterName, count: int, *, version: int = 1, total: int = 100, first: int = 0) -> Wishes:
    places = (NamespaceName(f"n{number}") for number in range(first, first + count))
    found = frozenset(Wish(TEAM, cluster, place, SecretName("pull")) for place in places)
    return Wishes(cluster=cluster, version=version, wishes=found, totals={TEAM: total})


@dataclass
class Bench:
    """A braker's world."""

    store: FakeStore = field(default_factory=FakeStore)
    clock: WallClock = field(default_factory=WallClock)
    safety: Latest[Safety] = field(default_factory=lambda: Latest(WIDE))
    world: Latest[World] = field(default_factory=lambda: Latest(World(version=1)))

    def braker(self) -> Braker:
        return Braker(store=self.store, safety=self.safety, world=self.world, clock=self.clock)

    @asynccontextmanager
    async def judging(self, *said: Wishes) -> AsyncIterator[Braker]:
        """Run a braker for a while."""
        braker = self.braker()
        for one in said:
            braker.wish(one.cluster, one)
        async with anyio.create_task_group() as group:
            group.start_soon(braker.run)
            yield braker
            group.cancel_scope.cancel()

    def asking(self, approve: str) -> World:
        policy = Policy(TEAM, 1, (), TargetSecret(SecretName("pull")), approve_request=approve)
        return structs.replace(self.world.value, policies={TEAM: Resolved(policy, Standing.VALID, ())})


def released(braker: Braker) -> int:
    return len(braker.verdict.value.released)


def held(braker: Braker) -> list[int]:
    return [len(one.members) for one in braker.held.value]


@pytest.fixture
def bench() -> Bench:
    """Limits of 25 % and ten in a cluster, none over the fleet."""
    return Bench()


@pytest.mark.parametrize(("count", "let_go"), [(0, 0), (25, 25), (26, 0)])
async def test_up_to_a_quarter_goes_at_once_and_one_more_is_held(bench: Bench, count: int, let_go: int) -> None:
    async with bench.judging(wishes(A, count)) as braker:
        assert await until(lambda: braker.settled) < 0.1
        assert released(braker) == let_go
        assert held(braker) == ([count] if count > let_go else [])


async def test_it_waits_until_every_synced_cluster_spoke_of_the_newest_world(bench: Bench) -> None:
    async with bench.judging(wishes(A, 5), wishes(B, 0)) as braker:
        await until(lambda: released(braker) == 5)
        bench.world.set(World(version=2))
        braker.wish(A, wishes(A, 8, version=2))
        await anyio.sleep(300.0)
        assert released(braker) == 5
        assert not braker.settled
        braker.wish(B, wishes(B, 3, version=2))
        assert await until(lambda: released(braker) == 11) < 0.1


async def test_a_cluster_that_is_away_is_not_waited_for_and_what_it_had_let_go_stays(bench: Bench) -> None:
    async with bench.judging(wishes(A, 5), wishes(B, 5)) as braker:
        await until(lambda: released(braker) == 10)
        braker.wish(B, None)
        bench.world.set(World(version=2))
        braker.wish(A, wishes(A, 7, version=2))
        await until(lambda: released(braker) == 12)
        braker.wish(B, wishes(B, 0, version=2))
        await until(lambda: released(braker) == 7)


async def test_the_fleets_limit_makes_one_set_of_all(bench: Bench) -> None:
    bench.safety.set(Safety(fleet=BrakeLimits(5.0, 8)))
    async with bench.judging(wishes(A, 6), wishes(B, 6)) as braker:
        await until(lambda: held(braker) == [12])
        assert released(braker) == 0
        assert braker.held.value[0].policy == ""


async def test_new_limits_are_taken_up_at_once(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker) == [30])
        bench.safety.set(structs.replace(WIDE, per_cluster=BrakeLimits(30.0, 1)))
        await until(lambda: released(braker) == 30)


async def test_what_was_let_go_in_the_last_hour_counts(bench: Bench) -> None:
    async with bench.judging(wishes(A, 20)) as braker:
        await until(lambda: released(braker) == 20)
        braker.wish(A, wishes(A, 10, first=20))
        await until(lambda: held(braker) == [10])
        await anyio.sleep(HOUR + 120)
        assert held(braker) == []
        assert released(braker) == 10


async def test_the_last_hour_is_remembered_over_a_restart(bench: Bench) -> None:
    async with bench.judging(wishes(A, 20)) as braker:
        await until(lambda: released(braker) == 20)
    async with bench.judging(wishes(A, 10, first=20)) as braker:
        await until(lambda: held(braker) == [10])


async def test_a_verdict_is_published_only_when_it_is_stored(bench: Bench) -> None:
    bench.store.slow = 3.0
    async with bench.judging(wishes(A, 5)) as braker:
        await anyio.sleep(2.9)
        assert released(braker) == 0
        assert bench.store.keys(Section.HELD) == set()
        await until(lambda: released(braker) == 5)
        assert bench.store.keys(Section.HELD) == {"ledger"}


async def test_what_cannot_be_stored_is_not_let_go_until_it_can(bench: Bench) -> None:
    bench.store.failing = True
    async with bench.judging(wishes(A, 5)) as braker:
        await anyio.sleep(60.0)
        assert released(braker) == 0
        bench.store.failing = False
        assert await until(lambda: released(braker) == 5) < 6.0


async def test_what_is_held_is_shown_where_people_look_until_it_is_not_any_more(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: "sets" in bench.store.keys(Section.HELD))
        (one,) = shown(bench)
        assert (one["policy"], one["clusters"], one["deletions"]) == ("team", ["a"], 30)
        assert one["id"] == braker.held.value[0].id
    bench.store.failing = True
    async with bench.judging(wishes(A, 0)):
        await anyio.sleep(60.0)
        bench.store.failing = False
        await until(lambda: not shown(bench), within=HOUR)


def shown(bench: Bench) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = json.loads(bench.store.items[Section.HELD, "sets"])["held"]
    return held


async def test_a_held_set_at_rest_is_not_stored_again_and_again(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker))
        saves = len(bench.store.saves)
        await anyio.sleep(0.9 * HOUR)
        assert len(bench.store.saves) - saves <= 12


async def test_an_approval_lets_the_members_go_at_once_and_is_stored(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker))
        held_id = braker.held.value[0].id
        assert not await braker.approve("other")
        assert await braker.approve(held_id)
        assert await until(lambda: released(braker) == 30) < 0.1
        assert held(braker) == []
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: braker.settled)
        assert (released(braker), held(braker)) == (30, [])


async def test_an_approval_given_while_the_cluster_is_away_waits_for_it(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker))
        held_id = braker.held.value[0].id
        braker.wish(A, None)
        await until(lambda: not held(braker))
        assert await braker.approve(held_id)
        braker.wish(A, wishes(A, 31))
        await until(lambda: braker.settled)
        assert (released(braker), held(braker)) == (30, [1])


async def test_an_id_can_be_approved_for_a_day_after_it_was_shown(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker))
        held_id = braker.held.value[0].id
        braker.wish(A, wishes(A, 0))
        await until(lambda: not held(braker))
        bench.clock.step(23 * HOUR)
        assert await braker.approve(held_id)
        bench.clock.step(3 * HOUR)
        assert not await braker.approve(held_id)


async def test_an_approval_by_annotation_is_taken_up_within_a_moment(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker))
        bench.world.set(bench.asking(braker.held.value[0].id))
        assert await until(lambda: released(braker) == 30) < 0.2


async def test_an_annotation_that_is_there_already_is_taken_up_as_soon_as_its_set_is_held(bench: Bench) -> None:
    async with bench.judging(wishes(A, 30)) as braker:
        await until(lambda: held(braker))
        held_id = braker.held.value[0].id
    bench.store.items.clear()
    bench.world.set(bench.asking(held_id))
    version = bench.world.value.version
    async with bench.judging(wishes(A, 30, version=version)) as braker:
        assert await until(lambda: released(braker) == 30) < 0.2


async def test_approvals_at_the_same_time_are_all_kept(bench: Bench) -> None:
    bench.store.slow = 0.5
    async with bench.judging(wishes(A, 30), wishes(B, 30)) as braker:
        await until(lambda: held(braker) == [60])
        [one] = braker.held.value
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(braker.approve, one.id)
        await until(lambda: released(braker) == 60)
    async with bench.judging(wishes(A, 30), wishes(B, 30)) as braker:
        await until(lambda: released(braker) == 60)


@pytest.mark.parametrize("moment", ["waiting", "storing"])
async def test_cancelled_at_any_moment_nothing_is_half_stored(bench: Bench, moment: str) -> None:
    bench.store.slow = 60.0 if moment == "storing" else 0.0
    async with bench.judging(wishes(A, 5)) as braker:
        await until(lambda: bench.store.saving if moment == "storing" else released(braker))
    assert bench.store.saving == 0
    assert bool(bench.store.items) == (moment == "waiting")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"version":99}'])
async def test_a_ledger_that_cannot_be_read_starts_empty(bench: Bench, content: bytes) -> None:
    bench.store.items[Section.HELD, "ledger"] = content
    async with bench.judging(wishes(A, 5)) as braker:
        await until(lambda: released(braker) == 5)
