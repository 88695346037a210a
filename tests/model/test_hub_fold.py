"""The hub as a fold: nothing is lost by a bad reading, nothing is gone before two whole readings lack it."""

from collections.abc import Iterable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imps_multi.model.hub import (
    HubObject,
    HubProblem,
    HubReading,
    HubSnapshot,
    Place,
    SourceSecret,
    UnusableSource,
)
from imps_multi.model.hub_fold import HubState, fold, forget, needs_second_look_at, restore, snapshot
from imps_multi.model.names import NamespaceName, PolicyName
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef
from imps_multi.model.policy_parse import parse_policy
from imps_multi.model.stored_policy import StoredPolicy, decode_policy, encode_policy

REF = SourceRef(NamespaceName("registry-access"), "hub")


def policy(name: str, variant: str = "s", file: str = "hub/a.yaml", line: int = 1) -> HubObject:
    """Make a policy; the variant is its Secret's name, so that an impossible one is invalid."""
    content = {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": name},
        "spec": {
            "registry": {"credentials": [{"name": "hub", "namespace": "registry-access"}]},
            "target": {"secret": {"name": variant}},
        },
    }
    return HubObject("ImagePullSecret", "", name, Place(file, line, 1), content)


def source(value: object = "v") -> HubObject:
    return HubObject("Secret", REF.namespace, REF.name, Place("hub/s.yaml", 1, 1), {"stringData": {"k": value}})


def whole(*objects: HubObject) -> HubReading:
    return HubReading(objects)


def broken(*objects: HubObject) -> HubReading:
    return HubReading(objects, (HubProblem(Place("hub/b.yaml", 2, 3), "cannot be parsed"),), whole=False)


def folded(*readings: tuple[float, HubReading], state: HubState | None = None) -> HubState:
    state = state or HubState()
    for at, reading in readings:
        state = fold(state, reading, at)
    return state


def valid(obj: HubObject) -> Policy:
    parsed = parse_policy(obj.content)
    assert isinstance(parsed, Policy)
    return parsed


def names(state: HubState) -> set[str]:
    return set(snapshot(state).policies)


def test_nothing_is_synced_before_the_first_reading() -> None:
    assert snapshot(HubState()) == HubSnapshot()


def test_a_whole_reading_is_what_is_wanted() -> None:
    seen = snapshot(folded((0.0, whole(policy("a"), source()))))
    assert (seen.synced, seen.whole, seen.problems) == (True, True, ())
    assert seen.policies[PolicyName("a")].in_force == valid(policy("a"))
    assert seen.policies[PolicyName("a")].place == Place("hub/a.yaml", 1, 1)
    assert isinstance(seen.sources[REF], SourceSecret)


def test_an_object_is_gone_only_when_two_whole_readings_a_second_apart_lack_it() -> None:
    state = folded((0.0, whole(policy("a"), policy("b"), source())), (5.0, whole(policy("b"))))
    assert names(state) == {"a", "b"}
    assert needs_second_look_at(state) == 6.0
    assert snapshot(state).unsure
    state = fold(state, whole(policy("b")), 5.9)
    assert names(state) == {"a", "b"}
    assert REF in snapshot(state).sources
    state = fold(state, whole(policy("b")), 6.0)
    assert names(state) == {"b"}
    assert snapshot(state).sources == {}
    assert snapshot(state).former == {"a": valid(policy("a"))}
    assert snapshot(state).seen_deleted == {"a"}
    assert needs_second_look_at(state) is None
    assert not snapshot(state).unsure


def test_what_was_seen_being_deleted_is_gone_without_a_second_look() -> None:
    going = HubReading((policy("b"),), deleted=(policy("a"),))
    state = folded((0.0, whole(policy("a"), policy("b"))), (0.1, going))
    assert set(state.policies) == {"b"}
    assert state.seen_deleted == {"a"}


def test_a_policy_that_was_edited_and_deleted_in_one_reading_goes_as_it_was_last() -> None:
    going = HubReading((), deleted=(policy("a", "edited"), policy("never-read")))
    state = folded((0.0, whole(policy("a", "first"))), (0.1, going))
    assert {name: former.secret.name for name, former in state.former.items()} == {"a": "edited"}


