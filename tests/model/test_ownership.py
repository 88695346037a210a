"""Whose a Secret is, as the book follows it: conflicts that clear themselves, adoption remembered, IMPS beside us."""

import pytest

from imps_multi.model.book import Book
from imps_multi.model.contest import BY_IMPS, BY_SOMEBODY, CONTESTED_AFTER, IMPS_WEIGHT, SHOWN_SECONDS
from imps_multi.model.names import NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import NamespacesReplaced, SecretGone, SecretSeen, SecretsReplaced, SeenSecret
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy, Policy
from imps_multi.model.target_plan import Delete, Line, State, TargetPlan, Update
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Resolved
from tests.model.objects import Object, carry_out, made, metadata_of, observe, texts
from tests.model.scenes import CLUSTER, HUB, NOW, changed, namespace, policy, resolved, seen_from, world, written
from tests.model.strategies import by_imps

PULL, A = SecretName("pull"), NamespaceName("team-a")
ADOPTED = "imps-multi.io/adopted"
THEIRS = made(b'{"auths":{"theirs.example.com":{}}}', labels={"team": "x"})


def adopting(**more: object) -> Policy:
    return policy(conflict=ConflictPolicy.ADOPT, **more)  # type: ignore[arg-type]  # any part of a policy


class Place:
    """One target with its book; every write is carried out and answered, every change is told."""

    def __init__(self, found: Object | None, *policies: Resolved) -> None:
        self.found = found
        self.version = 100
        self.now = NOW
        self.book = Book(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
        self.book.drop_names(frozenset({PULL}))
        self.book.adopt(seen_from(world(*policies)))
        self.book.see(NamespacesReplaced((namespace(),), 10), now=self.now)
        there = () if found is None else ((A, self.seen(found)),)
        self.book.see(SecretsReplaced(PULL, there, 10), now=self.now)
        self.book.complete(whole_picture=True)
        self.book.look(A, now=self.now)

    def seen(self, found: Object) -> SeenSecret:
        seen = observe(found)
        assert seen is not None
        return seen

    def change(self, found: Object | None) -> None:
        """Somebody else changes what is there, and the watch tells."""
        self.version += 1
        if found is None:
            self.found = None
            self.book.see(SecretGone(A, PULL, self.version), now=self.now)
            return
        self.found = {**found, "metadata": {**metadata_of(found), "resourceVersion": str(self.version)}}
        self.book.see(SecretSeen(A, PULL, self.seen(self.found)), now=self.now)

    def work(self) -> list[TargetPlan]:
        """Make every write that is due now; return them."""
        made_now: list[TargetPlan] = []
        while plans := self.book.writes(A, now=self.now):
            (plan,) = plans
            made_now.append(plan)
            assert len(made_now) < 4
            self.answer(plan)
        return made_now

    def answer(self, plan: TargetPlan) -> None:
        self.version += 1
        after = carry_out(self.found, plan)
        if after is None:
            self.found = None
            self.book.gone(plan, now=self.now)
            return
        self.found = {**after, "metadata": {**metadata_of(after), "resourceVersion": str(self.version)}}
        uid = Uid(str(metadata_of(self.found)["uid"]))
        self.book.written(plan, uid, self.version, now=self.now)

    def take_up(self, *policies: Resolved, previous: tuple[str, ...] = ()) -> None:
        for space in self.book.adopt(seen_from(world(*policies, version=2), previous=previous)):
            self.book.look(space, now=self.now)

    def line(self, of: str = "p") -> Line:
        return next(one for one in self.book.tally.lines((A, PULL)) if one.policy == of)

    def annotations(self) -> dict[str, str]:
        assert self.found is not None
        return texts(metadata_of(self.found)["annotations"])


def test_ours_comes_when_a_foreign_secret_goes() -> None:
    place = Place(THEIRS, resolved())
    assert (place.line().state, place.work()) == (State.CONFLICT, [])
    place.change(None)
    place.work()
    assert (place.line().state, place.found is not None) == (State.IN_SYNC, True)


def test_a_foreign_secret_that_is_made_anew_with_another_type_is_looked_at_again() -> None:
    place = Place(made(kind="Opaque"), resolved(adopting()))
    assert place.work() == []
    plain = {**THEIRS, "metadata": {**metadata_of(THEIRS), "uid": "uid-2"}}
    place.change(plain)
    assert isinstance(place.work()[0].write, Update)
    assert place.line().state is State.IN_SYNC


def test_a_label_alone_can_end_a_conflict() -> None:
    place = Place(changed(THEIRS, labels={"app.kubernetes.io/managed-by": "Helm"}), resolved(adopting()))
    assert place.line().state is State.CONFLICT
    place.change(changed(place.found or {}, labels={"app.kubernetes.io/managed-by": None}))
    assert len(place.work()) == 1
    assert place.line().state is State.IN_SYNC


def test_an_edit_of_the_policy_can_end_a_conflict() -> None:
    place = Place(THEIRS, resolved())
    place.take_up(resolved(adopting()))
    assert len(place.work()) == 1
    assert place.line().state is State.IN_SYNC


def test_the_secrets_of_a_previous_hub_become_ours_when_it_is_named() -> None:
    found = changed(written(resolved()), labels={"imps-multi.io/hub": "older"})
    place = Place(found, resolved())
    assert place.line().state is State.CONFLICT
    place.take_up(resolved(), previous=("older",))
    assert len(place.work()) == 1
    assert texts(metadata_of(place.found or {})["labels"])["imps-multi.io/hub"] == HUB
    assert (ADOPTED in place.annotations(), place.line().state) == (False, State.IN_SYNC)


def test_the_loser_of_rivals_has_its_turn_when_the_winner_goes() -> None:
    older, younger = resolved(policy("a", created=1.0)), resolved(policy("b", created=2.0))
    place = Place(None, older, younger)
    place.work()
    assert (place.line("a").state, place.line("b").state) == (State.IN_SYNC, State.CONFLICT)
    uid = metadata_of(place.found or {})["uid"]
    place.take_up(younger)
    place.work()
    assert place.line("b").state is State.IN_SYNC
    assert metadata_of(place.found or {})["uid"] == uid


@pytest.mark.parametrize("listed", [True, False])
def test_that_a_secret_was_adopted_is_remembered_when_the_mark_is_taken(*, listed: bool) -> None:
    place = Place(THEIRS, resolved(adopting()))
    place.work()
    bare = changed(place.found or {}, annotations={ADOPTED: None})
    if listed:
        place.found = bare
        place.book.see(SecretsReplaced(PULL, ((A, place.seen(bare)),), 900), now=NOW)
    else:
        place.change(bare)
    assert len(place.work()) == 1
    assert place.annotations()[ADOPTED] == "true"


def test_what_was_adopted_is_given_back_even_if_the_mark_was_taken_and_then_forgotten() -> None:
    place = Place(THEIRS, resolved(adopting(deletion=DeletionPolicy.IMMEDIATE)))
    place.work()
    place.take_up(resolved(policy(names=["other"], deletion=DeletionPolicy.IMMEDIATE)))
    place.change(changed(place.found or {}, annotations={ADOPTED: None}))
    place.book.judge(place.book.wishes().wishes, frozenset())
    assert not any(isinstance(plan.write, Delete) for plan in place.work())
    assert place.annotations() == {}
    assert place.book.past.remembered == {}
    plain = changed(place.found or {}, labels={"a": "1"})
    place.change(plain)
    assert place.work() == []


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_what_was_given_away_is_not_taken_back_where_the_answer_was_lost(first: str) -> None:
    spec = policy(deletion=DeletionPolicy.RETAIN) if first == "ours" else adopting()
    place = Place(None if first == "ours" else THEIRS, resolved(spec))
    place.work()
    away = resolved(policy(names=["other"], deletion=DeletionPolicy.RETAIN))
    place.take_up(away)
    place.book.judge(place.book.wishes().wishes, frozenset())
    (plan,) = place.book.writes(A, now=NOW)
    place.book.sending(plan)
    place.change(carry_out(place.found, plan))
    assert place.book.past.remembered == {}
    place.book.judge(frozenset(), frozenset())
    assert place.work() == []
    place.take_up(resolved())
    assert (place.work(), place.line().state) == ([], State.CONFLICT)


def test_a_release_that_was_refused_leaves_what_was_known() -> None:
    place = Place(None, resolved(policy(deletion=DeletionPolicy.RETAIN)))
    place.work()
    place.take_up(resolved(policy(names=["other"], deletion=DeletionPolicy.RETAIN)))
    place.book.judge(place.book.wishes().wishes, frozenset())
    (plan,) = place.book.writes(A, now=NOW)
    place.book.sending(plan)
    place.change(changed(place.found or {}, labels={"theirs": "1"}))
    place.change(changed(place.found or {}, labels={"app.kubernetes.io/managed-by": None, "imps-multi.io/hub": None}))
    place.take_up(resolved())
    assert len(place.work()) == 1
    assert place.line().state is State.IN_SYNC


def contest(place: Place, spoil: Object, rounds: int) -> None:
    """Somebody writes over it, and we put it right, again and again."""
    for _ in range(rounds):
        place.change(spoil)
        place.now += 400.0
        place.book.look(A, now=place.now)
        place.work()


def test_an_imps_that_still_runs_is_told_after_its_second_write() -> None:
    place = Place(THEIRS, resolved(adopting()))
    place.work()
    over = by_imps(dict(THEIRS), b'{"auths":{}}')
    contest(place, over, 1)
    assert (place.line().state, place.line().reason) == (State.IN_SYNC, "")
    contest(place, over, 1)
    assert 2 * IMPS_WEIGHT > CONTESTED_AFTER
    place.change(over)
    assert (place.line().state, place.line().message) == (State.PENDING, BY_IMPS)


def test_a_contest_is_told_until_it_was_left_alone_for_a_while() -> None:
    there = written(resolved())
    place = Place(there, resolved())
    for _ in range(CONTESTED_AFTER + 1):
        place.change(changed(place.found or {}, content=b"{}"))
        place.now += 5.0
        place.work()
    assert (place.line().state, place.line().message) == (State.IN_SYNC, BY_SOMEBODY)
    (due,) = place.book.look(A, now=place.now)
    assert due.at is not None
    assert due.at <= place.now + SHOWN_SECONDS
    assert place.book.look(A, now=due.at) == []
    assert place.line().reason == ""
    assert place.book.targets.policies()[PolicyName("p")].reasons == {}
