"""Names in a selection that no namespace of a cluster has."""

from imps_multi.model.misses import Miss, Misses
from imps_multi.model.names import NamespaceName
from imps_multi.model.view import View
from tests.model.scenes import policy, resolved, seen_from, world

THERE = ("team-a", "team-b", "kube-system")


def _view(*names: str, version: int = 1) -> View:
    return seen_from(world(resolved(policy(names=names)), version=version))


def _misses(misses: Misses, view: View, *namespaces: str) -> list[Miss]:
    found = misses.of(view, dict.fromkeys(map(NamespaceName, namespaces)))
    return [miss for each in found.values() for miss in each]


def test_what_matches_nothing_is_found_with_the_nearest_name() -> None:
    view = _view("team-*", "taem-a", "kube-?ystem", "zzz", "x-*")
    assert _misses(Misses(), view, *THERE) == [Miss("taem-a", "team-a"), Miss("zzz"), Miss("x-*")]


def test_it_follows_the_namespaces_and_the_policies() -> None:
    misses, view = Misses(), _view("taem-a")
    assert _misses(misses, view) == [Miss("taem-a")]
    assert _misses(misses, view, *THERE) == [Miss("taem-a", "team-a")]
    assert _misses(misses, view, *THERE, "taem-a") == []
    assert _misses(misses, _view("gone", version=2), *THERE, "taem-a") == [Miss("gone")]


def test_nothing_is_looked_up_again_while_nothing_changed() -> None:
    misses, view = Misses(), _view("taem-a")
    names = dict.fromkeys(map(NamespaceName, THERE))
    assert misses.of(view, names) is misses.of(view, dict(names))
