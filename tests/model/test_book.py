"""The book's single cases: what is urgent, what is slowed down, what is remembered, what a name's end leaves behind."""

import sys
from collections.abc import Iterable, Iterator

import pytest

from imps_multi.model.backlog import PLAN_SECONDS, PLANS_KEPT
from imps_multi.model.book import Book, Due
from imps_multi.model.contest import CONTESTED_AFTER
from imps_multi.model.failures import Failure
from imps_multi.model.names import NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.target_plan import Create, Delete, State, TargetPlan, Update
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Resolved
from tests.model.objects import Object, carry_out, made, metadata_of, observe
from tests.model.scenes import (
    CLUSTER,
    HOUR,
    HUB,
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

PULL = SecretName("pull")
A = NamespaceName("team-a")
URGENT = [Due(A, urgent=True)]


def listed(
    *policies: Resolved,
    found: Iterable[Object] = (),
    spaces: Iterable[str] = ("team-a",),
    names: Iterable[str] = ("pull",),
) -> Book:
    """A book whose lists are in."""
    book = Book(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
    book.drop_names(frozenset(map(SecretName, names)))
    book.adopt(seen_from(world(*policies)))
    book.see(NamespacesReplaced(tuple(namespace(name) for name in spaces), 10), now=NOW)
    seen = [(NamespaceName(str(metadata_of(one)["namespace"])), as_seen(one)) for one in found]
    for name in names:
        book.see(SecretsReplaced(SecretName(name), tuple(seen) if name == "pull" else (), 10), now=NOW)
    book.complete(whole_picture=True)
    return book


def as_seen(found: Object) -> SeenSecret:
    seen = observe(found)
    assert seen is not None
    return seen


def line_of(book: Book, space: str = "team-a", name: str = "pull") -> tuple[State, str]:
    (line,) = book.tally.lines((NamespaceName(space), SecretName(name)))
    return line.state, line.reason


def the_plan(book: Book, now: float = NOW) -> TargetPlan:
    (plan,) = book.writes(A, now=now)
    return plan


def versions(first: int = 100) -> Iterator[int]:
    yield from range(first, first + 1000)


def repair(book: Book, found: Object | None, version: int, now: float = NOW) -> tuple[Object, list[Due]]:
    """Make the write that is due, and fold in its answer."""
    plan = the_plan(book, now)
    if found is not None and not isinstance(plan.write, Create | Delete | None):
        metadata_of(found)["resourceVersion"] = str(plan.write.resource_version)
    after = carry_out(found, plan) or {}
    metadata_of(after)["resourceVersion"] = str(version)
    return after, book.written(plan, Uid(str(metadata_of(after)["uid"])), version, now=now)


def moved(found: Object, version: int) -> Object:
    metadata_of(found)["resourceVersion"] = str(version)
    return found


def told(found: Object, version: int) -> SecretSeen:
    return SecretSeen(A, PULL, as_seen(moved(found, version)))


# what is due


def test_a_missing_target_is_urgent_and_a_refresh_is_not() -> None:
    book = listed(resolved())
    assert book.look(A, now=NOW) == URGENT
    fresh = listed(resolved(None, source(HUB_REGISTRY, password="new")), found=[written(resolved())])
    assert fresh.look(A, now=NOW) == [Due(A)]


def test_what_is_in_sync_is_not_due() -> None:
    book = listed(resolved(), found=[written(resolved())])
    assert book.look(A, now=NOW) == []
    assert book.writing == set()


def test_a_worker_gets_what_the_last_look_planned_while_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    book = listed(resolved())
    plans: list[object] = []
    monkeypatch.setattr(book.targets, "plan", lambda *of: plans.append(of))
    assert isinstance(the_plan(book, NOW + PLAN_SECONDS).write, Create)
    assert plans == []
    assert book.writes(A, now=NOW) == []  # nothing is kept for a second worker
    assert len(plans) == 1


def test_only_so_many_plans_are_kept() -> None:
    spaces = [f"team-{number:04d}" for number in range(PLANS_KEPT + 10)]
    book = listed(resolved(), spaces=spaces)
    for space in spaces:
        book.look(NamespaceName(space), now=NOW)
    assert len(book.writing) == PLANS_KEPT + 10
    assert book._backlog.kept == PLANS_KEPT
    assert all(book.writes(NamespaceName(space), now=NOW) for space in spaces)


def test_no_older_plan_stands_where_a_newer_one_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    book = listed(resolved())
    monkeypatch.setattr("imps_multi.model.backlog.PLANS_KEPT", 0)
    book.look(A, now=NOW)
    assert book._backlog.kept == 0


def test_a_plan_that_waited_for_long_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    book = listed(resolved())
    monkeypatch.setattr(book.targets, "plan", lambda *_: None)
    assert book.writes(A, now=NOW + PLAN_SECONDS + 1) == []


def test_a_plan_is_made_again_when_only_the_version_has_moved() -> None:
    there = written(resolved())
    book = listed(resolved(None, source(HUB_REGISTRY, password="new")), found=[there])
    assert book.see(told(there, 20), now=NOW) == []
    write = the_plan(book).write
    assert isinstance(write, Update)
    assert write.resource_version == 20
    book.look(A, now=NOW)
    book.see(SecretsReplaced(PULL, ((A, as_seen(moved(there, 30))),), 30), now=NOW)
    write = the_plan(book).write
    assert isinstance(write, Update)
    assert write.resource_version == 30


def test_a_plan_is_made_again_when_something_else_is_wanted() -> None:
    book = listed(resolved())
    book.adopt(seen_from(world()))
    assert book.writes(A, now=NOW) == []


def test_nothing_is_due_before_everything_was_listed() -> None:
    book = Book(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
    book.drop_names(frozenset({PULL}))
    book.adopt(seen_from(world(resolved())))
    assert book.see(NamespacesReplaced((namespace(),), 10), now=NOW) == []
    assert not book.listing.synced
    assert book.see(SecretsReplaced(PULL, (), 10), now=NOW) == URGENT
    assert book.listing.synced


def test_an_edit_of_a_target_in_sync_is_urgent() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    assert book.see(told(changed(there, content=b"{}"), 20), now=NOW) == URGENT
    assert book.see(SecretGone(A, PULL, 21), now=NOW) == URGENT


def test_an_event_that_shows_what_is_known_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    known = book.observed.secret(PULL, A)
    assert known is not None
    monkeypatch.setattr(book.observed, "apply", lambda _: pytest.fail("it was folded in"))
    assert book.see(told(there, known.resource_version), now=NOW) == []
    monkeypatch.undo()
    assert book.see(told(changed(there, content=b"{}"), known.resource_version + 1), now=NOW) == URGENT


def test_a_foreign_label_on_a_target_in_sync_is_nobodys_business() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    for version in range(20, 20 + 2 * CONTESTED_AFTER):
        assert book.see(told(changed(there, labels={"note": str(version)}), version), now=NOW) == []
    assert book.see(told(changed(there, content=b"{}"), 99), now=NOW) == URGENT


def test_the_event_that_follows_an_answer_changes_nothing() -> None:
    book = listed(resolved())
    after, dues = repair(book, None, 20)
    assert dues == []
    assert line_of(book) == (State.IN_SYNC, "")
    assert book.see(told(after, 20), now=NOW) == []


def test_a_wake_is_due_at_its_time() -> None:
    one = resolved(policy(names=["other"]))
    there = changed(written(resolved()), annotations={"imps-multi.io/unwanted-since": "2027-01-15T08:00:00Z"})
    book = listed(one, found=[changed(there, annotations={"imps-multi.io/linger": "1h"})])
    assert book.look(A, now=NOW) == [Due(A, at=NOW + HOUR)]


# who keeps changing it


def fight(book: Book, there: Object, rounds: int) -> tuple[list[float], float]:
    """Somebody changes it, we repair it when that is due; return how long we waited, and when it ended."""
    waits: list[float] = []
    version, now = versions(), NOW
    for _ in range(rounds):
        spoilt = changed(there, content=b"{}")
        (due,) = book.see(told(spoilt, next(version)), now=now)
        waits.append((due.at or now) - now)
        now = due.at or now
        there, rest = repair(book, spoilt, next(version), now)
        assert book.writing == set()
        assert all(one.at is not None and one.at > now for one in rest), "nothing but the end of the contest is due"
        now += 1.0
    return waits, now


def test_whoever_keeps_changing_a_target_is_answered_ever_more_slowly() -> None:
    there = written(resolved())
    waits, _ = fight(listed(resolved(), found=[there]), there, CONTESTED_AFTER + 10)
    at_once, slower = waits[:CONTESTED_AFTER], waits[CONTESTED_AFTER:]
    assert set(at_once) == {0.0}
    assert slower == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


def test_a_contested_target_says_so_while_it_waits_and_is_forgiven_after_peace() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    _, now = fight(book, there, CONTESTED_AFTER)
    assert line_of(book) == (State.IN_SYNC, "")
    book.see(told(changed(there, content=b"{}"), 900), now=now)
    assert line_of(book) == (State.PENDING, "Contested")
    assert book.writes(A, now=now) == []
    assert book.writing == {A}
    assert book.look(A, now=now + 700) == [Due(A)]
    assert len(book.writes(A, now=now + 700)) == 1


def test_whoever_keeps_taking_a_target_away_is_answered_more_slowly_too() -> None:
    book = listed(resolved(), found=[written(resolved())])
    version = versions()
    waits = []
    for _ in range(CONTESTED_AFTER + 1):
        (due,) = book.see(SecretGone(A, PULL, next(version)), now=NOW)
        waits.append((due.at or NOW) - NOW)
        repair(book, None, next(version), due.at or NOW)
        assert book.writing == set()
    assert waits == [0.0] * CONTESTED_AFTER + [2.0]


@pytest.mark.parametrize("watch_first", [False, True])
def test_a_server_that_changes_what_we_send_is_not_written_to_without_end(*, watch_first: bool) -> None:
    """As an admission webhook does that strips a label."""
    book = listed(resolved())
    there: Object | None = None
    due = book.look(A, now=NOW)[0]
    version, now, waits = versions(), NOW, list[float]()
    for _ in range(5):
        number = next(version)
        plan = the_plan(book, now)
        there = changed(carry_out(there, plan) or {}, labels={"imps-multi.io/hub": None})
        event = told(there, number)
        dues = book.see(event, now=now) if watch_first else []
        dues = book.written(plan, event.secret.uid, number, now=now) + dues
        dues = dues if watch_first else book.see(event, now=now)
        due = dues[0]
        waits.append((due.at or now) - now)
        now = due.at or now
    assert waits == [2.0, 128.0, 3600.0, 3600.0, 3600.0]


# whose it was


def stripped(found: Object) -> Object:
    bare = changed(found, labels={"app.kubernetes.io/managed-by": None, "imps-multi.io/hub": None})
    return changed(bare, annotations={"imps-multi.io/policy": None})


def test_a_target_that_was_stripped_while_we_looked_is_repaired() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    assert book.see(told(stripped(there), 20), now=NOW) == URGENT
    repair(book, stripped(there), 21)
    assert line_of(book) == (State.IN_SYNC, "")
    assert book.past.remembered == {}


def test_a_target_that_was_stripped_between_two_lists_is_repaired() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    bare = as_seen(stripped(there))
    assert book.see(SecretsReplaced(PULL, ((A, bare),), 30), now=NOW) == [Due(A)]


def test_what_we_made_and_somebody_stripped_at_once_is_repaired() -> None:
    book = listed(resolved())
    after, _ = repair(book, None, 20)
    assert book.see(told(stripped(after), 21), now=NOW) == URGENT


def test_a_target_that_was_given_away_is_not_taken_back() -> None:
    retain = policy(names=["other"], deletion=DeletionPolicy.RETAIN)
    there = written(resolved(policy(deletion=DeletionPolicy.RETAIN)))
    book = listed(resolved(retain), found=[there])
    assert book.judge(book.wishes().wishes, frozenset()) == {A}
    after, dues = repair(book, there, 20)
    assert dues == []
    assert book.see(told(after, 20), now=NOW) == []
    assert (book.wishes().wishes, book.wishes().totals) == (frozenset(), {})
    book.adopt(seen_from(world(resolved(), version=2)))
    book.look(A, now=NOW)
    assert line_of(book) == (State.CONFLICT, "Conflict")


def test_a_target_that_was_given_away_is_somebody_else_s_also_when_the_watch_is_first() -> None:
    retain, rival = policy(names=["other"], deletion=DeletionPolicy.RETAIN), policy("rival", suspend=True)
    there = written(resolved(policy(deletion=DeletionPolicy.RETAIN)))
    book = listed(resolved(retain), resolved(rival), found=[there])
    book.judge(book.wishes().wishes, frozenset())
    (plan,) = book.writes(A, now=NOW)
    after = carry_out(there, plan)
    assert after is not None
    book.see(told(after, 20), now=NOW)
    book.written(plan, as_seen(there).uid, 20, now=NOW)
    assert line_of(book) == (State.CONFLICT, "Conflict")


def test_another_uid_in_the_place_of_a_target_is_counted_however_it_is_learnt() -> None:
    there = written(resolved(), uid="one")
    book = listed(resolved(), found=[there])
    book.see(SecretGone(A, PULL, 20), now=NOW)
    assert book.past.uid_changes == 0
    repair(book, None, 21)
    assert book.past.uid_changes == 1
    book.see(SecretsReplaced(PULL, ((A, as_seen(written(resolved(), uid="two", version=30))),), 30), now=NOW)
    assert book.past.uid_changes == 2
    book.see(told(written(resolved(), uid="three"), 40), now=NOW)
    assert book.past.uid_changes == 3


@pytest.mark.parametrize("secrets_first", [True, False])
def test_a_namespace_that_is_made_anew_is_no_change_of_uid(*, secrets_first: bool) -> None:
    book = listed(resolved(), found=[written(resolved(), uid="one")])
    book.see(NamespaceSeen(NamespaceRecord(A, 20, terminating=True)), now=NOW)
    gone: list[WatchEvent] = [SecretGone(A, PULL, 21), NamespaceGone(A, 22)]
    for event in gone if secrets_first else reversed(gone):
        book.see(event, now=NOW)
    assert book.see(NamespaceSeen(NamespaceRecord(A, 23)), now=NOW) == URGENT
    repair(book, None, 24)
    assert book.past.uid_changes == 0


def test_what_was_remembered_of_a_secret_goes_with_it() -> None:
    there = written(resolved())
    book = listed(resolved(), found=[there])
    book.see(told(stripped(there), 20), now=NOW)
    assert book.past.remembered == {"uid-1": "p"}
    book.see(SecretGone(A, PULL, 21), now=NOW)
    assert book.past.remembered == {}


# what became of a write


def test_a_failure_is_shown_until_the_write_works() -> None:
    book = listed(resolved())
    plan = the_plan(book)
    book.targets.failed(plan, Failure("Invalid", "the server says no"))
    assert line_of(book) == (State.FAILED, "Invalid")
    assert book.look(A, now=NOW) == URGENT
    assert line_of(book) == (State.FAILED, "Invalid")
    repair(book, None, 20)
    assert line_of(book) == (State.IN_SYNC, "")


def test_a_failure_that_was_overtaken_is_forgotten() -> None:
    there = written(resolved())
    book = listed(resolved(None, source(HUB_REGISTRY)), found=[changed(there, content=b"{}")])
    book.targets.failed(the_plan(book), Failure("Conflict", "somebody was faster"))
    assert book.see(told(there, 20), now=NOW) == []
    book.see(told(changed(there, content=b"{}"), 21), now=NOW)
    assert line_of(book) == (State.PENDING, "")


def test_after_contact_is_back_failures_are_forgotten() -> None:
    book = listed(resolved())
    book.targets.failed(the_plan(book), Failure("Transient", "no connection"))
    book.forgive()
    book.look(A, now=NOW)
    assert line_of(book) == (State.PENDING, "")


def test_what_waits_for_its_policys_edit_to_be_admitted_is_looked_at_when_it_is() -> None:
    book = listed(resolved())
    name = PolicyName("p")
    assert book.judge(frozenset(), frozenset(), {}) == {A}
    assert book.look(A, now=NOW) == []
    assert book.targets.growth() == {name: 1}
    assert book.judge(frozenset(), frozenset(), {name: 1}) == {A}
    assert book.look(A, now=NOW) == URGENT
    assert book.targets.growth() == {}


def test_a_404_to_an_update_makes_a_create_due() -> None:
    book = listed(resolved(None, source(HUB_REGISTRY, password="new")), found=[written(resolved())])
    assert book.gone(the_plan(book), now=NOW) == URGENT
    assert isinstance(the_plan(book).write, Create)


def immediate() -> Book:
    book = listed(
        resolved(policy(names=["other"], deletion=DeletionPolicy.IMMEDIATE)),
        found=[written(resolved(policy(deletion=DeletionPolicy.IMMEDIATE)))],
    )
    assert book.judge(book.wishes().wishes, frozenset()) == {A}
    return book


def test_what_was_let_go_is_deleted_and_forgotten() -> None:
    book = immediate()
    assert book.look(A, now=NOW) == URGENT
    plan = the_plan(book)
    assert isinstance(plan.write, Delete)
    assert book.gone(plan, now=NOW) == []
    assert (book.wishes().wishes, book.wishes().totals, book.past.uid_changes) == (frozenset(), {}, 0)


def test_losing_the_whole_picture_stops_a_delete_that_was_due() -> None:
    book = immediate()
    book.look(A, now=NOW)
    book.observed.unsync_name(PULL)
    assert book.complete(whole_picture=book.picture_is_whole) == {A}
    assert book.writes(A, now=NOW) == []


def test_the_word_of_the_brake_about_other_clusters_touches_nothing_here() -> None:
    book = immediate()
    here = book.wishes().wishes
    elsewhere = frozenset(type(one)(one.policy, "other-cluster", one.namespace, one.secret) for one in here)  # type: ignore[arg-type]  # a NewType
    assert book.judge(here | elsewhere, elsewhere) == set()


def test_a_deletion_that_somebody_stands_against_is_put_off_ever_longer() -> None:
    there = changed(written(resolved()), annotations={"imps-multi.io/unwanted-since": "2027-01-15T07:00:00Z"})
    book = listed(resolved(policy(names=["other"])), found=[changed(there, annotations={"imps-multi.io/linger": "1h"})])
    now, delays = NOW, []
    for _ in range(8):
        (due,) = book.referenced(the_plan(book, now), now=now)
        delays.append((due.at or 0.0) - now)
        now = due.at or now
    assert delays == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]


# names


def test_a_forbidden_name_fails_and_other_names_go_on() -> None:
    book = listed(
        resolved(),
        resolved(policy("q", secret="second", names=["other"])),
        found=[written(resolved())],
        names=["pull", "second"],
    )
    forbidden = SecretName("second")
    assert book.forbid(forbidden, "not allowed") == {A}
    assert book.forbid(forbidden, "not allowed") == set()
    book.adopt(seen_from(world(resolved(), resolved(policy("q", secret="second")), version=2)))
    book.look(A, now=NOW)
    assert line_of(book, name="second") == (State.FAILED, "Forbidden")
    assert line_of(book) == (State.IN_SYNC, "")
    assert not book.listing.synced
    assert book.picture_is_whole
    book.see(SecretsReplaced(forbidden, (), 30), now=NOW)
    assert book.listing.synced
    assert book.listing.forbidden == {}
    assert line_of(book, name="second") == (State.PENDING, "")


def test_a_name_that_is_not_watched_any_more_leaves_nothing_behind() -> None:
    book = listed(resolved(policy(names=["other"])), found=[written(resolved())])
    assert book.wishes().wishes
    assert book.drop_names(frozenset({SecretName("other")})) == {PULL}
    assert (book.wishes().wishes, book.wishes().totals, dict(book.targets.policies())) == (frozenset(), {}, {})


def test_a_name_that_is_new_makes_the_picture_incomplete_until_it_is_listed() -> None:
    book = listed(resolved())
    book.drop_names(frozenset({PULL, SecretName("new")}))
    assert not book.picture_is_whole
    book.see(SecretsReplaced(SecretName("new"), (), 20), now=NOW)
    assert book.picture_is_whole


# counts


def test_a_namespace_of_ten_thousand_plans_one() -> None:
    spaces = [f"team-{number}" for number in range(10_000)]
    there = [written(resolved(), record=namespace(name)) for name in spaces[:1]]
    book = listed(resolved(), found=there, spaces=spaces)
    before = book.tally.changes
    after, _ = book.see(told(changed(made(namespace=spaces[5]), labels={}), 50), now=NOW), None
    assert len(after) <= 1
    assert book.tally.changes - before <= 1


def test_excluded_namespaces_are_counted_as_policies_come_and_go() -> None:
    book = listed(resolved(policy(names=["*"], exclude=["team-b"])), spaces=["team-a", "team-b"])
    assert book.targets.policies()[PolicyName("p")].excluded == 1
    for space in book.adopt(seen_from(world(resolved(policy(names=["team-a"])), version=2))):
        book.look(space, now=NOW)
    assert book.targets.policies()[PolicyName("p")].excluded == 0
    for space in book.adopt(seen_from(world(resolved(policy(names=["x"], exclude=["team-*"])), version=3))):
        book.look(space, now=NOW)
    assert "p" not in book.targets.policies()


def test_the_number_of_our_targets_and_the_wishes_are_told_when_they_change() -> None:
    book = listed(resolved())
    told_before = book.targets.wish_changes
    repair(book, None, 20)
    assert book.targets.wish_changes > told_before
    assert book.wishes().totals == {"p": 1}


def test_what_a_fan_out_needed_is_given_back_at_its_end() -> None:
    spaces = [f"team-{number:03d}" for number in range(500)]
    book = listed(resolved(), spaces=spaces)
    full = sys.getsizeof(book.writing)
    for number, space in enumerate(spaces):
        (plan,) = book.writes(NamespaceName(space), now=NOW)
        book.written(plan, Uid(f"u-{number}"), 100 + number, now=NOW)
    assert book.writing == set()
    assert sys.getsizeof(book.writing) < full / 10
    assert sys.getsizeof(book._backlog._planned) < 100
