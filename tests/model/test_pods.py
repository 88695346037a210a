"""What is known of pods: the same whatever way it was told, without a gap when the rules change, and no more kept."""

from random import Random

import pytest
from hypothesis import given, settings

from imps_multi.model.choosing import rules_matched
from imps_multi.model.names import NamespaceName
from imps_multi.model.pods import (
    MOST_SELECTIVE_WATCHES,
    PodEvent,
    PodGone,
    PodsAsked,
    PodSeen,
    PodsReplaced,
    pod_watches,
)
from imps_multi.model.pods_fold import NO_SHIFT, Pods, Shift
from imps_multi.model.selection import Operator, PodField, PodRule, Requirement, Selector
from tests.model.strategies import dice

A, B, C = SPACES = tuple(map(NamespaceName, ("a", "b", "c")))
NAMES = ("pod-1", "pod-2")


def label(value: str, key: str = "app") -> PodRule:
    return PodRule(PodField.LABELS, Selector((Requirement(key, Operator.IN, frozenset({value})),)))


def annotation(value: str) -> PodRule:
    return PodRule(PodField.ANNOTATIONS, Selector((Requirement("note", Operator.IN, frozenset({value})),)))


EVERY = PodRule(PodField.LABELS, Selector())
WEB, DB, NOTED = label("web"), label("db"), annotation("x")
WEB_WATCH, DB_WATCH = PodsAsked((WEB,)), PodsAsked((DB,))
WEB_IN_A = Shift(frozenset({A}))


def asked(*rules: PodRule) -> Pods:
    pods = Pods()
    pods.ask(frozenset(rules))
    return pods


def seen(version: int, name: str = "pod-1", space: NamespaceName = A, watch: PodsAsked = WEB_WATCH) -> PodSeen:
    return PodSeen(watch, space, name, 1, version)


def gone(version: int, name: str = "pod-1", space: NamespaceName = A, watch: PodsAsked = WEB_WATCH) -> PodGone:
    return PodGone(watch, space, name, version)


def listed(version: int, *spaces: NamespaceName, watch: PodsAsked = WEB_WATCH) -> PodsReplaced:
    return PodsReplaced(watch, tuple((space, "pod-1", 1) for space in spaces), version)


# which watches


def test_one_label_rule_is_narrowed_by_the_server() -> None:
    (watch,) = pod_watches([WEB, WEB])
    assert watch.rules == (WEB,)
    assert watch.selector == WEB.selector


@pytest.mark.parametrize(
    ("rules", "watches"),
    [
        ((), 0),
        ((WEB, DB), 2),
        ((WEB, NOTED), 1),
        ((NOTED, annotation("y")), 1),
        ((WEB, EVERY), 1),
        (tuple(label(str(number)) for number in range(MOST_SELECTIVE_WATCHES)), MOST_SELECTIVE_WATCHES),
        (tuple(label(str(number)) for number in range(MOST_SELECTIVE_WATCHES + 1)), 1),
    ],
)
def test_what_cannot_be_narrowed_shares_one_watch(rules: tuple[PodRule, ...], watches: int) -> None:
    found = pod_watches(rules)
    assert len(found) == watches
    assert {rule for watch in found for rule in watch.rules} == set(rules)
    assert watches == len(rules) or [watch.selector for watch in found] == [None]


def test_the_order_of_the_rules_makes_no_other_watch() -> None:
    assert pod_watches([WEB, NOTED, DB]) == pod_watches([DB, WEB, NOTED])


# what is known


def test_nothing_is_known_before_the_list() -> None:
    pods = asked(WEB)
    assert pods.holds(WEB, A) is None
    assert not pods.listed
    assert pods.apply(seen(5)) == NO_SHIFT
    assert pods.holds(WEB, A) is None


def test_a_list_makes_a_rule_known_and_names_where_it_holds() -> None:
    pods = asked(WEB)
    assert pods.apply(listed(5, A)) == Shift(frozenset({A}), frozenset({WEB}))
    assert (pods.holds(WEB, A), pods.holds(WEB, B)) == (True, False)
    assert pods.listed
    assert pods.example(WEB, A) == "pod-1"


def test_only_the_first_pod_and_the_last_one_make_a_difference() -> None:
    pods = asked(WEB)
    pods.apply(listed(5))
    assert pods.apply(seen(6)) == WEB_IN_A
    assert pods.apply(seen(7)) == NO_SHIFT, "its status changed"
    assert pods.apply(seen(8, "pod-2")) == NO_SHIFT
    assert pods.apply(gone(9)) == NO_SHIFT
    assert pods.apply(gone(10, "pod-2")) == WEB_IN_A
    assert pods.apply(gone(11, "pod-3")) == NO_SHIFT


def test_late_and_doubled_events_change_nothing() -> None:
    pods = asked(WEB)
    pods.apply(listed(5))
    pods.apply(seen(6))
    pods.apply(gone(7))
    assert pods.apply(seen(6)) == NO_SHIFT
    assert pods.apply(gone(7)) == NO_SHIFT
    assert pods.holds(WEB, A) is False


