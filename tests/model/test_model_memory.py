"""What a target and a namespace cost in memory: counted, so that a field more is a decision."""

import sys

import pytest

from imps_multi.model.book import Book
from imps_multi.model.names import NamespaceName, SecretName, Uid
from imps_multi.model.observed import (
    Marks,
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
)
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from tests.model.objects import observe
from tests.model.scenes import CLUSTER, HUB, NOW, resolved, seen_from, world, written

TARGETS = 10_000
PER_TARGET, PER_NAMESPACE = 300, 175


def listed(count: int) -> tuple[NamespacesReplaced, SecretsReplaced]:
    """Make the lists of a cluster in which every namespace has its target, as an adapter interns them."""
    there = observe(written(resolved()))
    assert there is not None
    uid = "0f8e7d6c-0000-4000-8000-{:012d}"
    names = [NamespaceName(f"team-{number:05d}") for number in range(count)]
    secrets = tuple(
        (
            name,
            SeenSecret(
                uid=Uid(uid.format(number)),
                resource_version=600_000_000 + number,
                type=there.type,
                content=there.content,
                marks=there.marks,
                registries=there.registries,
            ),
        )
        for number, name in enumerate(names)
    )
    labels = (("env", "prod"), ("team", "a"))
    records = tuple(NamespaceRecord(name, 500_000_000 + number, labels) for number, name in enumerate(names))
    return NamespacesReplaced(records, 700_000_000), SecretsReplaced(SecretName("pull"), secrets, 700_000_000)


def weight(root: object, shared: set[int]) -> int:
    """Add up everything that is reachable and not shared."""
    total, todo, seen = 0, [root], set(shared)
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, dict):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, (tuple, list, set, frozenset)):
            todo += one
        elif hasattr(one, "__struct_fields__"):
            todo += [getattr(one, name) for name in one.__struct_fields__]
        elif hasattr(one, "__dict__"):
            todo.append(one.__dict__)
    return total


def book_of(count: int, *, secrets: bool) -> Book:
    """Keep the book of a cluster in which all is right; without the Secrets, of its namespaces only."""
    spaces, there = listed(count)
    book = Book(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
    book.drop_names(frozenset({SecretName("pull")}))
    if secrets:
        book.adopt(seen_from(world(resolved())))
    book.see(spaces, now=NOW)
    book.see(there if secrets else SecretsReplaced(SecretName("pull"), (), 1), now=NOW)
    for space in tuple(book.unlooked):
        book.look(space, now=NOW)
    assert book.writing == set()
    return book


@pytest.fixture(scope="module")
def weights() -> tuple[float, float]:
    """Return the bytes per namespace alone, and per target on top of that."""
    empty = {secrets: weight(book_of(0, secrets=secrets), set()) for secrets in (False, True)}
    alone = (weight(book_of(TARGETS, secrets=False), set()) - empty[False]) / TARGETS
    both = (weight(book_of(TARGETS, secrets=True), set()) - empty[True]) / TARGETS
    return alone, both - alone


def test_a_namespace_costs_little(weights: tuple[float, float]) -> None:
    assert weights[0] <= PER_NAMESPACE


def test_a_target_costs_little(weights: tuple[float, float]) -> None:
    assert weights[1] <= PER_TARGET


def test_the_garbage_collector_is_spared_the_many() -> None:
    """Structs without gc do not make every collection walk over a million of them."""
    assert not SeenSecret.__struct_config__.gc
    assert not NamespaceRecord.__struct_config__.gc
    assert not any(event.__struct_config__.gc for event in (NamespaceSeen, NamespaceGone, SecretSeen, SecretGone))
    assert sys.getsizeof(NamespaceRecord(NamespaceName("a"), 1)) <= 80
    assert sys.getsizeof(SeenSecret(Uid("u"), 1, "t", b"", Marks())) <= 96


def test_equal_targets_share_one_line() -> None:
    book = book_of(64, secrets=True)
    assert len({id(lines) for _, lines in book.tally.places()}) == 1