def test_what_was_seen_being_deleted_stays_while_the_reading_is_not_whole() -> None:
    going = HubReading((), deleted=(policy("a"),), whole=False)
    state = folded((0.0, whole(policy("a"))), (0.1, going))
    assert set(state.policies) == {"a"}


def test_an_object_that_was_missing_for_a_moment_starts_anew() -> None:
    state = folded((0.0, whole(policy("a"))), (5.0, whole()), (5.5, whole(policy("a"))), (6.5, whole()))
    assert names(state) == {"a"}
    assert needs_second_look_at(state) == 7.5


def test_a_reading_that_is_not_whole_takes_nothing_away() -> None:
    state = folded((0.0, whole(policy("a"), source())), (1.0, broken()), (10.0, broken()))
    assert names(state) == {"a"}
    assert needs_second_look_at(state) is None
    seen = snapshot(state)
    assert (seen.synced, seen.whole) == (True, False)
    assert str(seen.problems[0].place) == "hub/b.yaml:2:3"
    assert REF in seen.sources


def test_a_broken_second_reading_waits_for_a_whole_one() -> None:
    state = folded((0.0, whole(policy("a"))), (5.0, whole()), (6.0, broken()))
    assert names(state) == {"a"}
    assert needs_second_look_at(state) is None
    assert names(fold(state, whole(), 7.0)) == set()


def test_an_invalid_policy_keeps_its_last_valid_spec_in_force() -> None:
    state = folded((0.0, whole(policy("a", "s1"))), (1.0, whole(policy("a", "No!"))), (2.0, whole(policy("a", "No!!"))))
    record = snapshot(state).policies[PolicyName("a")]
    assert isinstance(record.current, InvalidPolicy)
    assert record.in_force == valid(policy("a", "s1"))
    assert snapshot(state).whole


def test_a_policy_that_was_never_valid_has_nothing_in_force_and_leaves_nothing_behind() -> None:
    state = folded((0.0, whole(policy("a", "No!"))))
    assert snapshot(state).policies[PolicyName("a")].in_force is None
    state = folded((1.0, whole()), (2.0, whole()), state=state)
    assert not snapshot(state).former
    assert snapshot(state).seen_deleted == {"a"}


def test_a_policy_that_comes_back_is_no_longer_former() -> None:
    gone = folded((0.0, whole(policy("a"))), (1.0, whole()), (2.0, whole()))
    back = snapshot(fold(gone, whole(policy("a", "No!")), 3.0))
    assert (back.former, back.seen_deleted) == ({}, frozenset())
    assert back.policies[PolicyName("a")].in_force == valid(policy("a"))
    assert snapshot(forget(gone, [PolicyName("a")])).former == {}


def test_the_same_object_twice_names_both_places_and_keeps_the_last_good_content() -> None:
    first, second = policy("a", "s2", "hub/x.yaml", 4), policy("a", "s3", "hub/y.yaml", 9)
    state = folded((0.0, whole(policy("a", "s1"))), (1.0, whole(second, first)))
    seen = snapshot(state)
    assert not seen.whole
    assert seen.policies[PolicyName("a")].in_force == valid(policy("a", "s1"))
    expected = "ImagePullSecret a stands at hub/x.yaml:4:1 already; take one of the two away"
    assert seen.problems == (HubProblem(Place("hub/y.yaml", 9, 1), expected),)


def test_a_source_that_cannot_be_decoded_is_shown_as_such() -> None:
    seen = snapshot(folded((0.0, whole(source())), (1.0, whole(source(7)))))
    assert isinstance(seen.sources[REF], UnusableSource)
    assert seen.whole


def test_what_was_stored_is_in_force_when_the_hub_is_broken_at_start() -> None:
    kept = valid(policy("a"))
    start = restore({kept.name: kept}, {PolicyName("old"): valid(policy("old"))})
    assert not snapshot(start).synced
    seen = snapshot(fold(start, broken(), 0.0))
    assert (seen.synced, seen.whole) == (True, False)
    assert seen.policies[PolicyName("a")].in_force == kept
    assert set(seen.former) == {"old"}


