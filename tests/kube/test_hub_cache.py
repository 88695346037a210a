"""What is known of a hub in a cluster: which deletions are believed, what is whole, what is asked to be watched."""

from typing import Any

import msgspec
import pytest

from imps_multi.kube.hub_cache import POLICIES, HubCache, News, Part
from imps_multi.kube.hub_definition import ADDED, Definition, read_definition
from imps_multi.kube.hub_objects import HubItem, ItemLost, ItemSeen, ItemsReplaced
from imps_multi.model.hub import HubObject, Place
from imps_multi.model.names import NamespaceName, PolicyName
from imps_multi.model.policy import SourceRef
from tests.realcluster.policies import definition

HOME = NamespaceName("home")
HERE = 'hub.kubeconfig: context "mgmt"'


def policy(name: str, *sources: str, version: int = 5, **content: Any) -> HubItem:
    refs = [{"namespace": HOME, "name": source} for source in sources]
    spec = {"registry": {"credentials": refs}}
    place = Place(f"{HERE}: ImagePullSecret {name}")
    return HubItem(HubObject("ImagePullSecret", "", name, place, {"spec": spec, **content}), f"uid-{name}", version)


def secret(name: str, value: str = "a", version: int = 5) -> HubItem:
    return HubItem(HubObject("Secret", HOME, name, Place(f"{HERE}: Secret"), {"data": {"k": value}}), "u", version)


def cache(*policies: HubItem, allowed: bool = True) -> HubCache:
    made = HubCache(HERE, lambda _: allowed)
    made.define(Definition("crd-1"))
    made.see_policies(ItemsReplaced(policies))
    return made


def complete(made: HubCache, *secrets: HubItem) -> HubCache:
    made.see_secrets(HOME, ItemsReplaced(secrets))
    return made


def names(made: HubCache) -> set[str]:
    return {f"{one.kind} {one.name}" for one in made.reading().objects}


def told(made: HubCache) -> str:
    return "\n".join(str(problem) for problem in made.reading().problems)


def test_it_is_whole_once_policies_and_the_namespaces_that_they_name_were_listed() -> None:
    made = HubCache(HERE, lambda _: True)
    assert made.waiting
    assert not made.reading().whole
    made.define(Definition("crd-1"))
    made.see_policies(ItemsReplaced((policy("a", "s"),)))
    assert made.waiting
    assert made.named == {HOME: frozenset({"s"})}
    complete(made, secret("s"))
    assert not made.waiting
    assert made.reading().whole
    assert names(made) == {"ImagePullSecret a", "Secret s"}


def test_a_newly_named_secret_of_a_known_namespace_is_waited_for() -> None:
    made = complete(cache(policy("a", "s")), secret("s"))
    assert made.see_policies(ItemSeen(policy("b", "t", version=6))) is News.CONTENT
    assert made.waiting
    assert made.names_wanted(HOME)("t")
    complete(made, secret("s"), secret("t"))
    assert made.reading().whole


def test_a_secret_that_was_not_named_meanwhile_is_waited_for_in_another_round() -> None:
    """One that two policies hand on to each other within one list is forgotten in between, too."""
    made = complete(cache(policy("a", "s", "t"), policy("b", "s")), secret("s"), secret("t"))
    before = made.rounds
    made.see_policies(ItemsReplaced((policy("a", "s", version=6), policy("b", "s", "t", version=6))))
    assert made.named == {HOME: frozenset({"s", "t"})}
    assert made.waiting
    assert made.rounds != before
    again = complete(made, secret("s"), secret("t")).rounds
    made.see_policies(ItemSeen(policy("b", "s", version=7)))
    assert (made.waiting, made.rounds) == (False, again)
    made.see_policies(ItemSeen(policy("b", "s", "t", version=8)))
    assert (made.waiting, made.rounds == again) == (True, False)


def test_what_policies_in_force_need_is_named_too_and_let_go_with_them() -> None:
    made = complete(cache(policy("a", "s")), secret("s"))
    assert made.need(frozenset({SourceRef(HOME, "old")}))
    assert made.named == {HOME: frozenset({"s", "old"})}
    complete(made, secret("s"), secret("old"))
    made.need(frozenset())
    assert names(made) == {"ImagePullSecret a", "Secret s"}


def test_what_may_not_be_named_is_not_watched() -> None:
    made = cache(policy("a", "s"), allowed=False)
    assert made.named == {}
    assert made.reading().whole


def test_a_deleted_policy_stays_until_the_definition_was_looked_at() -> None:
    made = cache(policy("a"), policy("b"))
    assert made.see_policies(ItemLost("a", 7)) is News.NONE
    assert names(made) == {"ImagePullSecret a", "ImagePullSecret b"}
    assert made.doubtful == {"a"}
    assert made.believe(made.doubtful)
    reading = made.reading()
    assert {one.name for one in reading.objects} == {"b"}
    assert ([one.name for one in reading.deleted], reading.whole) == (["a"], True)
    assert made.reading().deleted == ()


