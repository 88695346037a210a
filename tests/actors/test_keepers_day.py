"""Many keepers at once, as actors in virtual time: started spread out, and honest through a bad afternoon."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from imps_multi.actors import composer
from imps_multi.actors.keepers import Keepers
from imps_multi.actors.service import ALONE
from imps_multi.model.compose import Inputs, compose
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.model.world import World
from imps_multi.ports import Transient
from imps_multi.runtime.supervisor import Supervisor
from tests.actors.fakes import EPOCH as FAKE_EPOCH
from tests.actors.fakes import LIFE, minted, policy
from tests.actors.mint_bench import Bench, issued
from tests.actors.stage import HOUR, Stage, settled, until
from tests.model.registry_day import EPOCH, LATENCY, Call, Day, Issued, Record, Registry

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench() -> Bench:
    """A provider that works."""
    return Bench()


def identities(count: int) -> list[MintIdentity]:
    return [MintIdentity("fake", f"id-{number:04}", {}) for number in range(count)]


@asynccontextmanager
async def kept(bench: Bench, wanted: Iterable[MintIdentity], stored: dict[str, MintedToken]) -> AsyncIterator[Keepers]:
    """Keep so many."""
    rand = random.Random(7).random  # noqa: S311  # repeatable
    async with Supervisor(policy=ALONE, rand=rand) as supervisor:
        keepers = Keepers(replace(bench.mint, rand=rand), stored, supervisor)
        await keepers.keep(wanted)
        yield keepers
        await keepers.keep([])


def seconds(bench: Bench, since: float = 0.0) -> Counter[int]:
    """Return how many mints began in which second."""
    return Counter(int(at) for at in bench.provider.times() if at >= since)


async def test_a_thousand_keepers_with_nothing_stored_start_one_after_the_other_and_soon(bench: Bench) -> None:
    async with kept(bench, identities(1000), {}):
        took = await until(lambda: len(bench.provider.mints) == 1000, within=60.0)
    assert 15 < took < 22
    assert max(seconds(bench).values()) <= 151
    assert seconds(bench)[0] >= 100  # a usual fleet does not wait at all


async def test_those_that_hang_hold_up_nobody_in_the_line(bench: Bench) -> None:
    bench.provider.hanging = True
    async with kept(bench, identities(500), {}):
        assert await until(lambda: bench.provider.minting == 500, within=20.0) < 10.0


@pytest.mark.parametrize(("ago", "mints"), [(0.4, 0), (0.6, 500), (2.0, 500)])
async def test_a_restart_mints_what_is_past_half_of_its_life_and_spreads_it(
    bench: Bench, ago: float, mints: int
) -> None:
    wanted = identities(500)
    async with kept(bench, wanted, {one.key: issued(bench, ago=ago * LIFE) for one in wanted}) as keepers:
        await anyio.sleep(60.0)
        assert all(one.token and not one.failure for one in keepers.states().values())
    assert len(bench.provider.mints) == mints
    assert max(seconds(bench).values(), default=0) <= 151


async def test_all_that_are_forced_at_once_are_spread_and_minted_once(bench: Bench) -> None:
    async with kept(bench, identities(300), {}) as keepers:
        await anyio.sleep(HOUR)
        keepers.force(keepers.states())
        keepers.force(keepers.states())
        await anyio.sleep(60.0)
    assert set(Counter(key for _, key in bench.provider.mints).values()) == {2}
    assert max(seconds(bench, HOUR).values()) <= 151


async def test_after_a_suspend_keepers_that_began_together_are_not_all_there_at_once(bench: Bench) -> None:
    async with kept(bench, identities(100), {}):
        await anyio.sleep(600.0)
        bench.clock.step(LIFE)
        await anyio.sleep(61.0)
    later = seconds(bench, 600.0)
    assert sum(later.values()) == 100
    assert max(later.values()) < 10


async def test_a_large_world_is_not_made_anew_for_each_of_many_tokens(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    worlds = 0

    def slowly(inputs: Inputs, previous: World) -> World:
        nonlocal worlds
        worlds += 1
        anyio_backend[1]["clock"].jump(0.02)
        return compose(inputs, previous)

    monkeypatch.setattr(composer, "compose", slowly)
    cluster = stage.cluster("a", "team-0000")
    stage.hub.put(*(minted(f"s{one}", identity=f"i{one}", registries=(f"r{one}.example",)) for one in range(300)))
    stage.hub.put(policy(sources=[f"s{one}" for one in range(300)]))
    async with stage.running() as service:
        await settled(service, within=60.0)
        assert len(cluster.config("team-0000", "pull")) == 300
        assert worlds < 60


@dataclass
class Afternoon:
    """Registries behind one provider, and what happens to the clocks. True time is what the registries live by."""

    bench: Bench
    day: Day
    registries: dict[str, Registry]
    calls: dict[str, list[Call]] = field(default_factory=dict)
    slept: float = 0.0
    """For how long the steady clock stood still."""

    @property
    def true(self) -> float:
        return anyio.current_time() + self.slept

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Answer as that identity's registry does."""
        true, clock = self.true, self.bench.clock
        given = self.registries[identity.key].ask(true, clock() - FAKE_EPOCH + EPOCH)
        calls = self.calls.setdefault(identity.key, [])
        last: Issued | None = next((one.given for one in reversed(calls) if one.given), None)
        calls.append(Call(true, last, given and given[0], False, 0.0))
        await anyio.sleep(LATENCY)
        if given is None:
            raise Transient("503")
        token = given[1]
        ends = None if token.expires_at is None else token.expires_at - EPOCH + FAKE_EPOCH
        return MintedToken(token.username, token.password, clock(), ends)

    async def pass_by(self, until_true: float) -> None:
        """Let time go on until then, with all that happens meanwhile."""
        happening = sorted(
            [(at, by, True) for at, by in self.day.steps] + [(at, end - at, False) for at, end, _ in self.day.suspends]
        )
        for at, by, step in happening:
            await anyio.sleep(at - self.true)
            self.bench.clock.step(by)
            self.slept += 0.0 if step else by
        await anyio.sleep(until_true - self.true)


async def test_an_afternoon_with_failures_steps_and_a_suspend_leaves_no_token_late(bench: Bench) -> None:
    rand = random.Random(3)  # noqa: S311  # repeatable
    day = Day(
        steps=((1000.0, 2 * HOUR), (1700.0, -2 * HOUR), (3000.0, -HOUR), (4000.0, HOUR)),
        suspends=((7000.0, 12_000.0, True),),
    )
    lives = [15.0, 60.0, 60.0, *[900.0] * 8, *[HOUR] * 9]
    registries = {
        one.key: Registry(rand, life, flaky=rand.choice((0.0, 0.3)), outages=((2100.0, 2800.0),) if life > 60 else ())
        for one, life in zip(identities(len(lives)), lives, strict=True)
    }
    afternoon = Afternoon(bench, day, registries)
    bench.instead = afternoon
    async with kept(bench, identities(len(lives)), {}):
        await afternoon.pass_by(15_000.0)
    records = [Record(one, day, afternoon.calls[key]) for key, one in registries.items()]
    assert [(one.registry.life, late) for one in records if (late := one.late(15_000.0))] == []
    assert [(one.registry.life, wrong) for one in records if (wrong := one.rested())] == []
    assert [(one.registry.life, much) for one in records if (much := one.too_many(15_000.0))] == []
