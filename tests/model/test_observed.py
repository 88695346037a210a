"""The fold of what is seen: however the events are split, doubled or late, the same last look gives the same state."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings

from imps_multi.model.names import NamespaceName, SecretName, Uid
from imps_multi.model.observed import (
    Marks,
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    ObjectEvent,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
)
from imps_multi.model.observed_fold import Observed
from tests.model.strategies import dice

PULL = SecretName("pull")
A, B, C = (NamespaceName(name) for name in ("a", "b", "c"))


def record(
    name: str = "a", version: int = 1, *, team: str = "", seen_at: float = 0.0, terminating: bool = False
) -> NamespaceRecord:
    labels = (("team", team),) if team else ()
    return NamespaceRecord(NamespaceName(name), version, labels, (), terminating, seen_at)


def secret(version: int = 1, content: bytes = b"x", uid: str = "u", mark: str = "") -> SeenSecret:
    marks = Marks(labels=(("mark", mark),)) if mark else Marks()
    return SeenSecret(Uid(uid), version, "t", content, marks)


def seen(version: int, content: bytes = b"x", space: NamespaceName = A) -> SecretSeen:
    return SecretSeen(space, PULL, secret(version, content))


def moved(one: SeenSecret, space: NamespaceName = A) -> SecretMoved:
    return SecretMoved(space, PULL, one.uid, one.resource_version, one.marks)


def fold(*events: ObjectEvent) -> Observed:
    observed = Observed()
    for event in events:
        observed.apply(event)
    return observed


def picture(observed: Observed) -> tuple[object, ...]:
    """Return everything that is known, dates aside."""
    spaces = {name: (one.labels, one.terminating, one.resource_version) for name, one in observed.namespaces.items()}
    return spaces, {(name, space): one for name, space, one in observed.everything()}


# versions


@pytest.mark.parametrize(
    ("events", "content"),
    [
        ([seen(5, b"new"), seen(4, b"old")], b"new"),
        ([seen(5, b"sent"), seen(5, b"stored")], b"stored"),
        ([seen(5), SecretGone(A, PULL, 4)], b"x"),
        ([seen(5), SecretGone(A, PULL, 5)], None),
        ([seen(5), SecretGone(A, PULL, 6), seen(5)], None),
        ([seen(5), SecretGone(A, PULL, 6), seen(6)], None),
        ([seen(5), SecretGone(A, PULL, 6), seen(7, b"again")], b"again"),
        ([SecretGone(A, PULL, 6), seen(5)], None),
        ([SecretsReplaced(PULL, (), 9), seen(8)], None),
        ([SecretsReplaced(PULL, (), 9), seen(10)], b"x"),
        ([seen(12, b"answer"), SecretsReplaced(PULL, (), 9)], b"answer"),
        ([seen(12, b"answer"), SecretsReplaced(PULL, ((A, secret(7)),), 9)], b"answer"),
        ([seen(12, b"answer"), SecretsReplaced(PULL, ((A, secret(13, b"later")),), 14)], b"later"),
        ([seen(12, b"answer"), SecretsReplaced(PULL, (), 14)], None),
        ([seen(12), SecretGone(A, PULL, 13), SecretsReplaced(PULL, ((A, secret(12)),), 12)], None),
        ([seen(12), SecretGone(A, PULL, 13), SecretsReplaced(PULL, ((A, secret(12)),), 12), seen(12)], None),
        ([seen(5), SecretGone(A, PULL, 14), SecretsReplaced(PULL, ((A, secret(5)),), 10), seen(12)], None),
        ([seen(12, b"lost"), SecretsReplaced(PULL, ((A, secret(3, b"restored")),), 4, reset=True)], b"restored"),
        ([seen(12), SecretGone(A, PULL, 13), SecretsReplaced(PULL, (), 4, reset=True), seen(5, b"new")], b"new"),
    ],
)
def test_of_a_secret_the_newest_look_counts(events: list[ObjectEvent], content: bytes | None) -> None:
    known = fold(*events).secret(PULL, A)
    assert content == (None if known is None else known.content)


@pytest.mark.parametrize(
    ("events", "team"),
    [
        ([NamespaceSeen(record(version=5, team="new")), NamespaceSeen(record(version=4, team="old"))], "new"),
        ([NamespaceSeen(record(version=5)), NamespaceGone(A, 4)], ""),
        ([NamespaceSeen(record(version=5)), NamespaceGone(A, 5)], None),
        ([NamespaceSeen(record(version=5)), NamespaceGone(A, 6), NamespaceSeen(record(version=5))], None),
        ([NamespaceSeen(record(version=5)), NamespaceGone(A, 6), NamespaceSeen(record(version=7, team="b"))], "b"),
        ([NamespacesReplaced((), 9), NamespaceSeen(record(version=8))], None),
        ([NamespaceSeen(record(version=12)), NamespacesReplaced((record(version=3, team="back"),), 4)], "back"),
    ],
)
def test_of_a_namespace_the_newest_look_counts(events: list[ObjectEvent], team: str | None) -> None:
    known = fold(*events).namespaces.get(A)
    assert team == (None if known is None else dict(known.labels).get("team", ""))


def test_an_answer_does_not_hide_what_a_watch_showed_of_the_same_version() -> None:
    observed = fold(seen(5, b"changed on its way in"))
    assert not observed.answer(PULL, A, secret(5, b"as sent"))
    assert observed.secret(PULL, A) == secret(5, b"changed on its way in")
    assert observed.answer(PULL, A, secret(6, b"as sent"))
    assert observed.secret(PULL, A) == secret(6, b"as sent")


def test_a_namespace_keeps_when_it_was_first_seen() -> None:
    observed = fold(
        NamespaceSeen(record(version=5, seen_at=100.0)), NamespaceSeen(record(version=6, team="x", seen_at=200.0))
    )
    assert observed.namespaces[A].seen_at == 100.0
    observed.apply(NamespacesReplaced((record(version=6), record("b", 7)), 8))
    assert [observed.namespaces[name].seen_at for name in (A, B)] == [100.0, 0.0]
    observed.apply(NamespaceSeen(record("b", 9, team="x", seen_at=300.0)))
    assert observed.namespaces[B].seen_at == 0.0


# whole or not


def test_a_name_is_synced_once_it_and_the_namespaces_were_listed() -> None:
    observed = fold(SecretsReplaced(PULL, (), 1))
    assert not observed.synced(PULL)
    observed.apply(NamespacesReplaced((), 1))
    assert observed.synced(PULL)
    assert not observed.synced(SecretName("other"))


def test_losing_contact_keeps_what_is_known_and_says_that_it_is_not_whole() -> None:
    observed = fold(NamespacesReplaced((record(),), 1), SecretsReplaced(PULL, ((A, secret()),), 1))
    before = picture(observed)
    observed.unsync()
    assert not observed.synced(PULL)
    assert picture(observed) == before
    assert set(observed.apply(NamespacesReplaced((record(),), 2))) == {A}
    assert set(observed.apply(SecretsReplaced(PULL, ((A, secret()),), 2))) == {A}
    assert observed.synced(PULL)


def test_a_broken_watch_of_one_name_concerns_that_name() -> None:
    other = SecretName("other")
    observed = fold(NamespacesReplaced((), 1), SecretsReplaced(PULL, (), 1), SecretsReplaced(other, (), 1))
    observed.unsync_name(PULL)
    assert (observed.synced(PULL), observed.synced(other)) == (False, True)


def test_a_forgotten_name_leaves_nothing() -> None:
    observed = fold(NamespacesReplaced((), 1), SecretsReplaced(PULL, ((A, secret(5)),), 9), SecretGone(A, PULL, 10))
    observed.forget(PULL)
    assert not observed.synced(PULL)
    assert picture(observed) == ({}, {})
    assert observed.apply(seen(3)) == (A,)


# what was touched


@pytest.mark.parametrize(
    ("event", "touched"),
    [
        (seen(6), set()),
        (seen(6, b"other"), {A}),
        (SecretSeen(A, PULL, secret(6, mark="new")), {A}),
        (SecretSeen(A, PULL, secret(6, uid="new")), {A}),
        (seen(4, b"late"), set()),
        (SecretGone(A, PULL, 6), {A}),
        (SecretGone(C, PULL, 6), set()),
        (SecretsReplaced(PULL, ((A, secret(5)), (B, secret(5))), 6), {B}),
        (SecretsReplaced(PULL, ((A, secret(6)),), 6), set()),
        (SecretsReplaced(PULL, (), 6), {A}),
        (NamespaceSeen(record(version=6)), set()),
        (NamespaceSeen(record(version=6, team="x")), {A}),
        (NamespaceSeen(record(version=6, terminating=True)), {A}),
        (NamespaceSeen(record("c", 6)), {C}),
        (NamespaceGone(A, 6), {A}),
        (NamespacesReplaced((record("a", 5), record("c", 6)), 6), {B, C}),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_only_what_changed_is_touched(event: ObjectEvent, touched: set[NamespaceName]) -> None:
    observed = fold(
        NamespacesReplaced((record("a", 5), record("b", 5)), 5), SecretsReplaced(PULL, ((A, secret(5)),), 5)
    )
    assert set(observed.apply(event)) == touched


def test_one_namespace_of_ten_thousand_touches_one() -> None:
    spaces = [f"n{number}" for number in range(10_000)]
    observed = fold(
        NamespacesReplaced(tuple(record(name) for name in spaces), 5),
        SecretsReplaced(PULL, tuple((NamespaceName(name), secret()) for name in spaces), 5),
    )
    assert observed.apply(SecretSeen(NamespaceName("n77"), PULL, secret(9, b"y"))) == (NamespaceName("n77"),)
    assert observed.apply(NamespaceSeen(record("n78", 9, team="x"))) == (NamespaceName("n78"),)


# what moved on


WORDS = [
    ([seen(5)], 6, True),
    ([seen(5)], 5, False),
    ([seen(5)], 4, False),
    ([], 6, True),
    ([SecretsReplaced(PULL, (), 9)], 8, False),
    ([SecretsReplaced(PULL, (), 9)], 10, True),
    ([SecretGone(A, PULL, 6)], 6, False),
    ([SecretGone(A, PULL, 6)], 7, True),
    ([moved(secret(7))], 7, False),
    ([moved(secret(7))], 6, False),
    ([moved(secret(7)), seen(6)], 8, True),
]


@pytest.mark.parametrize(("events", "version", "news"), WORDS)
def test_only_the_newest_word_is_news(events: list[ObjectEvent], version: int, *, news: bool) -> None:
    assert set(fold(*events).apply(moved(secret(version)))) == ({A} if news else set())


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (seen(7), False),
        (seen(8), False),
        (seen(6), True),
        (SecretGone(A, PULL, 8), False),
        (SecretGone(A, PULL, 6), True),
        (SecretsReplaced(PULL, ((A, secret(7)),), 7), False),
        (SecretsReplaced(PULL, ((A, secret(5)),), 6), True),
        (SecretsReplaced(PULL, (), 3, reset=True), False),
        (SecretsReplaced(SecretName("other"), (), 9), True),
    ],
    ids=repr,
)
def test_what_moved_is_unread_until_that_version_was_seen(event: ObjectEvent, *, left: bool) -> None:
    observed = fold(SecretsReplaced(PULL, ((A, secret(5)),), 5), moved(secret(7)))
    touched = set(observed.apply(event))
    assert (observed.moved(PULL, A) is not None) is left
    assert left or touched == {A}  # so that whoever waits for it goes on


def test_a_name_that_is_not_watched_any_more_is_not_unread() -> None:
    observed = fold(SecretsReplaced(PULL, ((A, secret(5)),), 5), moved(secret(7)))
    observed.forget(PULL)
    assert not observed.anything_moved


# any split of a history


class History:
    """A cluster's true history: after each version, what is there."""

    def __init__(self) -> None:
        self.version = 1
        self.spaces: dict[NamespaceName, NamespaceRecord] = {}
        self.secrets: dict[NamespaceName, SeenSecret] = {}
        self.told: list[ObjectEvent] = []
        self.versions: dict[int, SeenSecret] = {}
        """Every Secret that ever was there."""

    def step(self, die: Random) -> None:
        self.version += die.choice((1, 1, 3))
        name = die.choice((A, B, C))
        match die.randrange(5):
            case 0 if name in self.spaces:
                del self.spaces[name]
                self.told.append(NamespaceGone(name, self.version))
            case 0 | 1:
                self.spaces[name] = record(name, self.version, team=die.choice("xy"))
                self.told.append(NamespaceSeen(self.spaces[name]))
            case 2 if name in self.secrets:
                del self.secrets[name]
                self.told.append(SecretGone(name, PULL, self.version))
            case _:
                self.secrets[name] = secret(self.version, die.choice((b"1", b"2")), mark=die.choice(("", "m")))
                self.versions[self.version] = self.secrets[name]
                whole = SecretSeen(name, PULL, self.secrets[name])
                self.told.append(die.choice((whole, moved(self.secrets[name], name))))

    def listed(self) -> tuple[ObjectEvent, ObjectEvent]:
        """Return the two lists as of now."""
        return (
            NamespacesReplaced(tuple(self.spaces.values()), self.version),
            SecretsReplaced(PULL, tuple(self.secrets.items()), self.version),
        )


