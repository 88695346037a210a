"""A day of a thousand keepers, whatever clocks and registries do; and the single steps where a table says more."""

import heapq
import random

import pytest
from msgspec import structs

from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken
from imps_multi.model.refresh import Refused, accept
from imps_multi.model.upkeep import Moment, Upkeep, adopted, clock_moved, failed, minted, pause, resumed, shown, wants
from tests.model.registry_day import LATENCY, LENGTH, LOOK, Call, Day, Issued, Record, Registry

HOUR = 3600.0
NOW = Moment(1_900_000_000.0, 500.0)
LIVES = ((15.0, 2), (60.0, 8), (900.0, 140), (HOUR, 300), (12 * HOUR, 550))
"""How many keepers have tokens of which life."""


def a_day(rand: random.Random) -> Day:
    """Return steps both ways that are put right, and suspends of hours on either kind of steady clock."""
    by, small = rand.uniform(1, 5) * HOUR, rand.uniform(20, 50)
    back = -rand.uniform(1, 5) * HOUR
    first, second = rand.uniform(1, 3) * HOUR, rand.uniform(14, 17) * HOUR
    return Day(
        steps=(
            *((first, by), (first + rand.uniform(60, HOUR), -by)),
            *((second, back), (second + rand.uniform(60, HOUR), -back), (second + 2 * HOUR, -small)),
        ),
        suspends=((6 * HOUR, rand.uniform(8, 11) * HOUR, True), (20 * HOUR, rand.uniform(21, 23) * HOUR, False)),
    )


def a_registry(rand: random.Random, life: float) -> Registry:
    """Return one that fails now and then, or is away for a while, or caches, or does none of it."""
    kind = rand.choice(("good", "flaky", "away", "caching"))
    begin = rand.uniform(0, LENGTH)
    return Registry(
        rand,
        life,
        flaky=0.3 if kind == "flaky" else 0.0,
        outages=((begin, begin + rand.uniform(0, 4) * HOUR),) if kind == "away" else (),
        caching=rand.choice((300.0, life / 3)) if kind == "caching" and life > 600 else None,
        absolute=life > 600 and rand.random() < 0.5,
    )


class Keeper:
    """One keeper, as its actor drives it, by true time."""

    def __init__(self, rand: random.Random, record: Record) -> None:
        self.rand = rand
        self.record = record
        self.upkeep = Upkeep()
        self.in_force: Issued | None = None
        self.offset = 0.0  # of the clock, when that was issued
        self.forced = sorted(rand.uniform(0, LENGTH) for _ in range(rand.choice((0, 0, 0, 1))))

    def turn(self, true: float) -> float:
        """Do what is due; return when it goes on."""
        asked = bool(self.forced) and self.forced[0] <= true
        if asked or wants(self.upkeep, self.record.day.moment(true)):
            del self.forced[: int(asked)]
            true = self._ask(true, forced=asked)
        now = self.record.day.moment(true)
        after = self.record.day.wake(true, pause(self.upkeep, now, self.rand.random()))
        return self._skipping(true, after)

    def _ask(self, true: float, *, forced: bool) -> float:
        day, registry = self.record.day, self.record.registry
        given = registry.ask(true, day.moment(true).wall)
        misled = max(abs(day.offset(true) - self.offset), abs(day.offset(true)) if registry.absolute else 0.0)
        ended = day.awake(true + LATENCY)
        now = day.moment(ended)
        given = None if clock_moved(day.moment(true), now) else given
        token = accept(given[1], now.wall, registry.life) if given is not None else Refused("503")
        if given is None or isinstance(token, Refused):
            self.record.calls.append(Call(true, self.in_force, None, forced, misled))
            self.upkeep = failed(self.upkeep, "503", now, self.rand.random(), began=day.moment(true))
        else:
            self.record.calls.append(Call(true, self.in_force, given[0], forced, misled))
            self.upkeep = minted(self.upkeep, token, now, self.rand.random())
            self.in_force, self.offset = given[0], day.offset(true)
        return ended

    def _skipping(self, true: float, after: float) -> float:
        """Leave out looks at clocks that go on as they should: nothing can come of them."""
        due, failing = self.upkeep.due, self.upkeep.failure is not None
        calm = min(self.record.day.next_trouble(true), *self.forced[:1], LENGTH)
        if due is None or failing or after >= calm:
            return after
        now = self.record.day.moment(true)
        rest = max(0.001, min(due.steady - now.steady, due.wall - now.wall))
        return min(true + rest, max(after, calm - self.rand.random() * LOOK))


@pytest.mark.parametrize("seed", [1])
def test_a_thousand_keepers_have_a_day_on_which_no_token_is_late_and_nobody_is_pestered(seed: int) -> None:
    rand = random.Random(seed)  # noqa: S311  # repeatable
    day = a_day(rand)
    lives = [life for life, count in LIVES for _ in range(count)]
    keepers = [Keeper(rand, Record(a_registry(rand, life), day)) for life in lives]
    heap = [(number / 50, number) for number in range(len(keepers))]
    while heap:
        true, number = heapq.heappop(heap)
        if (after := keepers[number].turn(true)) < LENGTH:
            heapq.heappush(heap, (after, number))
    records = [keeper.record for keeper in keepers]
    assert len(records) == 1000
    assert [(one.registry, late) for one in records if (late := one.late())] == []
    assert [one.rested() for one in records if one.rested()] == []
    assert [one.too_many() for one in records if one.too_many()] == []
    assert all(not keeper.forced for keeper in keepers)