def test_losing_contact_keeps_what_is_known_and_says_that_it_is_not_whole() -> None:
    pods = asked(WEB, DB)
    pods.apply(listed(5, A))
    pods.apply(listed(5, watch=DB_WATCH))
    pods.unsync()
    assert not pods.listed
    assert pods.holds(WEB, A)
    pods.apply(listed(7, A))
    assert not pods.listed
    assert pods.apply(listed(7, A, watch=DB_WATCH)) == Shift(frozenset({A}))
    assert pods.listed
    pods.unsync_watch(WEB_WATCH)
    assert not pods.listed


def test_what_is_forbidden_is_unknown_and_nobody_waits_for_it() -> None:
    pods = asked(WEB, DB)
    pods.apply(listed(5, A))
    pods.apply(listed(5, A, watch=DB_WATCH))
    assert pods.forbid(WEB_WATCH, "pods is forbidden") == Shift(rules=frozenset({WEB}))
    assert (pods.holds(WEB, A), pods.holds(DB, A)) == (None, True)
    assert pods.listed
    assert (pods.refusal([WEB]), pods.refusal([DB])) == ("pods is forbidden", "")
    assert pods.apply(listed(9, B)) == Shift(frozenset({B}), frozenset({WEB}))
    assert pods.refusal([WEB]) == ""


def test_a_forbidden_watch_that_nobody_needs_any_more_is_forgotten() -> None:
    pods = asked(WEB)
    pods.forbid(WEB_WATCH, "no")
    pods.ask(frozenset({DB}))
    assert pods.forbidden == {}
    assert set(pods.watches) == {DB_WATCH}
    assert pods.forbid(WEB_WATCH, "no") == NO_SHIFT
    assert pods.forbidden == {}


# other rules


def test_a_new_rule_leaves_the_others_as_they_are() -> None:
    pods = asked(WEB)
    pods.apply(listed(5, A))
    before = dict(pods.watches)
    assert pods.ask(frozenset({WEB, DB})) == NO_SHIFT
    assert pods.watches[WEB_WATCH] == before[WEB_WATCH]
    assert (pods.holds(WEB, A), pods.holds(DB, A), pods.listed) == (True, None, False)
    assert pods.apply(listed(6, B, watch=DB_WATCH)) == Shift(frozenset({B}), frozenset({DB}))
    assert pods.listed


def test_an_old_index_serves_until_the_new_one_has_caught_up() -> None:
    pods = asked(WEB)
    pods.apply(listed(5, A))
    pods.ask(frozenset({WEB, NOTED}))
    (shared,) = pod_watches([WEB, NOTED])
    bit = 1 << shared.rules.index(WEB)
    assert set(pods.watches) == {WEB_WATCH, shared}
    assert pods.apply(seen(9, space=B)) == Shift(frozenset({B})), "the old one goes on"
    pods.apply(PodsReplaced(shared, ((A, "pod-1", bit),), 8))
    assert (pods.holds(WEB, B), pods.listed) == (True, False), "the new list is older than what is known"
    assert pods.apply(PodSeen(shared, B, "pod-1", bit, 9)) == NO_SHIFT
    assert (pods.holds(WEB, B), pods.listed) == (True, True)
    assert set(pods.watches) == {shared}
    assert pods.apply(gone(10)) == NO_SHIFT, "nobody listens to the old one any more"


def test_an_old_watch_that_lists_again_does_not_hold_up_the_new_one() -> None:
    pods = asked(WEB)
    pods.apply(listed(5))
    pods.ask(frozenset({WEB, NOTED}))
    (shared,) = pod_watches([WEB, NOTED])
    pods.apply(seen(9))
    pods.apply(PodsReplaced(shared, (), 8))
    pods.apply(listed(30, A))
    pods.apply(PodSeen(shared, A, "pod-1", 1 << shared.rules.index(WEB), 9))
    assert pods.listed
    assert set(pods.watches) == {shared}


def test_a_watch_that_begins_anew_has_another_number() -> None:
    pods = asked(WEB)
    first = pods.watches[WEB_WATCH]
    pods.ask(frozenset())
    assert (pods.watches, pods.listed, pods.holds(WEB, A)) == ({}, True, None)
    pods.ask(frozenset({WEB}))
    assert pods.watches[WEB_WATCH] != first
    assert pods.holds(WEB, A) is None


# any telling


Pod = tuple[str, str]
"""A label and an annotation."""


