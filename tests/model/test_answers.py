"""What was stored is compared with what was sent once in a contact, and always where it was something else once."""

from random import Random

import pytest
from hypothesis import given, settings
from msgspec import structs

from imps_multi.model.answers import Answers
from imps_multi.model.book import Book, Due
from imps_multi.model.contest import BY_ADMISSION, Author, Contests
from imps_multi.model.names import NamespaceName, SecretName, Uid
from imps_multi.model.observed import SecretMoved, SecretSeen, SecretsReplaced, SeenSecret
from imps_multi.model.observed_fold import same_secret
from imps_multi.model.target_plan import Create, Delete, State, TargetPlan, Update
from tests.model.objects import Object, carry_out, texts
from tests.model.scenes import HUB_REGISTRY, NOW, changed, policy, resolved, seen_from, source, world, written
from tests.model.strategies import dice
from tests.model.test_book import PULL, A, as_seen, line_of, listed, moved, the_plan
from tests.model.test_book_properties import TURNS, Cluster, said

THEIRS = b'{"auths":{"mirror.example":{"auth":"dTpw"}}}'
WAITS = [2.0, 128.0, 3600.0, 3600.0, 3600.0]


def sent(book: Book, found: Object | None, version: int, now: float = NOW) -> tuple[TargetPlan, Object]:
    """Send the write that is due; return what it would make of the Secret."""
    plan = the_plan(book, now)
    book.sending(plan)
    if found is not None and isinstance(plan.write, Update):
        moved(found, plan.write.resource_version)
    return plan, moved(carry_out(found, plan) or {}, version)


def answered(book: Book, plan: TargetPlan, stored: Object, now: float = NOW) -> list[Due]:
    """Answer as the book asks to be answered."""
    seen = as_seen(stored)
    whole = seen if book.answers.whole(plan.name) else None
    return book.written(plan, seen.uid, seen.resource_version, now=now, stored=whole)


def altered(stored: Object) -> Object:
    """Change a Secret on its way in: that makes no other version."""
    version = as_seen(stored).resource_version
    return moved(changed(stored, content=THEIRS), version)


def a_create() -> Create:
    book = listed(resolved())
    book.look(A, now=NOW)
    write = the_plan(book).write
    assert isinstance(write, Create)
    return write


def as_sent() -> SeenSecret:
    return as_seen(written(resolved()))


def test_a_name_is_asked_for_whole_until_one_answer_of_the_contact_was_as_sent() -> None:
    answers = Answers()
    assert answers.whole(PULL)
    answers.hear((A, PULL), a_create(), as_sent())
    assert not answers.whole(PULL)
    assert answers.whole(SecretName("other"))
    answers.begin()
    assert answers.whole(PULL)


def test_a_name_that_was_stored_otherwise_is_asked_for_whole_ever_after() -> None:
    answers = Answers()
    answers.hear((A, PULL), a_create(), as_seen(altered(written(resolved()))))
    for _ in range(2):
        answers.hear((A, PULL), a_create(), as_sent())
        answers.hear((NamespaceName("b"), PULL), a_create(), as_seen(altered(written(resolved()))))
        assert answers.whole(PULL)
        answers.begin()
    assert answers.altered == {PULL: A}


def test_data_that_are_added_are_altered_too() -> None:
    answers = Answers()
    stored = written(resolved())
    stored["data"] = {**texts(stored["data"]), "note": "eA=="}
    answers.hear((A, PULL), a_create(), as_seen(stored))
    assert answers.altered == {PULL: A}


def test_a_write_of_marks_alone_says_nothing_of_data() -> None:
    answers = Answers()
    seen = as_sent()
    answers.hear((A, PULL), Update(seen.uid, seen.resource_version, wanted=None, put=False), seen)
    assert answers.whole(PULL)
    assert answers.altered == {}


def test_an_answer_as_sent_settles_its_target() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, stored = sent(book, None, 50)
    assert answered(book, plan, stored) == []
    assert (line_of(book), book.writing, book.answers.whole(PULL)) == ((State.IN_SYNC, ""), set(), False)