def test_what_was_deleted_while_nobody_looked_is_former_but_not_seen_deleted() -> None:
    kept = valid(policy("a"))
    state = folded((0.0, whole()), (1.0, whole()), state=restore({kept.name: kept}, {}))
    assert snapshot(state).policies == {}
    assert snapshot(state).former == {"a": kept}
    assert snapshot(state).seen_deleted == frozenset()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"{}", b'{"version":2,"stored":{}}', b'{"version":1,"stored":{}}', b'{"version":1,"stored":[1'],
)
def test_a_stored_policy_that_cannot_be_read_is_left_out(content: bytes) -> None:
    assert decode_policy(content) is None


def test_a_stored_policy_of_every_kind_reads_back() -> None:
    content = msgspec.json.decode(msgspec.json.encode(policy("a").content), type=dict)
    content["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    content["spec"]["target"] |= {
        "clusters": {"exclude": ["x"]},
        "namespaces": {"labels": [{"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b", "c"]}]}]},
        "namespacesWithPods": {"labels": [{}], "annotations": [{"matchAnnotations": {"a": "b"}}]},
        "secret": {"name": "s", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    }
    parsed = parse_policy(content)
    assert isinstance(parsed, Policy)
    stored = StoredPolicy(parsed, deleted=True)
    assert decode_policy(encode_policy(stored)) == stored


CONTENTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["s1", "s2", "No!"]))


def objects(content: Mapping[str, str]) -> Iterable[HubObject]:
    return [policy(name, variant) for name, variant in content.items()]


@given(st.lists(st.tuples(CONTENTS, st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from("abc")))))))
def test_repeated_and_broken_readings_in_between_change_nothing(
    history: list[tuple[dict[str, str], list[tuple[bool, set[str]]]]],
) -> None:
    plain, noisy = HubState(), HubState()
    for turn, (content, noise) in enumerate(history):
        at = turn * 10.0
        complete = whole(*objects(content))
        plain = folded((at, complete), (at + 1, complete), state=plain)
        for index, (is_whole, visible) in enumerate(noise):
            part = {name: variant for name, variant in content.items() if name in visible}
            reading = complete if is_whole else broken(*objects(part))
            before = names(noisy)
            noisy = fold(noisy, reading, at - 8 + index / 1000)
            assert is_whole or before <= names(noisy)
        noisy = folded((at, complete), (at + 1, complete), state=noisy)
        assert snapshot(plain) == snapshot(noisy)
        assert fold(noisy, complete, at + 1) == noisy


def test_what_the_hub_calls_its_sources_is_known_while_they_are_there() -> None:
    named = replace(source(), content={**source().content, "metadata": {"uid": "u-1"}})
    there = folded((0.0, whole(policy("a"), named)))
    assert snapshot(there).source_uids == {"u-1"}
    assert snapshot(folded((1.0, whole(policy("a"), source())), state=there)).source_uids == frozenset()
    odd = replace(source(), content={"metadata": {"uid": 7}})
    assert snapshot(folded((0.0, whole(odd)))).source_uids == frozenset()


def test_what_is_known_from_before_only_and_missing_is_doubtful_until_a_second_look() -> None:
    known = valid(policy("a"))
    secret = SourceSecret(REF, "Opaque", {})
    start = restore({PolicyName("a"): known}, {}, {REF: secret})
    once = folded((0.0, whole(policy("b"))), state=start)
    assert snapshot(once).doubtful == {PolicyName("a"), REF}
    assert snapshot(folded((1.0, whole(policy("b"))), state=once)).doubtful == frozenset()
    assert snapshot(folded((1.0, whole(policy("a"), source())), state=once)).doubtful == frozenset()
    assert snapshot(folded((0.0, broken(policy("b"))), state=start)).doubtful == frozenset()
    read = folded((0.0, whole(policy("a"), source())), (5.0, whole()), state=start)
    assert (snapshot(read).unsure, snapshot(read).doubtful) == (True, frozenset())
