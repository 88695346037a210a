"""What moved on without a word of what it holds: what has to be read, when, and what follows from it."""

from collections.abc import Callable

import pytest

from imps_multi.model.book import Book, Due
from imps_multi.model.contest import CONTESTED_AFTER
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.observed import (
    NamespaceRecord,
    NamespaceSeen,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
)
from imps_multi.model.target_plan import Create, State, TargetPlan, Update
from imps_multi.model.world import Resolved
from tests.model.objects import Object, carry_out, made, metadata_of
from tests.model.scenes import (
    HUB_REGISTRY,
    NOW,
    changed,
    namespace,
    policy,
    resolved,
    seen_from,
    source,
    world,
    written,
)
from tests.model.test_book import PULL, URGENT, A, as_seen, line_of, listed, moved, the_plan

READ = [Due(A)]
OTHER = SecretName("other")


def heard(found: Object, version: int, space: NamespaceName = A, name: SecretName = PULL) -> SecretMoved:
    """Tell of a Secret as a watch of metadata does."""
    seen = as_seen(moved(found, version))
    return SecretMoved(space, name, seen.uid, version, seen.marks)


def stale(password: str = "new") -> Resolved:
    """The policy after its credential was renewed."""
    return resolved(None, source(HUB_REGISTRY, password=password))


def sent(book: Book, found: Object | None, version: int) -> tuple[TargetPlan, Object]:
    """Send the write that is due; return what it makes of the Secret."""
    plan = the_plan(book)
    book.sending(plan)
    if found is not None and isinstance(plan.write, Update):
        metadata_of(found)["resourceVersion"] = str(plan.write.resource_version)
    return plan, moved(carry_out(found, plan) or {}, version)


def read(book: Book, found: SeenSecret | None) -> list[Due] | None:
    """Read what has to be read."""
    told = book.to_read(A, PULL)
    assert told is not None
    return book.read(told, found, now=NOW)


def answer(book: Book, plan: TargetPlan, after: Object) -> list[Due]:
    seen = as_seen(after)
    return book.written(plan, seen.uid, seen.resource_version, now=NOW)


# our own writes


@pytest.mark.parametrize("watch_first", [False, True])
@pytest.mark.parametrize("there", [None, written(resolved())], ids=["create", "update"])
def test_nothing_is_read_of_what_we_write_ourselves(there: Object | None, *, watch_first: bool) -> None:
    book = listed(stale(), found=[there] if there is not None else [])
    book.look(A, now=NOW)
    plan, after = sent(book, there, 50)
    if watch_first:
        assert book.see(heard(after, 50), now=NOW) == []
        assert book.unread(A) == []
    assert answer(book, plan, after) == []
    if not watch_first:
        assert book.see(heard(after, 50), now=NOW) == []
    assert (book.unread(A), book.writing, line_of(book)) == ([], set(), (State.IN_SYNC, ""))


def test_nothing_is_planned_again_after_a_write_that_settles_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    monkeypatch.setattr(book.targets, "plan", lambda *_: pytest.fail("it is planned"))
    assert answer(book, plan, after) == []
    assert (book.writing, line_of(book)) == (set(), (State.IN_SYNC, ""))


