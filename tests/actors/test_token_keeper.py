"""A token keeper: refreshed in time, never lost, never asked for too often, whatever the clock and the provider do."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import anyio
import pytest
from msgspec import json, structs

from imps_multi.actors.token_keeper import load, renew
from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken
from imps_multi.model.upkeep import Upkeep
from imps_multi.ports import Invalid, Section, Throttled, Transient, Unauthorized
from tests.actors.fakes import LIFE
from tests.actors.mint_bench import ONE, Bench, issued
from tests.actors.stage import HOUR, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench() -> Bench:
    """A provider that works."""
    return Bench()


@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
async def test_a_token_is_refreshed_at_half_of_its_life_give_or_take_a_tenth(bench: Bench, draw: float) -> None:
    bench.draw = draw
    async with bench.keeping():
        await anyio.sleep(20 * LIFE)
    gaps = [later - earlier for earlier, later in pairwise(bench.provider.times())]
    half = LIFE / 2 * (0.9 + 0.2 * draw)
    assert gaps == pytest.approx([half] * len(gaps), abs=0.1)
    assert len(gaps) > 30


@pytest.mark.parametrize(("life", "least"), [(20.0, 5.0), (60.0, 15.0), (240.0, 60.0), (12.0, 5.0)])
async def test_a_short_life_is_not_refreshed_more_often_than_its_floor(bench: Bench, life: float, least: float) -> None:
    bench.provider.life, bench.draw = life, 0.0
    async with bench.keeping():
        await anyio.sleep(600.0)
    gaps = [later - earlier for earlier, later in pairwise(bench.provider.times())]
    assert min(gaps) >= least
    assert max(gaps) <= life / 2 * 1.1


@pytest.mark.parametrize("error", [Transient("503"), Throttled("slow"), Unauthorized("no"), Invalid("nonsense")])
async def test_failures_are_retried_from_a_second_doubling_to_five_minutes(bench: Bench, error: Exception) -> None:
    bench.provider.error = error
    async with bench.keeping():
        await anyio.sleep(2 * HOUR)
        assert bench.state.value.failure == str(error)
        assert bench.state.value.tried
        gaps = [later - earlier for earlier, later in pairwise(bench.provider.times())]
        assert 0.8 <= gaps[0] <= 1.0
        assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps[:8]))
        assert 240 <= gaps[-1] <= 300
        bench.provider.error = None
        await until(lambda: bench.token, within=301.0)
        assert bench.state.value.failure == ""
    assert set(bench.signals.refreshes[:-1]) == {("fake", False)}
    assert bench.signals.refreshes[-1] == ("fake", True)


async def test_a_registry_that_asks_for_patience_is_left_alone_for_so_long(bench: Bench) -> None:
    bench.provider.error = Throttled("slow", retry_after=60.0)
    async with bench.keeping():
        await anyio.sleep(HOUR)
    gaps = [later - earlier for earlier, later in pairwise(bench.provider.times())]
    assert min(gaps) == pytest.approx(60.0, abs=0.1)


async def test_a_failing_refresh_keeps_the_token_and_gets_more_urgent_towards_its_end(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.token)
        bench.provider.error = Transient("503")
        await anyio.sleep(LIFE - 60)
        assert bench.password == "token-1"
        times = bench.provider.times()
        assert times[-1] - times[-2] <= 30.0
        await anyio.sleep(2 * HOUR)
        assert bench.password == "token-1"
        assert max(later - earlier for earlier, later in pairwise(bench.provider.times()[-8:])) <= 300.0


async def test_a_hanging_provider_is_given_up_after_a_minute_and_asked_again(bench: Bench) -> None:
    bench.provider.hanging = True
    async with bench.keeping():
        assert await until(lambda: bench.state.get(None), within=70.0) == pytest.approx(60.0, abs=0.5)
        assert "60 s" in bench.state.value.failure
        bench.provider.hanging = False
        assert await until(lambda: bench.token) < 2.0
    assert bench.provider.minting == 0


async def test_a_stored_token_with_more_than_half_its_life_is_used_as_it_is(bench: Bench) -> None:
    async with bench.keeping(issued(bench, ago=0.45 * LIFE)):
        await until(lambda: bench.state.get(KeeperState()).tried)
        assert bench.password == "old"
        await anyio.sleep(0.04 * LIFE)
        assert bench.provider.mints == []
        await until(lambda: bench.password == "token-1", within=0.1 * LIFE)


async def test_a_stored_token_past_half_its_life_serves_until_the_new_one_is_there(bench: Bench) -> None:
    bench.provider.latency = 2.0
    async with bench.keeping(issued(bench, ago=0.55 * LIFE)):
        await until(lambda: bench.password == "old")
        assert await until(lambda: bench.password == "token-1") < 3.0


async def test_a_stored_token_that_is_over_is_waited_out_and_kept_if_no_other_comes(bench: Bench) -> None:
    bench.provider.latency, bench.provider.error = 2.0, Transient("503")
    async with bench.keeping(issued(bench, ago=2 * LIFE)):
        await anyio.sleep(1.0)
        assert bench.state.get(None) is None
        await until(lambda: bench.state.get(None))
        assert (bench.password, bench.state.value.failure) == ("old", "503")


async def test_what_is_stored_is_minted_anew_where_it_cannot_be_read(bench: Bench) -> None:
    good = json.encode(issued(bench, ago=0.0))
    assert load({"one": good, "two": b"{", "three": b"\xff", "four": b"[]"}).keys() == {"one"}


async def test_a_token_is_stored_before_it_is_published(bench: Bench) -> None:
    bench.store.slow = 3.0
    async with bench.keeping():
        await until(lambda: bench.provider.mints)
        await anyio.sleep(2.9)
        assert bench.state.get(None) is None
        await until(lambda: bench.token)
        assert load(dict(await bench.store.load(Section.TOKENS))) == {"one": bench.token}


async def test_a_token_that_cannot_be_stored_is_used_all_the_same(bench: Bench) -> None:
    bench.store.failing = True
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")


async def test_what_could_not_be_stored_is_stored_as_soon_as_that_works_again(bench: Bench) -> None:
    bench.store.failing = True
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        await anyio.sleep(HOUR)
        bench.store.failing = False
        await until(lambda: bench.store.keys(Section.TOKENS), within=61.0)
        await anyio.sleep(HOUR)
        assert load(dict(await bench.store.load(Section.TOKENS))) == {"one": bench.token}
    assert (len(bench.provider.mints), len(bench.store.saves)) == (1, 1)


async def test_a_registry_that_hands_out_the_same_token_is_asked_less_and_less_and_nothing_is_stored(
    bench: Bench,
) -> None:
    end = bench.clock() + LIFE
    bench.provider.answer = lambda token: structs.replace(token, password="same", expires_at=end)
    async with bench.keeping():
        await until(lambda: bench.token)
        began = bench.clock()
        await anyio.sleep(LIFE - 20.0)
        assert bench.token is not None
        assert bench.token.issued_at == pytest.approx(began, abs=1)
        assert len(bench.provider.mints) < 20
        assert len(bench.store.saves) == 1


async def test_all_who_ask_while_a_mint_is_under_way_are_served_by_one_more(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        bench.provider.latency = 5.0
        bench.force()
        await until(lambda: bench.provider.minting)
        for _ in range(3):
            bench.force()
            await anyio.sleep(1.0)
        await until(lambda: bench.password == "token-3", within=20.0)
        await anyio.sleep(HOUR)
        assert len(bench.provider.mints) == 3


async def test_a_stored_token_past_half_its_life_is_not_called_tried_before_its_registry_was_asked(
    bench: Bench,
) -> None:
    bench.provider.latency = 2.0
    async with bench.keeping(issued(bench, ago=0.55 * LIFE)):
        await anyio.sleep(1.0)
        assert (bench.password, bench.state.value.tried) == ("old", False)
        await anyio.sleep(2.0)
        assert (bench.password, bench.state.value.tried) == ("token-1", True)


async def test_a_forced_refresh_is_one_mint(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        await anyio.sleep(HOUR)
        bench.force()
        await until(lambda: bench.password == "token-2")
        await anyio.sleep(HOUR)
        assert len(bench.provider.mints) == 2


async def test_a_forced_refresh_that_fails_is_tried_until_it_works(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        bench.provider.error = Transient("503")
        bench.force()
        await anyio.sleep(30.0)
        assert 4 <= len(bench.provider.mints) <= 8
        bench.provider.error = None
        await until(lambda: bench.state.value.failure == "", within=40.0)
        assert bench.password.startswith("token-")
        assert bench.password != "token-1"


async def test_observe_mints_nothing_and_rests_even_when_forced(bench: Bench) -> None:
    bench.enabled = False
    async with bench.keeping(issued(bench, ago=0.9 * LIFE)):
        await until(lambda: bench.state.get(KeeperState()).tried)
        bench.force()
        await anyio.sleep(LIFE)
        assert bench.password == "old"
    assert bench.provider.mints == []


async def test_observe_without_a_stored_token_says_so(bench: Bench) -> None:
    bench.enabled = False
    async with bench.keeping():
        await until(lambda: bench.state.get(KeeperState()).tried)
        assert bench.state.value.failure
        bench.force()
        await anyio.sleep(HOUR)
    assert bench.provider.mints == []


async def test_a_plan_goes_on_as_if_it_had_minted_and_stores_nothing(bench: Bench) -> None:
    bench.enabled, bench.supposing = False, True
    async with bench.keeping():
        await until(lambda: bench.token)
        assert bench.state.value.supposed
        assert bench.state.value.failure == ""
        await anyio.sleep(LIFE)
    assert (bench.provider.mints, bench.store.saves) == ([], [])


async def test_a_plan_supposes_nothing_where_the_stored_token_is_young(bench: Bench) -> None:
    bench.enabled, bench.supposing = False, True
    async with bench.keeping(issued(bench, ago=0.1 * LIFE)):
        await until(lambda: bench.state.get(KeeperState()).tried)
        await anyio.sleep(60.0)
        assert (bench.password, bench.state.value.supposed) == ("old", False)


async def test_a_suspend_is_noticed_within_a_minute(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        await anyio.sleep(10.0)
        bench.clock.step(LIFE)
        assert await until(lambda: bench.password == "token-2", within=61.0) <= 60.0


async def test_a_clock_set_back_behind_the_issue_is_answered_by_one_mint(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        await anyio.sleep(600.0)
        bench.clock.step(-2 * HOUR)
        await until(lambda: bench.password == "token-2", within=61.0)
        await anyio.sleep(HOUR)
        assert len(bench.provider.mints) == 2


@pytest.mark.parametrize("by", [-HOUR, HOUR])
async def test_a_token_that_was_under_way_while_the_clock_was_set_is_asked_for_anew(bench: Bench, by: float) -> None:
    bench.provider.latency = 2.0
    async with bench.keeping():
        await anyio.sleep(1.0)
        bench.clock.step(by)
        await anyio.sleep(2.0)
        assert (bench.token, bench.state.value.failure) == (None, "the clock was set while the token was asked for")
        await until(lambda: bench.password == "token-2")


async def test_a_clock_set_back_a_little_changes_nothing(bench: Bench) -> None:
    async with bench.keeping():
        await until(lambda: bench.password == "token-1")
        bench.clock.step(-30.0)
        await anyio.sleep(HOUR)
        assert len(bench.provider.mints) == 1


BAD: list[Callable[[MintedToken], MintedToken]] = [
    lambda token: structs.replace(token, expires_at=token.issued_at - 1),
    lambda token: structs.replace(token, expires_at=token.issued_at + 9),
    lambda token: structs.replace(token, password=""),
    lambda token: structs.replace(token, username="a:b"),
    lambda token: structs.replace(token, password="x" * 70_000),
]


@pytest.mark.parametrize("answer", BAD)
async def test_a_nonsensical_answer_is_a_failed_mint(
    bench: Bench, answer: Callable[[MintedToken], MintedToken]
) -> None:
    bench.provider.answer = answer
    async with bench.keeping():
        await until(lambda: bench.state.get(None))
        assert bench.state.value.token is None
        assert bench.state.value.failure
        await anyio.sleep(60.0)
        assert len(bench.provider.mints) < 12


async def test_without_an_expiry_the_documented_life_counts_and_a_long_one_is_capped(bench: Bench) -> None:
    bench.provider.life = None
    async with bench.keeping():
        await until(lambda: bench.token)
        assert bench.token is not None
        assert bench.token.expires_at == pytest.approx(bench.clock() + LIFE, abs=1)
        bench.provider.life = 100 * LIFE
        bench.force()
        await until(lambda: bench.password == "token-2")
        assert bench.token.expires_at == pytest.approx(bench.clock() + 2 * LIFE, abs=1)


@pytest.mark.parametrize("moment", ["waiting", "minting", "storing"])
async def test_cancelled_at_any_moment_nothing_is_open_or_half_stored(bench: Bench, moment: str) -> None:
    bench.provider.hanging = moment == "minting"
    bench.store.slow = 3.0 if moment == "storing" else 0.0
    async with bench.keeping():
        match moment:
            case "waiting":
                await until(lambda: bench.token)
            case "minting":
                await until(lambda: bench.provider.minting)
            case "storing":
                await until(lambda: bench.store.saving)
    assert (bench.provider.minting, bench.store.saving) == (0, 0)
    assert (bench.token is not None) == (moment == "waiting")
    assert bench.store.keys(Section.TOKENS) == ({"one"} if moment == "waiting" else set())


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_renewing_tells_stores_and_returns(bench: Bench) -> None:
    after = await renew(ONE, bench.mint, Upkeep())
    assert after.token is not None
    assert bench.signals.refreshes == [("fake", True)]
    assert bench.store.keys(Section.TOKENS) == {"one"}
    bench.provider.error = Transient("503")
    failed = await renew(ONE, bench.mint, after)
    assert failed.failure is not None
    assert (failed.token, failed.failure.message) == (after.token, "503")


def test_nothing_that_is_secret_shows() -> None:
    token = MintedToken("AWS", "hush", 0.0, 1.0)
    shown: Any = (repr(ONE), repr(token), repr(KeeperState(token=token)), repr(replace(Bench()).mint))
    assert "hush" not in str(shown)
    assert "cloud key" not in str(shown)