def test_what_is_stored_otherwise_is_what_is_there_and_is_repaired_ever_more_slowly() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    found, now, waits = None, NOW, []
    for number in range(len(WAITS)):
        plan, after = sent(book, found, 50 + number, now)
        found = altered(after)
        dues = answered(book, plan, found, now)
        known = book.observed.secret(PULL, A)
        assert known is not None
        assert same_secret(known, as_seen(found))
        assert line_of(book) == (State.PENDING, "Contested")
        assert book.tally.lines((A, PULL))[0].message == BY_ADMISSION
        assert not any(due.urgent for due in dues), "there is no hurry"
        assert book.writes(A, now=now) == []
        assert book.targets.contested(A, now)
        waits.append(max(due.at or now for due in dues) - now)
        now += waits[-1]
    assert waits == WAITS
    plan, found = sent(book, found, 90, now)
    answered(book, plan, found, now)
    assert (line_of(book)[0], book.writing) == (State.IN_SYNC, set())


def test_what_is_undone_altogether_is_told_by_a_version_that_is_none() -> None:
    stored = altered(written(resolved()))
    book = listed(resolved(), found=[stored])
    book.look(A, now=NOW)
    book.answers.hear((A, PULL), a_create(), as_sent())
    plan = the_plan(book)
    book.sending(plan)
    before = as_seen(stored)
    dues = book.written(plan, before.uid, before.resource_version, now=NOW)
    assert dues == [Due(A, at=NOW + 2.0)]
    assert (line_of(book), book.answers.altered) == ((State.PENDING, "Contested"), {PULL: A})


def test_a_token_that_was_renewed_waits_for_no_repair() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    found, now = None, NOW
    for number, wait in enumerate(WAITS[:3]):
        plan, after = sent(book, found, 50 + number, now)
        found = altered(after)
        answered(book, plan, found, now)
        now += wait if number < 2 else 1.0
    assert book.writes(A, now=now) == []
    newer = resolved(None, source(HUB_REGISTRY, password="newer"))
    assert book.adopt(seen_from(world(newer, version=2))) == {A}
    assert book.look(A, now=now) == [Due(A)]
    plan, after = sent(book, found, 60, now)
    answered(book, plan, altered(after), now)
    assert book.writes(A, now=now + 60.0) == []


def unmarked(found: Object) -> Object:
    """Strip what marks a target that is to go."""
    version = as_seen(found).resource_version
    return moved(changed(found, annotations={"imps-multi.io/unwanted-since": None}), version)


@pytest.mark.parametrize("taken", [True, False])
def test_a_mark_of_what_is_to_go_is_not_set_without_end_either(*, taken: bool) -> None:
    """Whether or not the answer was asked for whole: else it is read."""
    there = written(resolved())
    book = listed(resolved(policy(names=["elsewhere"])), found=[there])
    if taken:
        book.answers.hear((A, PULL), a_create(), as_sent())
    book.look(A, now=NOW)
    book.judge(book.wishes().wishes, frozenset())
    book.look(A, now=NOW)
    plan, after = sent(book, there, 50)
    answered(book, plan, after)
    if taken:
        stripped = as_seen(unmarked(after))
        book.see(SecretMoved(A, PULL, stripped.uid, 50, stripped.marks), now=NOW)
        told = book.to_read(A, PULL)
        assert told is not None
        book.read(told, stripped, now=NOW)
    else:
        book.see(SecretSeen(A, PULL, as_seen(unmarked(after))), now=NOW)
    assert book.writing == {A}
    assert book.writes(A, now=NOW) == []
    assert len(book.writes(A, now=NOW + 2.0)) == 1


def test_a_deletion_waits_for_no_repair() -> None:
    contests = Contests()
    contests.count((A, PULL), NOW, Author.ADMISSION, b"sent")
    assert contests.delay(TargetPlan(A, PULL, write=Delete(Uid("u"), 1, check=False)), NOW) == 0.0
    mark = Update(Uid("u"), 1, wanted=None, put=False)
    assert contests.delay(TargetPlan(A, PULL, write=mark), NOW) == 2.0