def a_token(ends: float = 12 * HOUR, password: str = "one", issued: float = 0.0) -> MintedToken:
    return MintedToken("AWS", password, NOW.wall + issued, NOW.wall + ends)


def at(wall: float, steady: float | None = None) -> Moment:
    """Return a moment so long after NOW on both clocks."""
    return Moment(NOW.wall + wall, NOW.steady + (wall if steady is None else steady))


@pytest.mark.parametrize(
    ("wall", "steady", "due"),
    [(5.9, 5.9, False), (6, 6, True), (6, 0, True), (0, 6, True), (1, 6, True), (0.5, 5, False), (-1, 0.1, True)],
)
def test_what_either_clock_calls_due_is_due(wall: float, steady: float, *, due: bool) -> None:
    upkeep = minted(Upkeep(), a_token(), NOW, 0.5)
    assert wants(upkeep, at(wall * HOUR, steady * HOUR)) is due


def test_the_same_token_once_more_is_no_new_one_and_is_looked_at_again_at_half_of_what_is_left() -> None:
    before = structs.replace(minted(Upkeep(), a_token(HOUR), NOW, 0.5), stored=True)
    after = minted(before, a_token(HOUR + 1, issued=1800), at(1800), 0.5)
    assert (after.token and after.token.issued_at, after.stored) == (NOW.wall, True)
    assert not wants(after, at(1800 + 899))
    assert wants(after, at(1800 + 901))


def test_the_same_token_after_the_clock_was_set_back_is_not_asked_for_again_and_again() -> None:
    before = minted(Upkeep(), a_token(12 * HOUR), NOW, 0.5)
    now = Moment(NOW.wall - HOUR, NOW.steady + 60)
    assert wants(before, now)
    assert not wants(minted(before, a_token(12 * HOUR, issued=-HOUR), now, 0.5), now.after(60))


def test_the_same_token_to_a_later_end_is_a_new_one() -> None:
    before = minted(Upkeep(), a_token(HOUR), NOW, 0.5)
    after = minted(before, a_token(HOUR + 60, issued=60), at(60), 0.5)
    assert (after.token and after.token.issued_at, after.stored) == (NOW.wall + 60, False)


@pytest.mark.parametrize(("asked", "rest"), [(0.0, 1.0), (20.0, 20.0), (3600.0, 300.0)])
def test_a_registry_that_asks_for_patience_gets_it_up_to_the_longest_rest(asked: float, rest: float) -> None:
    upkeep = failed(Upkeep(), "429", NOW, 0.0, asked=asked)
    assert not wants(upkeep, at(rest - 0.1))
    assert wants(upkeep, at(rest + 0.1))


@pytest.mark.parametrize("steady", [0.5, HOUR])
def test_a_failure_in_which_the_machine_slept_is_not_one_more_in_the_row(steady: float) -> None:
    upkeep = Upkeep()
    for _ in range(12):
        upkeep = failed(upkeep, "503", NOW, 0.0, began=NOW)
    woken = at(HOUR, steady)
    assert wants(failed(upkeep, "no connection", woken, 0.0, began=NOW), woken.after(1.1))


@pytest.mark.parametrize(("wall", "steady"), [(-400, 10_000), (400, 10_000), (10_000, 400), (-10_000, 400)])
def test_the_clock_by_which_the_end_is_nearer_says_how_urgent_a_retry_is(wall: float, steady: float) -> None:
    upkeep = minted(Upkeep(), a_token(), NOW, 0.5)
    now = at(12 * HOUR - wall, 12 * HOUR - steady)
    for _ in range(12):
        upkeep = failed(upkeep, "503", now, 0.0)
    assert not wants(upkeep, now.after(70))
    assert wants(upkeep, now.after(150))


def test_keepers_that_rest_together_do_not_wake_together() -> None:
    upkeep = minted(Upkeep(), a_token(), NOW, 0.5)
    rests = [pause(upkeep, NOW, draw / 10) for draw in range(10)]
    assert len(set(rests)) == 10
    assert max(rests) == LOOK
    assert min(rests) >= LOOK / 2


def test_a_rest_is_never_so_short_that_no_time_passes() -> None:
    upkeep = minted(Upkeep(), a_token(), NOW, 0.5)
    assert pause(upkeep, at(6 * HOUR - 1e-9, 6 * HOUR - 1e-9), 0.5) >= 0.001


@pytest.mark.parametrize(("issued", "tried"), [(-5 * HOUR, True), (-7 * HOUR, False)])
def test_a_stored_token_counts_as_tried_while_it_has_more_than_half_of_its_life(issued: float, *, tried: bool) -> None:
    """Else a single pass would end before the new one is there."""
    upkeep = adopted(a_token(12 * HOUR + issued, issued=issued), NOW, 0.0)
    assert (upkeep.tried, wants(upkeep, NOW)) == (tried, not tried)


def test_a_keeper_that_starts_again_goes_on_as_it_was() -> None:
    upkeep = failed(minted(Upkeep(), a_token(), NOW, 0.5), "503", at(7 * HOUR), 0.5)
    again = resumed(shown(upkeep), at(7 * HOUR), 0.5)
    assert shown(again) == shown(upkeep)
    assert not wants(again, at(7 * HOUR))
    assert wants(again, at(7 * HOUR + 1))
    assert wants(resumed(KeeperState(), NOW, 0.5), NOW)