def retold(die: Random) -> tuple[History, list[ObjectEvent]]:
    """Tell a history with lists in between, events doubled and lost before lists, and late ones repeated."""
    history, replay = History(), History()
    for _ in range(die.randrange(1, 12)):
        history.step(die)
    events: list[ObjectEvent] = []
    lists_at = {die.randrange(len(history.told) + 1) for _ in range(2)}
    for index, event in enumerate(history.told):
        replay_one(history, replay, event)
        events += [event] * die.choice((1, 1, 2))
        if index in lists_at:
            events += die.sample(replay.listed(), 2)
        if die.random() < 0.3:
            events.append(die.choice(history.told[: index + 1]))
    return history, events


def replay_one(history: History, replay: History, event: ObjectEvent) -> None:
    match event:
        case NamespaceSeen(record=one):
            replay.spaces[one.name] = one
            replay.version = one.resource_version
        case NamespaceGone(name=name, resource_version=version):
            replay.spaces.pop(name)
            replay.version = version
        case SecretSeen(namespace=name, secret=one):
            replay.secrets[name] = one
            replay.version = one.resource_version
        case SecretMoved(namespace=name, resource_version=version):
            replay.secrets[name] = history.versions[version]
            replay.version = version
        case SecretGone(namespace=name, resource_version=version):
            replay.secrets.pop(name)
            replay.version = version
        case _:
            raise AssertionError(event)


