"""The book where policies ask for pods: what an event of a pod makes it look at, and what it says of refusals."""

from collections.abc import Iterable

import pytest

from imps_multi.model.book import Book, Due
from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.observed import NamespacesReplaced, SecretsReplaced
from imps_multi.model.pods import PodEvent, PodGone, PodsAsked, PodSeen, PodsReplaced, pod_watches
from imps_multi.model.selection import Operator, PodField, PodRule, Requirement, Selector
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Resolved
from tests.model.scenes import CLUSTER, HUB, NOW, namespace, policy, resolved, seen_from, world

A, B = NamespaceName("team-a"), NamespaceName("team-b")


def rule(value: str) -> PodRule:
    return PodRule(PodField.LABELS, Selector((Requirement("app", Operator.IN, frozenset({value})),)))


WEB, DB = rule("web"), rule("db")
WATCH = PodsAsked((WEB,))
BY_PODS = policy(names=[], pods=[WEB])


class CountingBook(Book):
    """A book that counts how often it plans."""

    looked: list[NamespaceName]

    def look(self, namespace: NamespaceName, *, now: float, urgent: bool = False) -> list[Due]:
        self.looked.append(namespace)
        return super().look(namespace, now=now, urgent=urgent)


def book_of(*policies: Resolved, spaces: Iterable[str] = ("team-a", "team-b")) -> CountingBook:
    """Return a book whose namespaces and Secrets are listed, and whose pods are not."""
    book = CountingBook(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
    book.looked = []
    there = world(*policies)
    names = frozenset(one.policy.secret.name for one in policies)
    book.drop_names(names)
    book.adopt(seen_from(there))
    book.see(NamespacesReplaced(tuple(namespace(name) for name in spaces), 10), now=NOW)
    for name in names:
        book.see(SecretsReplaced(name, (), 10), now=NOW)
    book.looked.clear()
    return book


def listed(book: Book, *spaces: NamespaceName) -> list[Due]:
    return book.see(PodsReplaced(WATCH, tuple((space, "web-1", 1) for space in spaces), 20), now=NOW)


def test_the_picture_is_whole_once_the_pods_are_listed() -> None:
    book = book_of(resolved(BY_PODS))
    assert not book.picture_is_whole
    assert listed(book, A) == [Due(A, urgent=True)]
    assert book.picture_is_whole
    book.pods.unsync_watch(WATCH)
    assert not book.picture_is_whole


@pytest.mark.parametrize(
    ("event", "looked_at"),
    [
        (PodSeen(WATCH, B, "web-1", 1, 21), [B]),
        (PodSeen(WATCH, A, "web-1", 1, 21), []),
        (PodSeen(WATCH, A, "web-2", 1, 21), []),
        (PodGone(WATCH, B, "other", 21), []),
        (PodGone(WATCH, A, "web-1", 21), [A]),
        (PodsReplaced(WATCH, ((A, "web-9", 1),), 21), []),
        (PodSeen(PodsAsked((DB,)), B, "db-1", 1, 21), []),
    ],
    ids=repr,
)
def test_only_a_namespace_whose_pods_make_a_difference_is_planned(
    event: PodEvent, looked_at: list[NamespaceName]
) -> None:
    book = book_of(resolved(BY_PODS))
    listed(book, A)
    book.looked.clear()
    book.see(event, now=NOW)
    assert book.looked == looked_at


def test_of_a_thousand_namespaces_and_twenty_policies_a_pod_plans_one_and_an_edit_its_own() -> None:
    spaces = [f"team-{number:04}" for number in range(1000)]
    rules = [rule(str(number)) for number in range(20)]
    specs = [policy(f"p{number:02}", names=[], pods=[one], secret=f"s{number}") for number, one in enumerate(rules)]
    book = book_of(*map(resolved, specs), spaces=spaces)
    (watch,) = pod_watches(rules)
    bit = {one: 1 << watch.rules.index(one) for one in rules}
    pods = [(NamespaceName(name), f"pod-{n % 20}", bit[rules[n % 20]]) for n, name in enumerate(spaces)]
    book.see(PodsReplaced(watch, tuple(pods), 20), now=NOW)
    assert set(book.unlooked) == set(spaces), "so many are looked at a few at a time"
    for space in list(book.unlooked):
        book.look(space, now=NOW)
    assert {name: tally.desired for name, tally in book.targets.policies().items()} == dict.fromkeys(
        (one.name for one in specs), 50
    )
    book.looked.clear()
    book.see(PodSeen(watch, NamespaceName(spaces[7]), "new", bit[rules[3]], 21), now=NOW)
    book.see(PodSeen(watch, NamespaceName(spaces[7]), "new", bit[rules[3]], 22), now=NOW)
    assert book.looked == [spaces[7]]
    edited = policy("p05", names=["team-0001"], pods=[rules[5]], secret="s5")
    touched = book.adopt(
        seen_from(world(*(resolved(one if one.name != "p05" else edited) for one in specs), version=2))
    )
    assert touched == {"team-0001", *(name for n, name in enumerate(spaces) if n % 20 == 5)}


def test_a_new_rule_is_looked_at_where_it_holds_when_it_is_known() -> None:
    book = book_of(resolved(BY_PODS))
    listed(book, A)
    both = resolved(policy(names=[], pods=[WEB, DB]))
    assert book.adopt(seen_from(world(both, version=2))) == {A}
    book.looked.clear()
    book.see(PodsReplaced(PodsAsked((DB,)), ((B, "db-1", 1),), 30), now=NOW)
    assert set(book.looked) == {A, B}


def test_a_policy_whose_pods_may_not_be_watched_says_so_and_others_go_on() -> None:
    book = book_of(resolved(BY_PODS), resolved(policy("q", secret="other")))
    book.forbid_pods(WATCH, "pods is forbidden")
    assert book.picture_is_whole
    policies = book.targets.policies()
    assert (policies[PolicyName("p")].refused, policies[PolicyName("q")].refused) == ("pods is forbidden", "")
    assert policies[PolicyName("q")].desired == 2
    listed(book, A)
    assert book.targets.policies()[PolicyName("p")].refused == ""


def test_a_lost_permission_makes_nothing_unwanted() -> None:
    book = book_of(resolved(BY_PODS))
    listed(book, A)
    (plan,) = book.writes(A, now=NOW)
    assert plan.name == SecretName("pull")
    assert book.forbid_pods(WATCH, "pods is forbidden") == {A}
    assert book.wishes().wishes == frozenset()
