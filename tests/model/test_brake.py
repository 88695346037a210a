"""The brake: what is let go at once, what is held, what an approval releases; in tables and against a naive model."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from msgspec import structs

from imps_multi.model.brake import (
    DAY,
    HOUR,
    SHOWN_ANEW,
    SHOWN_MEMBERS,
    SHOWN_SETS,
    Judgement,
    Ledger,
    Wishes,
    approve,
    held_id,
    judge,
)
from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, RegistryKey, SecretName
from imps_multi.model.target_plan import Wish
from tests.model.strategies import dice

NOW = 1_800_000_000.0
DEFAULT = Safety()
LOOSE_FLEET = Safety(fleet=BrakeLimits(percent=100.0, at_least=1000))


def wish(number: int, policy: str = "p", cluster: str = "c", *, loses: Iterable[str] = ()) -> Wish:
    return Wish(
        PolicyName(policy),
        ClusterName(cluster),
        NamespaceName(f"n{number}"),
        SecretName("pull"),
        tuple(map(RegistryKey, loses)),
    )


def wishes(numbers: Iterable[int], policy: str = "p", cluster: str = "c") -> frozenset[Wish]:
    return frozenset(wish(number, policy, cluster) for number in numbers)


def report(
    wished: Iterable[Wish], total: int = 100, cluster: str = "c", policy: str = "p", marked: Iterable[Wish] = ()
) -> Wishes:
    return Wishes(ClusterName(cluster), 1, frozenset(wished), {PolicyName(policy): total}, frozenset(marked))


def held_members(judgement: Judgement) -> frozenset[Wish]:
    return frozenset().union(*(one.members for one in judgement.held))


@pytest.mark.parametrize(
    ("wished", "total", "held"),
    [
        (25, 100, False),
        (26, 100, True),
        (10, 10, False),
        (11, 11, True),
        (10, 39, False),
        (11, 43, True),
        (11, 44, False),
        (1, 0, False),
        (11, 0, True),
    ],
)
def test_a_policys_wishes_in_a_cluster_are_held_over_a_quarter_and_over_ten(
    *, wished: int, total: int, held: bool
) -> None:
    judgement = judge([report(wishes(range(wished)), total)], Ledger(), LOOSE_FLEET, now=NOW)
    assert bool(judgement.held) is held
    assert len(judgement.released) == (0 if held else wished)
    if held:
        (one,) = judgement.held
        assert (one.policy, one.clusters, len(one.members)) == ("p", ["c"], wished)
        assert f"{wished} of {total} targets in c" in one.why


def test_the_fleets_limit_makes_one_set_over_all_policies() -> None:
    reports = [report(wishes(range(20), "p", f"c{number}"), 100, f"c{number}") for number in range(2)] + [
        report(wishes(range(20), "q", "c2"), 100, "c2", "q")
    ]
    judgement = judge(reports, Ledger(), DEFAULT, now=NOW)
    (one,) = judgement.held
    assert (one.policy, one.clusters, len(one.members)) == ("", ["c0", "c1", "c2"], 60)
    assert judgement.released == frozenset()
    fifty = [structs.replace(one, wishes=frozenset(sorted(one.wishes)[:17])) for one in reports]
    assert judge(fifty, Ledger(), DEFAULT, now=NOW).held != ()
    fewer = [structs.replace(one, wishes=frozenset(sorted(one.wishes)[:16])) for one in reports]
    assert judge(fewer, Ledger(), DEFAULT, now=NOW).held == ()


def test_in_a_large_fleet_five_in_a_hundred_may_go() -> None:
    reports = [report(wishes(range(20), cluster=f"c{number}"), 400, f"c{number}") for number in range(5)]
    assert judge(reports, Ledger(), DEFAULT, now=NOW).held == ()
    one_more = [*reports, report(wishes(range(1), cluster="x"), 0, "x")]
    assert [len(one.members) for one in judge(one_more, Ledger(), DEFAULT, now=NOW).held] == [101]


def test_one_policy_is_held_in_one_set_and_others_go() -> None:
    reports = [
        report(wishes(range(30), cluster="a"), 100, "a"),
        report(wishes(range(30), cluster="b"), 100, "b"),
        report(wishes(range(5), cluster="c"), 100, "c"),
        report(wishes(range(5), "q", "d"), 100, "d", "q"),
    ]
    judgement = judge(reports, Ledger(), LOOSE_FLEET, now=NOW)
    (one,) = judgement.held
    assert (one.policy, one.clusters) == ("p", ["a", "b"])
    assert judgement.released == wishes(range(5), cluster="c") | wishes(range(5), "q", "d")


def test_what_went_in_the_last_hour_counts() -> None:
    first = judge([report(wishes(range(20)))], Ledger(), DEFAULT, now=NOW)
    soon = judge([report(wishes(range(20, 30)), 80)], first.ledger, DEFAULT, now=NOW + HOUR - 1)
    assert held_members(soon) == wishes(range(20, 30))
    later = judge([report(wishes(range(20, 30)), 80)], first.ledger, DEFAULT, now=NOW + HOUR)
    assert later.released == wishes(range(20, 30))


def test_what_went_in_the_last_hour_counts_for_the_fleet_too() -> None:
    first = judge([report(wishes(range(20)))], Ledger(), DEFAULT, now=NOW)
    more = [
        report((), 80),
        report(wishes(range(20), cluster="b"), 100, "b"),
        report(wishes(range(11), cluster="d"), 100, "d"),
    ]
    assert [one.policy for one in judge(more, first.ledger, DEFAULT, now=NOW + 60).held] == [""]


def test_what_was_let_go_stays_so_while_it_is_wished_and_counts_once() -> None:
    judgement = judge([report(wishes(range(25)))], Ledger(), DEFAULT, now=NOW)
    for minute in range(1, 70, 10):
        judgement = judge([report(wishes(range(25)), 75)], judgement.ledger, DEFAULT, now=NOW + 60 * minute)
        assert judgement.released == wishes(range(25))
        assert judgement.held == ()
    assert judgement.ledger.recent == ()


def test_a_wish_that_ends_is_forgotten_and_judged_anew_when_it_returns() -> None:
    first = judge([report(wishes(range(25)))], Ledger(), DEFAULT, now=NOW)
    ended = judge([report(())], first.ledger, DEFAULT, now=NOW + 1)
    assert ended.released == frozenset()
    again = judge([report(wishes(range(25)))], ended.ledger, DEFAULT, now=NOW + 2)
    assert held_members(again) == wishes(range(25))
    (one,) = again.held
    lately = "25 of 100 targets in c would lose something, and 25 did in the last hour; 25 may without approval"
    assert one.why == lately, "never more of them than there are"


def test_a_cluster_that_is_not_synced_keeps_what_it_was_let_go() -> None:
    first = judge([report(wishes(range(5)))], Ledger(), DEFAULT, now=NOW)
    away = judge([report((), 100, "other")], first.ledger, DEFAULT, now=NOW + 1)
    assert away.released == wishes(range(5))


def test_another_loss_in_the_same_target_is_another_wish() -> None:
    first = judge([report([wish(1, loses=["a"])])], Ledger(), DEFAULT, now=NOW)
    second = judge([report([wish(1, loses=["a", "b"])])], first.ledger, DEFAULT, now=NOW)
    assert second.released == {wish(1, loses=["a", "b"])}
    assert len(second.ledger.recent) == 2


def test_an_approval_releases_exactly_the_members_and_what_joined_is_a_new_hold() -> None:
    held = judge([report(wishes(range(26)))], Ledger(), DEFAULT, now=NOW)
    joined = judge([report(wishes(range(28)))], held.ledger, DEFAULT, now=NOW + 10)
    ledger = approve(joined.ledger, held.held[0].id, now=NOW + 20)
    assert ledger is not None
    after = judge([report(wishes(range(28)))], ledger, DEFAULT, now=NOW + 30)
    assert after.released == wishes(range(26))
    assert held_members(after) == wishes([26, 27])
    assert after.held[0].id not in {held.held[0].id, joined.held[0].id}


def test_an_approval_waits_for_a_cluster_that_is_away() -> None:
    held = judge([report(wishes(range(26)))], Ledger(), DEFAULT, now=NOW)
    ledger = approve(held.ledger, held.held[0].id, now=NOW)
    assert ledger is not None
    away = judge([], ledger, DEFAULT, now=NOW + 3 * DAY)
    assert away.released == frozenset()
    back = judge([report(wishes(range(26)))], away.ledger, DEFAULT, now=NOW + 4 * DAY)
    assert back.released == wishes(range(26))


def test_an_approved_member_that_was_wanted_again_in_between_is_judged_anew() -> None:
    held = judge([report(wishes(range(26)))], Ledger(), DEFAULT, now=NOW)
    ledger = approve(held.ledger, held.held[0].id, now=NOW)
    assert ledger is not None
    released = judge([report(wishes(range(26)))], ledger, DEFAULT, now=NOW)
    wanted = judge([report(wishes(range(1, 26)))], released.ledger, DEFAULT, now=NOW + 1)
    again = judge([report(wishes(range(26)))], wanted.ledger, DEFAULT, now=NOW + 2)
    assert held_members(again) == wishes([0])


def test_an_id_can_be_approved_for_a_day_after_it_was_last_shown() -> None:
    held = judge([report(wishes(range(26)))], Ledger(), DEFAULT, now=NOW)
    shown = held.held[0].id
    still = judge([report(wishes(range(26)))], held.ledger, DEFAULT, now=NOW + 30)
    gone = judge([report(())], still.ledger, DEFAULT, now=NOW + 60)
    assert approve(gone.ledger, shown, now=NOW + 30 + DAY) is not None
    assert approve(gone.ledger, shown, now=NOW + 30 + DAY + SHOWN_ANEW) is None
    assert approve(gone.ledger, "0123456789ab", now=NOW) is None


def test_what_stays_shown_changes_the_ledger_now_and_then_only() -> None:
    held = judge([report(wishes(range(26)))], Ledger(), DEFAULT, now=NOW)
    assert judge([report(wishes(range(26)))], held.ledger, DEFAULT, now=NOW + SHOWN_ANEW - 1).ledger == held.ledger
    assert judge([report(wishes(range(26)))], held.ledger, DEFAULT, now=NOW + SHOWN_ANEW).ledger != held.ledger


def test_a_set_that_keeps_growing_is_not_remembered_without_end() -> None:
    ledger = Ledger()
    for count in range(26, 26 + 2 * SHOWN_SETS):
        judgement = judge([report(wishes(range(count)))], ledger, LOOSE_FLEET, now=NOW + count)
        ledger = judgement.ledger
    assert len(ledger.shown) <= SHOWN_SETS
    assert sum(len(one.members) for one in ledger.shown.values()) <= SHOWN_MEMBERS
    assert judgement.held[0].id in ledger.shown


def test_a_held_id_depends_on_the_members_only() -> None:
    members = list(wishes(range(30)))
    assert held_id(members) == held_id(reversed(members))
    assert held_id(members) != held_id(members[1:])
    assert held_id([wish(1)]) != held_id([wish(1, loses=["a"])])


def test_what_is_marked_to_go_was_let_go_before_whatever_the_ledger_remembers() -> None:
    marked = wishes(range(50))
    judgement = judge([report(marked, marked=marked)], Ledger(), DEFAULT, now=NOW)
    assert judgement.held == ()
    assert judgement.released == marked
    assert judgement.ledger.recent == ()


def a_history(die: Random) -> list[tuple[float, list[Wishes], bool]]:
    """Make what clusters wish as time goes by, and whether the first held set is then approved."""
    turns, now = [], NOW
    for _ in range(die.randrange(1, 8)):
        now += die.choice((1.0, 600.0, 3600.0))
        reports = [
            report(
                (wish(number, policy, cluster) for number in range(12) if die.random() < 0.4 for policy in "pq"),
                die.choice((0, 8, 12)),
                cluster,
            )
            for cluster in "ab"
            if die.random() < 0.8
        ]
        turns.append((now, reports, die.random() < 0.3))
    return turns


SMALL = Safety(per_cluster=BrakeLimits(percent=25.0, at_least=2), fleet=BrakeLimits(percent=20.0, at_least=6))


@settings(max_examples=300)
@given(dice.map(a_history))
def test_the_brake_does_what_a_naive_model_of_it_does(history: list[tuple[float, list[Wishes], bool]]) -> None:
    ledger, model = Ledger(), Naive(SMALL)
    for now, reports, approves in history:
        judgement = judge(reports, ledger, SMALL, now=now)
        ledger = judgement.ledger
        assert model.judge(reports, now) == (judgement.released, {(one.policy, one.members) for one in judgement.held})
        if approves and judgement.held:
            approved = approve(ledger, judgement.held[0].id, now=now)
            assert approved is not None
            ledger = approved
            model.approved |= judgement.held[0].members


class Naive:
    """The brake as its contract says it, over everything, every time."""

    def __init__(self, safety: Safety) -> None:
        self.safety = safety
        self.released: set[Wish] = set()
        self.approved: set[Wish] = set()
        self.went: list[tuple[float, Wish]] = []

    def judge(
        self, reports: list[Wishes], now: float
    ) -> tuple[frozenset[Wish], set[tuple[PolicyName, frozenset[Wish]]]]:
        there = {one.cluster: one for one in reports}
        wished = {one for each in reports for one in each.wishes}
        for known in (self.released, self.approved):
            known -= {one for one in known if one.cluster in there and one not in wished}
        for one in (self.approved & wished) - self.released:
            self.released.add(one)
            self.went.append((now, one))
        lately = [one for at, one in self.went if now - at < HOUR and one.cluster in there]
        asked = wished - self.released
        held = self.held(asked, lately, there)
        for one in asked - {member for _, members in held for member in members}:
            self.released.add(one)
            self.went.append((now, one))
        return frozenset(self.released), held

    def held(
        self, asked: set[Wish], lately: list[Wish], there: dict[ClusterName, Wishes]
    ) -> set[tuple[PolicyName, frozenset[Wish]]]:
        total = sum(count for each in there.values() for count in each.totals.values())
        if asked and len(asked) + len(lately) > self.limit(self.safety.fleet, total):
            return {(PolicyName(""), frozenset(asked))}
        found: dict[PolicyName, frozenset[Wish]] = {}
        for policy in {one.policy for one in asked}:
            for cluster, each in there.items():
                mine = frozenset(one for one in asked if (one.policy, one.cluster) == (policy, cluster))
                went = [one for one in lately if (one.policy, one.cluster) == (policy, cluster)]
                limit = self.limit(self.safety.per_cluster, each.totals.get(policy, 0))
                if mine and len(mine) + len(went) > limit:
                    found[policy] = found.get(policy, frozenset()) | mine
        return set(found.items())

    @staticmethod
    def limit(limits: BrakeLimits, total: int) -> float:
        return max(limits.at_least, limits.percent * total / 100)