class Cluster:
    """A cluster's pods after each version, and watches that lag behind it, break and tell things twice."""

    def __init__(self, die: Random) -> None:
        self.die = die
        self.states: list[dict[tuple[NamespaceName, str], Pod]] = [{}]
        self.told_to: dict[tuple[PodsAsked, int], int] = {}
        self.pods = Pods()
        self.rules: frozenset[PodRule] = frozenset()

    @property
    def version(self) -> int:
        return len(self.states) - 1

    def change(self) -> None:
        state = dict(self.states[-1])
        key = self.die.choice(SPACES), self.die.choice(NAMES)
        if key in state and self.die.random() < 0.5:
            del state[key]
        else:
            state[key] = self.die.choice(("web", "db", "web", "other")), self.die.choice(("x", "y"))
        self.states.append(state)

    def ask(self) -> Shift:
        few = (WEB, DB, NOTED, EVERY)
        self.rules = frozenset(self.die.sample(few, self.die.randrange(4)))
        return self.pods.ask(self.rules)

    def tell(self) -> Shift:
        """Let one watch tell one thing."""
        watches = sorted(self.pods.watches.items(), key=lambda item: item[1])
        if not watches:
            return NO_SHIFT
        key = self.die.choice(watches)
        if self.die.random() < 0.1:
            self.pods.unsync_watch(key[0])
            self.told_to.pop(key, None)
        known = self.told_to.get(key)
        if known is None:
            version = self.told_to[key] = self.version
            return self.pods.apply(self.list_of(key[0], version))
        if self.die.random() < 0.1:
            return self.pods.apply(self.event(key[0], max(1, known))) if known else NO_SHIFT
        if known == self.version:
            return NO_SHIFT
        self.told_to[key] = known + 1
        return self.pods.apply(self.event(key[0], known + 1))

    def list_of(self, watch: PodsAsked, version: int) -> PodsReplaced:
        found = ((space, name, self.matches(watch, pod)) for (space, name), pod in self.states[version].items())
        return PodsReplaced(watch, tuple(one for one in found if one[2]), version)

    def event(self, watch: PodsAsked, version: int) -> PodEvent:
        before, after = self.states[version - 1], self.states[version]
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        space, name = changed[0] if changed else (A, NAMES[0])
        matches = self.matches(watch, after[space, name]) if (space, name) in after else 0
        return PodSeen(watch, space, name, matches, version) if matches else PodGone(watch, space, name, version)

    @staticmethod
    def matches(watch: PodsAsked, pod: Pod) -> int:
        return rules_matched(watch, {"app": pod[0]}, {"note": pod[1]})

    def truth(self, rule: PodRule, version: int) -> frozenset[NamespaceName]:
        """Work out where a rule holds, pod by pod."""
        watch = PodsAsked((rule,))
        return frozenset(space for (space, _), pod in self.states[version].items() if self.matches(watch, pod))

    def picture(self) -> dict[PodRule, frozenset[NamespaceName]]:
        """Return what is known, by rule."""
        known = {}
        for rule in (WEB, DB, NOTED, EVERY):
            holds = {space: self.pods.holds(rule, space) for space in SPACES}
            if None not in holds.values():
                known[rule] = frozenset(space for space, one in holds.items() if one)
            else:
                assert set(holds.values()) == {None}
        return known


def turn(cluster: Cluster) -> Shift:
    what = cluster.die.choice(("change", "change", "ask", *["tell"] * 5))
    if what == "change":
        cluster.change()
        return NO_SHIFT
    return cluster.ask() if what == "ask" else cluster.tell()


@settings(max_examples=400)
@given(dice)
def test_whatever_way_it_is_told_the_end_is_what_is_there(die: Random) -> None:
    cluster = Cluster(die)
    for _ in range(40):
        turn(cluster)
    for _ in range(400):
        if cluster.pods.listed and all(
            cluster.told_to.get(key) == cluster.version for key in cluster.pods.watches.items()
        ):
            break
        cluster.tell()
    assert pod_watches(cluster.rules) == set(cluster.pods.watches)
    assert cluster.picture() == {rule: cluster.truth(rule, cluster.version) for rule in cluster.rules}


@settings(max_examples=400)
@given(dice)
def test_what_is_known_of_a_rule_never_goes_back_and_is_never_lost(die: Random) -> None:
    """So that no change of rules makes a namespace look as if its pods had gone."""
    cluster = Cluster(die)
    at: dict[PodRule, int] = {}
    for _ in range(40):
        before = cluster.picture()
        shift = turn(cluster)
        after = cluster.picture()
        changed = {
            space for rule in before.keys() & after.keys() for space in SPACES if space in before[rule] ^ after[rule]
        }
        assert changed <= shift.namespaces
        assert after.keys() - before.keys() <= shift.rules
        assert before.keys() & cluster.rules <= after.keys()
        for rule, spaces in after.items():
            since = at.get(rule, 0) if rule in before else 0
            at[rule] = next(
                version for version in range(since, cluster.version + 1) if cluster.truth(rule, version) == spaces
            )


# memory


def test_a_pod_costs_a_name_and_a_pod_that_matches_nothing_costs_nothing() -> None:
    from tests.model.test_model_memory import weight

    def weigh(count: int) -> int:
        pods = asked(WEB)
        found = tuple((NamespaceName(f"n{number % 100}"), f"web-{number:06d}-abcde", 1) for number in range(count))
        pods.apply(PodsReplaced(WEB_WATCH, found, 5))
        for number in range(100):
            pods.apply(gone(6 + number, f"other-{number}"))
        return weight(pods, set())

    assert (weigh(10_000) - weigh(0)) / 10_000 <= 150
