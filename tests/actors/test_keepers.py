"""The keepers: one for each identity in use, started, ended and restarted alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from msgspec import json

from imps_multi.actors.keepers import Keepers
from imps_multi.actors.service import ALONE
from imps_multi.model.credential import MintedToken
from imps_multi.ports import Section
from imps_multi.runtime.supervisor import Supervisor
from tests.actors.fakes import LIFE
from tests.actors.mint_bench import ONE, TWO, Bench, issued
from tests.actors.stage import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench() -> Bench:
    """A provider that works."""
    return Bench()


@asynccontextmanager
async def keepers(bench: Bench, stored: dict[str, MintedToken] | None = None) -> AsyncIterator[Keepers]:
    async with _supervisor(bench) as supervisor:
        yield Keepers(bench.mint, stored or {}, supervisor)
        for name in list(supervisor.children):
            await supervisor.stop(name)


def _supervisor(bench: Bench) -> Supervisor:
    def crashed(name: str, incarnation: int, error: Exception) -> None:
        bench.signals.crashed(name, error, incarnation=incarnation)

    return Supervisor(policy=ALONE, rand=lambda: 0.5, on_crash=crashed)


async def test_one_keeper_serves_any_number_of_equal_identities(bench: Bench) -> None:
    async with keepers(bench) as kept:
        await kept.keep([ONE, ONE, TWO])
        await until(lambda: all(one.token for one in kept.states().values()))
        await kept.keep([TWO, ONE])
        await anyio.sleep(60.0)
        assert sorted(key for _, key in bench.provider.mints) == ["one", "two"]


async def test_a_forced_mint_is_the_first_one_where_that_is_still_to_come(bench: Bench) -> None:
    bench.provider.latency = 2.0
    async with keepers(bench) as kept:
        await kept.keep([ONE])
        await until(lambda: bench.provider.minting)
        kept.force(["one"])
        await anyio.sleep(60.0)
        assert len(bench.provider.mints) == 1
        kept.force(["one"])
        await anyio.sleep(60.0)
        assert len(bench.provider.mints) == 2


async def test_an_identity_that_is_not_used_any_more_ends_its_keeper_and_its_stored_token(bench: Bench) -> None:
    async with keepers(bench) as kept:
        await kept.keep([ONE, TWO])
        await until(lambda: bench.store.keys(Section.TOKENS) == {"one", "two"})
        bench.provider.hanging = True
        kept.force(["one"])
        await until(lambda: bench.provider.minting)
        await kept.keep([TWO])
        assert kept.states().keys() == {"two"}
        assert bench.provider.minting == 0
        assert bench.store.keys(Section.TOKENS) == {"two"}
        await anyio.sleep(0.4 * LIFE)
        assert bench.provider.times("one")[-1] < 60.0


async def test_stored_tokens_that_nobody_uses_are_taken_away_when_told(bench: Bench) -> None:
    old = issued(bench, ago=0.0)
    bench.store.items = {(Section.TOKENS, key): json.encode(old) for key in ("one", "gone")}
    async with keepers(bench, {"one": old, "gone": old}) as kept:
        await kept.keep([ONE])
        assert bench.store.keys(Section.TOKENS) == {"one", "gone"}
        await kept.forget_stored()
        assert bench.store.keys(Section.TOKENS) == {"one"}
    assert bench.provider.mints == []


async def test_a_keeper_that_fails_unforeseen_starts_again_with_its_token_and_alone(bench: Bench) -> None:
    async with keepers(bench) as kept:
        await kept.keep([ONE, TWO])
        await until(lambda: all(one.token for one in kept.states().values()))
        bench.provider.error = RuntimeError("a bug")
        kept.force(["one"])
        await until(lambda: bench.signals.crashes)
        bench.provider.error = None
        await anyio.sleep(60.0)
        assert all(one.token for one in kept.states().values())
        assert {name for name, _ in bench.signals.crashes} == {"credential one"}