def lists(stored: Object, *, reset: bool = False) -> SecretsReplaced:
    return SecretsReplaced(PULL, ((A, as_seen(stored)),), 60, reset=reset)


@pytest.mark.parametrize("reset", [False, True])
def test_a_list_that_shows_other_data_at_our_version_tells_too(*, reset: bool) -> None:
    """Where only some namespaces are concerned; but a server whose history went back makes a version twice."""
    book = listed(resolved())
    book.look(A, now=NOW)
    book.answers.hear((NamespaceName("elsewhere"), PULL), a_create(), as_sent())
    plan, after = sent(book, None, 50)
    answered(book, plan, after)
    assert line_of(book) == (State.IN_SYNC, "")
    assert book.see(lists(altered(after), reset=reset), now=NOW) == [Due(A)]
    assert book.answers.altered == ({} if reset else {PULL: A})
    plan, after = sent(book, after, 61)
    assert book.answers.whole(PULL) is not reset


def test_a_list_that_comes_before_the_answer_tells_as_well() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    book.see(lists(altered(after)), now=NOW)
    assert book.written(plan, as_seen(after).uid, 50, now=NOW) == [Due(A, at=NOW + 2.0)]
    assert book.answers.altered == {PULL: A}


def test_whoever_changes_it_after_us_is_somebody() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    answered(book, plan, after)
    assert book.see(SecretSeen(A, PULL, as_seen(changed(after, content=THEIRS))), now=NOW) == [Due(A, urgent=True)]
    assert (book.answers.altered, line_of(book)) == ({}, (State.PENDING, ""))


class Admitting(Cluster):
    """A cluster whose admission changes what we write, in some of its namespaces; at times."""

    def __init__(self, die: Random) -> None:
        super().__init__(die)
        self.unknown: set[tuple[NamespaceName, SecretName]] = set()
        """Where other data were stored, and nobody was asked what."""

    def admit(self, after: Object) -> Object:
        metadata = after["metadata"]
        assert isinstance(metadata, dict)
        key = metadata["namespace"], metadata["name"]
        self.unknown.discard(key)
        if key[0] == "team-a" and self.die.random() < 0.7:
            if not self.book.answers.whole(key[1]):
                self.unknown.add(key)
            return altered(after)
        return after

    def relist(self) -> None:
        super().relist()
        getattr(self, "unknown", set()).clear()

    def check(self) -> None:
        """What was asked for is known; and where one was altered, what follows is asked for."""
        for (space, name), found in self.secrets.items():
            known = self.book.observed.secret(name, space)
            if known is None or (space, name) in self.unknown or self.told:
                continue
            if self.book.observed.moved(name, space) is None:
                assert same_secret(known, as_seen(found))
        assert all(self.book.answers.whole(name) for name in self.book.answers.altered)


def but_for_troubles(book: Book) -> dict[str, object]:
    """Return what a book says, but for why: a contest is said before anything else, and has a past."""
    lines = {
        where: tuple(structs.replace(line, reason="", message="", by_pods=False) for line in lines)
        for where, lines in book.tally.places()
    }
    return {**said(book), "lines": lines}


@settings(max_examples=200)
@given(dice)
def test_whatever_admission_does_the_book_knows_what_it_asked_for_and_says_what_one_would_anew(die: Random) -> None:
    cluster = Admitting(die)
    for _ in range(2 * TURNS):
        cluster.turn()
        cluster.check()
        assert cluster.book.writing <= cluster.due
        assert cluster.anything_unread() or but_for_troubles(cluster.book) == but_for_troubles(cluster.anew())


@settings(max_examples=100)
@given(dice)
def test_whatever_others_do_a_server_that_takes_what_we_send_is_not_blamed(die: Random) -> None:
    cluster = Cluster(die)
    for _ in range(2 * TURNS):
        cluster.turn()
        assert cluster.book.answers.altered == {}
        messages = {line.message for _, lines in cluster.book.tally.places() for line in lines}
        assert BY_ADMISSION not in messages