CHANGES: dict[str, Callable[[Book], object]] = {
    "a new world": lambda book: book.adopt(seen_from(world(stale("newer"), version=2))),
    "the brake's word": lambda book: book.judge(frozenset(), frozenset(), {}),
    "the namespace's labels": lambda book: book.see(NamespaceSeen(NamespaceRecord(A, 99, (("x", "y"),))), now=NOW),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_it_is_planned_again_when_anything_has_changed_since_it_was_sent(
    change: Callable[[Book], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    change(book)
    looks: list[NamespaceName] = []

    def look(space: NamespaceName, **_: object) -> list[Due]:
        looks.append(space)
        return []

    monkeypatch.setattr(book, "look", look)
    answer(book, plan, after)
    assert looks == [A]


def test_of_two_names_in_a_namespace_the_second_is_still_due_after_the_first() -> None:
    second = resolved(policy("q", secret="other"))
    book = listed(resolved(), second, names=("pull", "other"))
    book.look(A, now=NOW)
    plans = {plan.name: plan for plan in book.writes(A, now=NOW)}
    assert plans.keys() == {PULL, OTHER}
    book.sending(plans[PULL])
    after = moved(carry_out(None, plans[PULL]) or {}, 50)
    assert [due.namespace for due in answer(book, plans[PULL], after)] == [A]
    assert book.writing == {A}
    assert [plan.name for plan in book.writes(A, now=NOW)] == [OTHER]


# what others write


def test_an_edited_target_is_read_at_once_and_then_repaired() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    spoilt = changed(there, content=b"{}")
    assert book.see(heard(spoilt, 20), now=NOW) == URGENT
    assert (book.unread(A), book.writes(A, now=NOW), book.writing) == ([PULL], [], {A})
    assert line_of(book) == (State.IN_SYNC, "")  # as far as anybody knows
    assert read(book, as_seen(spoilt)) == URGENT
    assert (book.unread(A), line_of(book)) == ([], (State.PENDING, ""))
    assert isinstance(the_plan(book).write, Update)


def test_an_edit_that_changes_nothing_of_ours_is_read_and_settled() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    touched = changed(there, labels={"their": "label"})
    book.see(heard(touched, 20), now=NOW)
    assert read(book, as_seen(touched)) == []
    assert (book.writing, line_of(book)) == (set(), (State.IN_SYNC, ""))


def test_what_is_gone_before_it_is_read_is_made_anew() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    book.see(heard(changed(there, content=b"{}"), 20), now=NOW)
    assert read(book, None) == URGENT
    assert isinstance(the_plan(book).write, Create)
    assert book.see(SecretGone(A, PULL, 21), now=NOW) == []  # which the watch says later


def test_what_was_made_anew_since_it_was_found_gone_is_there() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    book.see(heard(changed(there, content=b"{}"), 20), now=NOW)
    told = book.to_read(A, PULL)
    assert told is not None
    book.see(SecretGone(A, PULL, 21), now=NOW)
    book.see(heard(foreign(22), 22), now=NOW)
    assert book.read(told, None, now=NOW) == READ
    assert book.unread(A) == [PULL]


@pytest.mark.parametrize(
    "end",
    [SecretGone(A, PULL, 21), SecretsReplaced(PULL, ((A, as_seen(moved(written(resolved()), 20))),), 21)],
    ids=["gone", "listed"],
)
def test_what_a_watch_or_a_list_settles_is_not_read(end: SecretGone | SecretsReplaced) -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    book.see(heard(changed(there, labels={"their": "label"}), 20), now=NOW)
    assert book.unread(A) == [PULL]
    book.see(end, now=NOW)
    assert book.unread(A) == []
    assert book.writing == ({A} if isinstance(end, SecretGone) else set())


def test_an_edit_after_our_write_is_read_whichever_comes_first() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    seen = as_seen(after)
    assert book.see(heard(changed(after, content=b"{}"), 51), now=NOW) == []  # the answer is still to come
    assert book.written(plan, seen.uid, 50, now=NOW) == [Due(A)]
    assert book.unread(A) == [PULL]


def test_an_edit_that_was_told_whole_before_the_answer_is_repaired() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    book.see(SecretSeen(A, PULL, as_seen(moved(changed(after, content=b"{}"), 51))), now=NOW)
    answer(book, plan, after)
    assert (book.writing, line_of(book)) == ({A}, (State.PENDING, ""))


def test_what_happened_during_a_write_that_came_to_nothing_is_read() -> None:
    there = written(resolved())
    book = listed(stale(), found=[there])
    book.look(A, now=NOW)
    plan, _ = sent(book, there, 50)
    assert book.see(heard(changed(there, content=b"{}"), 20), now=NOW) == []
    assert book.unread(A) == []
    book.sent(plan)  # with a 409, say
    assert book.unread(A) == [PULL]


@pytest.mark.parametrize("watch_first", [False, True])
def test_what_a_server_made_of_our_labels_is_read(*, watch_first: bool) -> None:
    """As an admission webhook does that strips one."""
    book = listed(resolved())
    book.look(A, now=NOW)
    plan, after = sent(book, None, 50)
    stored = changed(after, labels={"imps-multi.io/hub": None})
    if watch_first:
        book.see(heard(stored, 50), now=NOW)
    dues = book.written(plan, as_seen(after).uid, 50, now=NOW)
    if not watch_first:
        dues = book.see(heard(stored, 50), now=NOW)
    assert dues
    assert book.unread(A) == [PULL]
    assert read(book, as_seen(moved(stored, 50)))
    assert book.writes(A, now=NOW) == []  # to repair it at once would end the same way
    assert isinstance(the_plan(book, NOW + 2.0).write, Update)


def test_a_read_that_says_what_was_known_is_the_end_of_it() -> None:
    """Though the watch told other labels of that version: no server may make us read for ever."""
    there = written(resolved())
    book = listed(resolved(), found=[moved(there, 20)])
    book.see(heard(changed(there, labels={"their": "label"}), 20), now=NOW)
    assert book.unread(A) == [PULL]
    assert read(book, as_seen(moved(there, 20))) == []
    assert (book.unread(A), book.writing) == ([], set())


def test_reading_waits_for_no_contest_and_the_repair_does() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    waits = []
    for number in range(CONTESTED_AFTER + 1):
        spoilt = changed(there, content=b"{}")
        assert book.see(heard(spoilt, 20 + 2 * number), now=NOW) == URGENT
        waits.append(wait(read(book, as_seen(spoilt))))
        plan = book._backlog.take(A, now=NOW)
        assert plan is not None
        metadata_of(spoilt)["resourceVersion"] = str(20 + 2 * number)
        there = moved(carry_out(spoilt, plan[0]) or {}, 21 + 2 * number)
        after = answer(book, plan[0], there)
    assert waits == [0.0] * CONTESTED_AFTER + [2.0]
    assert wait(after) > 0  # then it is said that the contest is over
    assert line_of(book) == (State.IN_SYNC, "Contested")


def wait(dues: list[Due] | None) -> float:
    """Return in how many seconds the one thing that is due may be done."""
    assert dues is not None
    (due,) = dues
    return (due.at or NOW) - NOW


def test_who_undoes_our_writes_before_they_are_answered_is_in_a_contest_too() -> None:
    """As a quick controller."""
    book = listed(resolved())
    book.look(A, now=NOW)
    there: Object | None = None
    waits = []
    for number in range(CONTESTED_AFTER + 1):
        plan = (book._backlog.take(A, now=NOW) or [])[0]
        book.sending(plan)
        after = moved(carry_out(there, plan) or {}, 50 + 2 * number)
        there = moved(changed(after, labels={"imps-multi.io/hub": None}), 51 + 2 * number)
        assert book.see(heard(there, 51 + 2 * number), now=NOW) == []
        assert answer(book, plan, after) == READ
        waits.append(wait(read(book, as_seen(there))))
    assert waits == [0.0] * CONTESTED_AFTER + [2.0]


# what is nobody's


def foreign(version: int) -> Object:
    return moved(made(labels={}, annotations={}), version)


def test_a_foreign_secret_where_nobody_wants_one_is_not_read_until_somebody_does() -> None:
    book = listed(resolved(policy(names=["elsewhere"])))
    assert book.see(heard(foreign(20), 20), now=NOW) == []
    assert (book.unread(A), book.writing) == ([], set())
    (touched,) = book.adopt(seen_from(world(resolved(), version=2)))
    assert touched == A
    assert book.unread(A) == [PULL]  # before anything is planned
    assert book.look(A, now=NOW) == READ
    assert book.unread(A) == [PULL]
    read(book, as_seen(foreign(20)))
    assert line_of(book) == (State.CONFLICT, "Conflict")


def test_what_was_wanted_until_it_was_to_be_read_is_not_read() -> None:
    book = listed(resolved(policy(names=["elsewhere"])))
    book.see(heard(foreign(20), 20), now=NOW)
    for version, wanted in ((2, resolved()), (3, resolved(policy(names=["elsewhere"])))):
        (space,) = book.adopt(seen_from(world(wanted, version=version)))
        book.look(space, now=NOW)
    assert (book.unread(A), book.writing) == ([], set())


def test_a_foreign_secret_where_we_want_to_write_is_read_before_we_do() -> None:
    book = listed(resolved())
    assert book.look(A, now=NOW) == URGENT
    book.see(heard(foreign(20), 20), now=NOW)
    assert book.writes(A, now=NOW) == []
    assert book.unread(A) == [PULL]


def test_nothing_is_read_in_a_namespace_that_goes_or_of_a_name_that_may_not_be_watched() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    book.see(heard(changed(there, content=b"{}"), 20), now=NOW)
    book.see(NamespaceSeen(namespace(terminating=True, version=30)), now=NOW)
    assert (book.unread(A), book.writing) == ([], set())
    book = listed(resolved(), found=[there])
    book.see(heard(changed(there, content=b"{}"), 20), now=NOW)
    for space in book.forbid(PULL, "secrets is forbidden"):
        book.look(space, now=NOW)
    assert (book.unread(A), book.writing) == ([], set())


def test_what_is_no_longer_wanted_is_forgotten_once_it_is_read() -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    book.see(heard(foreign(20), 20), now=NOW)
    assert book.unread(A) == [PULL]
    for space in book.adopt(seen_from(world(resolved(policy(names=["elsewhere"])), version=2))):
        book.look(space, now=NOW)
    assert read(book, as_seen(foreign(20))) == []
    assert (book.unread(A), book.writing, book.tally.lines((A, PULL))) == ([], set(), ())


def test_a_stripped_target_that_nobody_wants_is_still_read() -> None:
    """It is ours by what it still says, or by what we remember."""
    book = listed(resolved(policy(names=["elsewhere"])))
    half = changed(written(resolved()), labels={"imps-multi.io/hub": None})
    assert book.see(heard(half, 20), now=NOW)
    assert book.unread(A) == [PULL]


def test_a_target_of_ours_that_was_not_looked_at_is_read_though_it_is_another_now() -> None:
    """No removal is planned by what it was."""
    there, other = written(resolved()), made(labels={}, annotations={}, uid="uid-9")
    book = listed(resolved(policy(names=["elsewhere"])), found=[there])
    book.see(NamespaceSeen(namespace(terminating=True, version=30)), now=NOW)
    book.see(heard(other, 40), now=NOW)
    assert (book.unread(A), book.tally.lines((A, PULL))) == ([], ())
    assert book.see(NamespaceSeen(namespace(version=50)), now=NOW) == READ
    assert (book.unread(A), book.tally.lines((A, PULL))) == ([PULL], ())
    assert read(book, as_seen(other)) == []
    assert (book.unread(A), book.writing) == ([], set())


def test_an_older_word_is_no_news() -> None:
    there = moved(written(resolved()), 20)
    book = listed(resolved(), found=[there])
    assert book.see(heard(changed(there, content=b"{}"), 19), now=NOW) == []
    assert book.unread(A) == []
    old: SeenSecret = as_seen(moved(there, 15))
    book.see(heard(changed(there, content=b"{}"), 30), now=NOW)
    assert read(book, old) is None  # an answer that is out of date does not count
    assert book.unread(A) == [PULL]