def test_a_policy_that_a_fresh_list_lacks_is_doubted_as_well() -> None:
    made = cache(policy("a"), policy("b"))
    made.see_policies(ItemsReplaced((policy("b"),)))
    assert made.doubtful == {"a"}
    assert len(names(made)) == 2


def test_policies_that_go_with_their_definition_are_never_taken_as_deleted() -> None:
    made = cache(policy("a"), policy("b"))
    made.see_policies(ItemLost("a", 7))
    made.define(Definition("crd-1", terminating=True))
    assert "is being deleted" in told(made)
    made.undefine("there is none")
    assert "there is none" in told(made)
    made.define(Definition("crd-2"))
    made.see_policies(ItemsReplaced(()))
    assert made.doubtful == frozenset()
    assert not made.believe(["a", "b"])
    assert "2 policies are not back (a, b)" in told(made)
    assert len(names(made)) == 2
    made.see_policies(ItemsReplaced((policy("a", version=9), policy("b", version=10))))
    assert made.reading().whole


def test_one_that_came_back_under_the_new_definition_can_be_deleted() -> None:
    made = cache(policy("a"))
    made.define(Definition("crd-2"))
    made.see_policies(ItemsReplaced((policy("a", version=9),)))
    made.see_policies(ItemLost("a", 10))
    made.believe(made.doubtful)
    assert names(made) == set()


def test_a_deletion_is_told_with_the_next_whole_reading() -> None:
    made = complete(cache(policy("a"), policy("b", "s")), secret("s"))
    made.see_policies(ItemLost("a", 7))
    made.believe(made.doubtful)
    made.break_off(Part(HOME), "forbidden")
    assert made.reading().deleted == ()
    complete(made, secret("s"))
    assert [one.name for one in made.reading().deleted] == ["a"]


def test_a_part_that_breaks_leaves_what_is_known_and_says_so_until_it_is_listed_again() -> None:
    made = complete(cache(policy("a", "s")), secret("s"))
    assert made.break_off(POLICIES, "no answer in time")
    assert not made.break_off(POLICIES, "no answer in time")
    reading = made.reading()
    assert not reading.whole
    assert told(made).count("no answer in time") == 1
    assert HERE in told(made)
    assert len(names(made)) == 2
    made.see_policies(ItemsReplaced((policy("a", "s"),)))
    assert made.reading().whole


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, News.NONE),
        ({"status": {"status": "Ready"}}, News.STATUS),
        ({"metadata": {"resourceVersion": "6"}}, News.STATUS),
        ({"metadata": {"annotations": {"imps-multi.io/sync": "1"}}}, News.CONTENT),
    ],
)
def test_a_status_is_told_apart_from_what_a_policy_says(change: dict[str, Any], expected: News) -> None:
    made = cache(policy("a"))
    assert made.see_policies(ItemSeen(policy("a", version=6, **change))) is expected


def test_the_version_of_a_write_of_ours_is_not_unlearnt_from_an_older_event() -> None:
    made = cache(policy("a"))
    made.note(PolicyName("a"), 9)
    made.see_policies(ItemSeen(policy("a", version=8)))
    item = made.policy(PolicyName("a"))
    assert item is not None
    assert item.version == 9


def test_a_source_that_is_deleted_is_missing_and_not_told_as_deleted() -> None:
    made = complete(cache(policy("a", "s")), secret("s"))
    assert made.see_secrets(HOME, ItemLost("s", 8))
    assert (names(made), made.reading().deleted) == ({"ImagePullSecret a"}, ())


def test_our_definition_lacks_nothing_and_one_of_imps_lacks_what_was_added() -> None:
    ours = definition()
    assert read_definition(_stored(ours)).missing == ()
    schema = ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for field in ("conditions", "targets", "clusters"):
        del schema["status"]["properties"][field]
    del schema["spec"]["properties"]["target"]["properties"]["namespaces"]
    del schema["spec"]["properties"]["registry"]["properties"]["credentials"]["items"]["properties"]["ecr"]
    spec = ("spec.registry.credentials[].ecr", "spec.target.namespaces.exclude")
    expected = (*spec, "status.conditions", "status.targets", "status.clusters")
    assert read_definition(_stored(ours)).missing == expected
    schema["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert read_definition(_stored(ours)).missing == spec


def test_a_definition_without_a_schema_lacks_everything_and_one_that_goes_says_so() -> None:
    found = read_definition(b'{"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}}')
    assert (found.missing, found.terminating) == (ADDED, True)
    conditions = {"conditions": [{"type": "Terminating", "status": "True"}]}
    assert read_definition(msgspec.json.encode({"metadata": {"uid": "u"}, "status": conditions})).terminating


def _stored(manifest: dict[str, Any]) -> bytes:
    return msgspec.json.encode({**manifest, "metadata": {**manifest["metadata"], "uid": "crd-1"}})