@settings(max_examples=400)
@given(dice.map(retold))
def test_a_relist_equals_any_telling_of_the_events(told: tuple[History, Iterable[ObjectEvent]]) -> None:
    history, events = told
    observed = fold(*events)
    for space in (A, B, C):
        if observed.moved(PULL, space) is not None:
            observed.apply(SecretSeen(space, PULL, history.secrets[space]))
    assert picture(observed) == picture(fold(*history.listed()))
    assert not observed.anything_moved


@settings(max_examples=400)
@given(dice.map(retold))
def test_whatever_changes_is_touched_and_what_does_not_is_not(told: tuple[History, Iterable[ObjectEvent]]) -> None:
    observed = fold(NamespacesReplaced((), 0), SecretsReplaced(PULL, (), 0))
    for event in told[1]:
        before = without_versions(observed)
        touched = set(observed.apply(event))
        after = without_versions(observed)
        assert touched == {name for name in (A, B, C) if before.get(name) != after.get(name)}


def without_versions(observed: Observed) -> dict[NamespaceName, tuple[object, ...]]:
    looks: dict[NamespaceName, tuple[object, ...]] = {}
    for name in (A, B, C):
        space, one, told = observed.namespaces.get(name), observed.secret(PULL, name), observed.moved(PULL, name)
        looks[name] = (
            None if space is None else (space.labels, space.terminating),
            None if one is None else (one.content, one.marks, one.uid),
            told,
        )
    return looks
