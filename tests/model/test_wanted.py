"""What is built once and shared: the same for the same, another for another, and no more of it than can be kept."""

from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.wanted import Marked, WantedCache
from tests.model.scenes import HOUR, HUB, HUB_REGISTRY, NOW, SECOND, entry, keys, policy, resolved, source


def test_equal_targets_share_one_body() -> None:
    cache, one = WantedCache(HUB), resolved()
    first = cache.wanted(one, one.sources)
    assert cache.wanted(one, one.sources, unexpired_at=NOW) is first
    again = resolved()
    assert cache.wanted(again, again.sources) is first


def test_a_policy_that_was_made_anew_is_not_mistaken_for_its_forerunner() -> None:
    """Its revision begins at nought again."""
    cache, one, other = WantedCache(HUB), resolved(), resolved(None, source(HUB_REGISTRY, password="other"))
    assert one.revision == other.revision
    assert cache.wanted(one, one.sources).payload.digest != cache.wanted(other, other.sources).payload.digest


def test_two_forms_of_a_policy_are_kept_while_clusters_pass_from_one_to_the_next() -> None:
    cache = WantedCache(HUB)
    forms = [resolved(None, source(HUB_REGISTRY, password=str(number)), revision=number) for number in range(3)]
    old, new = (cache.wanted(one, one.sources) for one in forms[:2])
    assert cache.wanted(forms[0], forms[0].sources) is old
    assert cache.wanted(forms[1], forms[1].sources) is new
    cache.wanted(forms[2], forms[2].sources)
    assert cache.wanted(forms[1], forms[1].sources) is new
    assert cache.wanted(forms[0], forms[0].sources) is not old


def test_a_forgotten_policy_is_built_again() -> None:
    cache, one = WantedCache(HUB), resolved()
    first = cache.wanted(one, one.sources)
    cache.retain(["another"])  # type: ignore[list-item]  # a policy's name
    assert cache.wanted(one, one.sources) is not first


def test_what_is_marked_to_go_is_not_kept() -> None:
    cache, one = WantedCache(HUB), resolved()
    marked = [cache.wanted(one, one.sources, marked=Marked(NOW + number, "1h")) for number in range(2)]
    assert marked[0].payload is marked[1].payload is cache.wanted(one, one.sources).payload
    assert dict(marked[1].annotations)["imps-multi.io/unwanted-since"] == "2027-01-15T08:00:01Z"


def test_the_body_holds_place_and_version_and_the_rest_is_shared() -> None:
    cache, one = WantedCache(HUB), resolved()
    wanted = cache.wanted(one, one.sources)
    body = wanted.body(NamespaceName("team-a"), SecretName("pull"), 7)
    assert body.startswith(b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pull","namespace":"team-a",')
    assert body.endswith(wanted.tail)
    assert b'"resourceVersion":"7"' in body
    assert b"resourceVersion" not in wanted.body(NamespaceName("team-a"), SecretName("pull"))


def test_what_is_kept_or_left_out_is_part_of_the_form() -> None:
    cache = WantedCache(HUB)
    one = resolved(
        policy(), source(HUB_REGISTRY), source(SECOND, name="two", expires_in=HOUR), retained=[entry("old.example.com")]
    )
    later = NOW + 2 * HOUR
    assert cache.wanted(one, one.sources).payload.registries == keys(HUB_REGISTRY, SECOND)
    kept = cache.wanted(one, one.sources, keep=keys("old.example.com"))
    assert kept.payload.registries == keys(HUB_REGISTRY, SECOND, "old.example.com")
    assert cache.wanted(one, one.sources, unexpired_at=later).payload.registries == keys(HUB_REGISTRY)
    there = cache.wanted(one, one.sources, unexpired_at=later, there=keys(SECOND))
    assert there.payload.registries == keys(HUB_REGISTRY, SECOND)
    assert cache.wanted(one, one.sources, only=keys(SECOND)).payload.registries == keys(SECOND)
