"""What a wanted target needs: created, kept fresh, repaired, left alone; one table row or story per case."""

import json
from base64 import b64decode

import pytest
from msgspec import structs

from imps_multi.model.credential import Bounds, Entry, SourceKind
from imps_multi.model.docker_settings import Setting
from imps_multi.model.dockerconfig import MAX_SECRET_BYTES
from imps_multi.model.gate import Gate
from imps_multi.model.names import RegistryKey, SecretName
from imps_multi.model.observed import SeenSecret
from imps_multi.model.policy import DeletionPolicy
from imps_multi.model.target_plan import State, Update
from imps_multi.model.world import Resolved, Standing
from tests.model.objects import KEY, Object, content_of, made, metadata_of, observe, texts
from tests.model.scenes import (
    HOUR,
    HUB_REGISTRY,
    NOW,
    SECOND,
    Bench,
    changed,
    entry,
    namespace,
    policy,
    resolved,
    source,
    world,
    written,
)

MANAGED = {"app.kubernetes.io/managed-by": "imps-multi"}
HUB_MARK = {"imps-multi.io/hub": "mgmt"}


def auths(found: Object | None) -> set[str]:
    assert found is not None
    return set(json.loads(content_of(found))["auths"])


def update_of(bench: Bench) -> Update:
    write = bench.needed().write
    assert isinstance(write, Update)
    return write


def settled(bench: Bench) -> Object | None:
    """Carry out what is planned until nothing is."""
    return bench.settle()


def test_a_created_target_carries_exactly_the_promised_labels_and_annotations() -> None:
    spec = policy(labels={"team": "a"}, annotations={"note": "ours"})
    made_now = written(resolved(spec, source(HUB_REGISTRY, expires_in=6 * HOUR)))
    expected = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {
            "name": "pull",
            "namespace": "team-a",
            "uid": "uid-1",
            "resourceVersion": "1",
            "labels": {**MANAGED, **HUB_MARK, "team": "a"},
            "annotations": {
                "note": "ours",
                "imps-multi.io/policy": "p",
                "imps-multi.io/deletion-policy": "WhenUnreferenced",
                "imps-multi.io/expires-at": "2027-01-15T14:00:00Z",
            },
        },
        "data": made_now["data"],
    }
    assert expected == made_now
    assert list(texts(made_now["data"])) == [KEY]


def test_without_expiry_there_is_no_expires_at() -> None:
    assert "imps-multi.io/expires-at" not in texts(metadata_of(written(resolved()))["annotations"])


def test_the_expiry_of_an_entry_that_lost_to_another_source_does_not_count() -> None:
    first, second = source(HUB_REGISTRY), source(HUB_REGISTRY, name="two", password="other", expires_in=HOUR)
    assert "imps-multi.io/expires-at" not in texts(metadata_of(written(resolved(None, first, second)))["annotations"])


def test_what_was_written_is_what_a_kubelet_reads() -> None:
    auth = json.loads(content_of(written(resolved())))["auths"][HUB_REGISTRY]
    assert b64decode(auth["auth"]) == b"user:secret-1"
    assert (auth["username"], auth["password"]) == ("user", "secret-1")


def test_a_target_in_sync_needs_nothing() -> None:
    bench = Bench(resolved(), found=written(resolved()))
    assert bench.needed().write is None
    assert [line.state for line in bench.needed().lines] == [State.IN_SYNC]


def test_a_new_token_is_put_whole_with_the_version_that_was_seen() -> None:
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="new")), found=written(resolved(), version=7))
    update = update_of(bench)
    assert update.put
    body = json.loads(update.wanted.body(*(namespace().name, SecretName("pull")), 7)) if update.wanted else {}
    assert body["metadata"]["resourceVersion"] == "7"
    assert b"new" in content_of(settled(bench) or {})


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_foreign_labels_and_annotations_stay_when_the_credential_changes(kind: str) -> None:
    there = written(resolved())
    texts(metadata_of(there)[kind])["argo"] = "x"
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="new")), found=there)
    assert not update_of(bench).put
    assert texts(metadata_of(settled(bench) or {})[kind])["argo"] == "x"
    assert b"new" in content_of(bench.found or {})


def test_finalizers_are_not_put_away() -> None:
    there = written(resolved())
    metadata_of(there)["finalizers"] = ["example.com/hold"]
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="new")), found=there)
    assert metadata_of(settled(bench) or {})["finalizers"] == ["example.com/hold"]


def test_a_foreign_annotation_alone_needs_no_write() -> None:
    there = changed(written(resolved()), annotations={"seen-by": "somebody"})
    assert Bench(resolved(), found=there).needed().write is None


@pytest.mark.parametrize(
    "stripped",
    [
        {"labels": {"imps-multi.io/hub": None}},
        {"labels": {"app.kubernetes.io/managed-by": None}},
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"annotations": {"imps-multi.io/policy": None}},
        {"annotations": {"imps-multi.io/deletion-policy": "Retain"}},
        {"annotations": {"imps-multi.io/expires-at": "never"}},
        {"annotations": {"imps-multi.io/unwanted-since": "2020-01-01T00:00:00Z"}},
        {"labels": {"team": "b"}},
        {"labels": {"team": None}, "annotations": {"note": "theirs"}},
        {"content": b"not json"},
        {"content": b'{"auths":{}}'},
    ],
    ids=str,
)
def test_what_somebody_took_or_changed_is_repaired(stripped: dict[str, dict[str, str | None]]) -> None:
    one = resolved(policy(labels={"team": "a"}, annotations={"note": "ours"}), source(HUB_REGISTRY, expires_in=HOUR))
    right = written(one)
    bench = Bench(one, found=changed(right, **stripped))  # type: ignore[arg-type]  # keywords by name, from a table
    repaired = settled(bench)
    assert repaired is not None
    assert repaired["data"] == right["data"]
    assert metadata_of(repaired)["labels"] == metadata_of(right)["labels"]
    assert metadata_of(repaired)["annotations"] == metadata_of(right)["annotations"]


def test_a_target_with_every_label_stripped_is_repaired_where_its_uid_is_remembered() -> None:
    bare = changed(written(resolved()), labels=dict.fromkeys(MANAGED | HUB_MARK))
    bare = changed(bare, annotations={"imps-multi.io/policy": None})
    assert Bench(resolved(), found=bare, remembered={"uid-1": "p"}).needed().write is not None
    forgotten = Bench(resolved(), found=bare)
    assert [line.state for line in forgotten.needed().lines] == [State.CONFLICT]
    assert forgotten.needed().write is None


def test_other_data_keys_go() -> None:
    there = written(resolved())
    texts(there["data"])["planted"] = "eA=="
    bench = Bench(resolved(), found=there)
    assert list(texts((settled(bench) or {})["data"])) == [KEY]


def test_labels_of_the_policys_past_go_and_others_stay() -> None:
    before = resolved(policy(labels={"old": "1"}, annotations={"old": "1"}))
    after = resolved(policy(), past_labels=["old"], past_annotations=["old"])
    bench = Bench(after, found=changed(written(before), labels={"theirs": "1"}))
    metadata = metadata_of(settled(bench) or {})
    assert texts(metadata["labels"]) == {**MANAGED, **HUB_MARK, "theirs": "1"}
    assert "old" not in texts(metadata["annotations"])


def test_a_target_of_a_previous_hub_is_taken_over_in_place() -> None:
    there = changed(written(resolved()), labels={"imps-multi.io/hub": "old-hub"})
    bench = Bench(resolved(), found=there, previous=["old-hub"])
    assert texts(metadata_of(settled(bench) or {})["labels"])["imps-multi.io/hub"] == "mgmt"
    assert metadata_of(bench.found or {})["uid"] == "uid-1"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (made(), "it does not carry our labels"),
        (made(labels={"app.kubernetes.io/managed-by": "Helm"}), "somebody else"),
        (made(labels={**MANAGED, "imps-multi.io/hub": "other"}), "another hub (other)"),
        (made(labels=MANAGED), "no hub label"),
        (made(annotations={"imps-multi.io/policy": "p"}), "it does not carry our labels"),
        (made(labels=MANAGED | HUB_MARK, kind="Opaque"), "has type Opaque"),
    ],
)
def test_what_is_not_ours_is_a_conflict_and_is_never_touched(found: Object, why: str) -> None:
    bench = Bench(resolved(), found=found)
    plan = bench.needed()
    assert plan.write is None
    assert [line.state for line in plan.lines] == [State.CONFLICT]
    assert why in plan.lines[0].message


def test_what_is_not_ours_and_not_wanted_is_nobodys_business() -> None:
    assert Bench(resolved(policy(names=["other"])), found=made(labels=MANAGED)).plan() is None


def test_a_terminating_namespace_is_left_alone() -> None:
    assert Bench(resolved(), record=namespace(terminating=True)).plan() is None
    stale = changed(written(resolved()), content=b"{}")
    assert Bench(resolved(), found=stale, record=namespace(terminating=True)).plan() is None


def test_an_ignored_namespace_is_never_selected() -> None:
    assert Bench(resolved(), record=namespace(annotations={"imps-multi.io/ignore": "true"})).plan() is None


def test_immutable_data_that_differs_is_a_failure_that_says_so() -> None:
    there = {**written(resolved()), "immutable": True}
    assert Bench(resolved(), found=there).lines()["p"].state is State.IN_SYNC
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="new")), found=there)
    assert bench.needed().write is None
    assert bench.lines()["p"].reason == "Immutable"


def test_a_foreign_key_in_an_immutable_secret_is_a_failure_too() -> None:
    there = {**written(resolved()), "immutable": True}
    texts(there["data"])["planted"] = "eA=="
    assert Bench(resolved(), found=there).lines()["p"].reason == "Immutable"


def test_marks_of_an_immutable_secret_are_repaired() -> None:
    there = {**changed(written(resolved()), labels={"app.kubernetes.io/managed-by": None}), "immutable": True}
    assert texts(metadata_of(settled(Bench(resolved(), found=there)) or {})["labels"]) == MANAGED | HUB_MARK


def test_a_secret_may_be_as_large_as_the_api_server_takes() -> None:
    smallest = len(content_of(written(resolved(None, source(HUB_REGISTRY, password="")))))
    password = "x" * (3 * ((MAX_SECRET_BYTES - smallest) // 7))  # as it stands, and in base64
    assert len(content_of(written(resolved(None, source(HUB_REGISTRY, password=password))))) > MAX_SECRET_BYTES - 7
    large = resolved(None, source(HUB_REGISTRY, password=password + "xxx"))
    for bench in (Bench(large), Bench(large, found=written(resolved()))):
        assert bench.needed().write is None
        assert (bench.lines()["p"].state, bench.lines()["p"].reason) == (State.FAILED, "TooLarge")


def test_what_a_kubelet_could_not_read_is_never_written() -> None:
    """A stored entry may have been damaged; in a target it would fail every pod that names it."""
    damaged = Entry(RegistryKey("quay.io"), b'{"auth":"no base64"}')
    spoilt = structs.replace(source(HUB_REGISTRY), entries=(damaged,))
    for bench in (Bench(resolved(None, spoilt)), Bench(resolved(None, spoilt), found=written(resolved()))):
        assert bench.needed().write is None
        line = bench.lines()["p"]
        assert (line.state, line.reason) == (State.FAILED, "Unreadable")
        assert line.message == "a kubelet could not read the merged Secret: auth is not standard base64"


def test_what_a_source_holds_beside_logins_is_written_too() -> None:
    headers = (Setting("HttpHeaders", "X-A", b'"1"'),)
    with_headers = resolved(None, structs.replace(source(HUB_REGISTRY), settings=headers))
    assert json.loads(content_of(written(with_headers)))["HttpHeaders"] == {"X-A": "1"}
    bench = Bench(with_headers, found=written(resolved()))
    assert json.loads(content_of(settled(bench) or {}))["HttpHeaders"] == {"X-A": "1"}
    assert Bench(with_headers, found=bench.found).needed().write is None


def test_nothing_is_created_while_a_source_is_being_asked_for_the_first_time() -> None:
    bench = Bench(resolved(None, source(HUB_REGISTRY), source(kind=SourceKind.UNKNOWN, name="two"), waiting=True))
    assert bench.needed().write is None
    assert bench.lines()["p"].reason == "Waiting"


def test_a_missing_target_is_filled_with_what_is_known() -> None:
    bench = Bench(resolved(None, source(HUB_REGISTRY), source(kind=SourceKind.UNKNOWN, name="two")))
    assert auths(settled(bench)) == {HUB_REGISTRY}


def test_a_target_without_any_usable_credential_is_not_created() -> None:
    bench = Bench(resolved(None, source(kind=SourceKind.ABSENT)))
    assert bench.needed().write is None
    assert bench.lines()["p"].reason == "SourceError"


def test_a_source_that_may_not_go_there_does_not() -> None:
    bound = source(HUB_REGISTRY, bounds=Bounds(namespaces=("team-b",)))
    assert Bench(resolved(None, bound)).lines()["p"].reason == "SourceNotAllowed"
    both = Bench(resolved(None, bound, source(SECOND, name="two")))
    assert auths(settled(both)) == {SECOND}


def test_an_existing_target_keeps_its_data_while_a_source_is_unknown() -> None:
    before = resolved(None, source(HUB_REGISTRY), source(SECOND, name="two"))
    now = resolved(None, source(HUB_REGISTRY, password="new"), source(kind=SourceKind.UNKNOWN, name="two"))
    bench = Bench(now, found=written(before))
    assert bench.needed().write is None
    assert bench.lines()["p"].state is State.IN_SYNC


def test_its_marks_are_repaired_all_the_same() -> None:
    there = changed(written(resolved()), labels={"app.kubernetes.io/managed-by": None})
    bench = Bench(resolved(None, source(kind=SourceKind.UNKNOWN)), found=there)
    assert settled(bench) is not None
    assert texts(metadata_of(bench.found or {})["labels"]) == MANAGED | HUB_MARK


def test_with_an_unknown_source_a_known_entry_is_renewed_at_a_quarter_of_its_life() -> None:
    life = 12 * HOUR
    before = resolved(None, source(HUB_REGISTRY, expires_in=6 * HOUR, life=life), source(SECOND, name="two"))
    there = written(before)
    renewed = source(HUB_REGISTRY, password="new", expires_in=14 * HOUR, life=life)
    bench = Bench(resolved(None, renewed, source(kind=SourceKind.UNKNOWN, name="two")), found=there)
    assert bench.needed().write is None
    assert bench.needed().wake_at == NOW + 3 * HOUR
    bench.now = NOW + 3 * HOUR
    assert auths(settled(bench)) == {HUB_REGISTRY}
    assert bench.needed().wish is None


def test_with_an_unknown_source_what_was_delivered_before_stays_in_a_renewed_target() -> None:
    before = resolved(None, source(HUB_REGISTRY, expires_in=HOUR), source(SECOND, name="two"))
    renewed = source(HUB_REGISTRY, password="new", expires_in=12 * HOUR)
    now = resolved(None, renewed, source(kind=SourceKind.UNKNOWN, name="two"), retained=[entry(SECOND)])
    assert auths(settled(Bench(now, found=written(before)))) == {HUB_REGISTRY, SECOND}


def test_with_an_unknown_source_nothing_is_lost_where_nothing_is_won() -> None:
    known = source(HUB_REGISTRY, expires_in=HOUR)
    there = written(resolved(None, known, source(SECOND, name="two")))
    bench = Bench(resolved(None, known, source(kind=SourceKind.UNKNOWN, name="two")), found=there)
    assert bench.needed().write is None


def test_an_expired_entry_is_not_put_into_a_new_target_and_not_added_later() -> None:
    expired = source(HUB_REGISTRY, expires_in=-1.0)
    bench = Bench(resolved(None, expired, source(SECOND, name="two")))
    assert auths(settled(bench)) == {SECOND}


def test_an_expired_login_that_another_source_gives_too_does_not_date_a_target() -> None:
    """The plan after the write would date it, and the next one again."""
    bench = Bench(resolved(None, source(HUB_REGISTRY, expires_in=-1.0), source(HUB_REGISTRY, name="two")))
    settled(bench)
    assert bench.lines()["p"].expires_at is None


def test_an_expired_entry_stays_in_a_target_that_has_it() -> None:
    there = written(resolved(None, source(HUB_REGISTRY, expires_in=HOUR), source(SECOND, name="two")))
    later = resolved(None, source(HUB_REGISTRY, expires_in=HOUR), source(SECOND, name="two", password="new"))
    bench = Bench(later, found=there, now=NOW + 2 * HOUR)
    assert bench.needed().wish is None
    assert auths(settled(bench)) == {HUB_REGISTRY, SECOND}
    assert bench.lines()["p"].expires_at == NOW + HOUR


def test_a_registry_that_another_source_still_gives_is_taken_from_there_once_the_first_has_expired() -> None:
    expired = source(HUB_REGISTRY, expires_in=HOUR, password="old")
    one = resolved(None, expired, source(HUB_REGISTRY, name="two", password="good"))
    bench = Bench(one, found=written(one), now=NOW + 2 * HOUR)
    assert b"good" in content_of(settled(bench) or {})
    assert b"good" in content_of(settled(Bench(one, now=NOW + 2 * HOUR)) or {})


def test_a_registry_that_nobody_of_ours_put_there_is_taken_away_without_asking() -> None:
    planted = changed(written(resolved()), content=b'{"auths":{"registry.example.com":{},"evil.example.com":{}}}')
    bench = Bench(resolved(), found=planted)
    assert bench.needed().wish is None
    assert auths(settled(bench)) == {HUB_REGISTRY}


def test_with_an_unknown_past_it_is_asked_for_first() -> None:
    planted = changed(written(resolved()), content=b'{"auths":{"registry.example.com":{},"old.example.com":{}}}')
    bench = Bench(resolved(history_known=False), found=planted)
    wish = bench.needed().wish
    assert wish is not None
    assert bench.needed().write is None
    assert bench.lines()["p"].state is State.PENDING
    assert bench.hold(wish).lines()["p"].state is State.HELD
    assert auths(settled(bench.let_go(wish))) == {HUB_REGISTRY}


def removed_source(password: str = "secret-1") -> Bench:
    """A policy that named two sources and names one now."""
    there = written(resolved(None, source(HUB_REGISTRY), source(SECOND, name="two")))
    return Bench(resolved(None, source(HUB_REGISTRY, password=password), retained=[entry(SECOND)]), found=there)


def test_the_registry_of_a_source_that_was_removed_stays_until_that_is_let_go() -> None:
    bench = removed_source()
    wish = bench.needed().wish
    assert wish is not None
    assert wish.loses == (SECOND,)
    assert bench.needed().write is None
    assert auths(settled(bench.let_go(wish))) == {HUB_REGISTRY}
    assert bench.needed().wish is None


def test_a_held_loss_keeps_the_rest_fresh() -> None:
    bench = removed_source(password="new")
    bench.hold(bench.needed().wish)
    assert bench.lines()["p"].state is State.HELD
    there = settled(bench)
    assert auths(there) == {HUB_REGISTRY, SECOND}
    assert b"new" in content_of(there or {})


def test_no_registry_goes_without_the_whole_picture() -> None:
    bench = removed_source()
    wish = bench.needed().wish
    assert wish is not None
    bench.gate = Gate(whole_picture=False, released=frozenset({wish}))
    assert bench.needed().write is None


def test_a_source_that_may_not_go_there_any_more_is_a_loss_that_is_asked_for() -> None:
    there = written(resolved(None, source(HUB_REGISTRY), source(SECOND, name="two")))
    bound = source(SECOND, name="two", bounds=Bounds(namespaces=("team-b",)))
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="new"), bound), found=there)
    wish = bench.needed().wish
    assert wish is not None
    assert wish.loses == (SECOND,)
    assert auths(settled(bench)) == {HUB_REGISTRY, SECOND}
    assert auths(settled(bench.let_go(wish))) == {HUB_REGISTRY}


def test_another_spelling_of_a_registry_is_not_a_loss() -> None:
    there = written(resolved(None, source("index.docker.io")))
    respelled = resolved(None, source("https://index.docker.io/v1/"), retained=[entry("index.docker.io")])
    bench = Bench(respelled, found=there)
    assert bench.needed().wish is None
    assert auths(settled(bench)) == {"https://index.docker.io/v1/"}


def test_a_suspended_policy_writes_nothing_and_wishes_nothing() -> None:
    suspended = policy(suspend=True, deletion=DeletionPolicy.IMMEDIATE)
    assert Bench(resolved(suspended)).needed().write is None
    old = written(resolved(None, source(HUB_REGISTRY), source(SECOND, name="two")))
    bench = Bench(resolved(suspended, source(HUB_REGISTRY, password="new"), retained=[entry(SECOND)]), found=old)
    assert bench.needed().write is None
    assert bench.needed().wish is None
    assert bench.lines()["p"].reason == "Suspended"


def test_an_invalid_policy_creates_nothing() -> None:
    bench = Bench(resolved(standing=Standing.INVALID))
    assert bench.needed().write is None
    assert (bench.lines()["p"].state, bench.lines()["p"].reason) == (State.PENDING, "InvalidSpec")


def test_the_targets_of_an_invalid_policy_are_kept_fresh_and_lose_nothing() -> None:
    there = written(resolved(None, source(HUB_REGISTRY), source(SECOND, name="two")))
    now = resolved(None, source(HUB_REGISTRY, password="new"), standing=Standing.INVALID, retained=[entry(SECOND)])
    bench = Bench(now, found=there)
    assert bench.needed().wish is None
    kept = settled(bench)
    assert auths(kept) == {HUB_REGISTRY, SECOND}
    assert b"new" in content_of(kept or {})


def test_nothing_that_is_planned_names_what_is_secret() -> None:
    bench = Bench(resolved(None, source(HUB_REGISTRY, password="MARKED")))
    assert "MARKED" not in repr(bench.needed())


def rivals(first: float | None, second: float | None) -> Bench:
    one, two = policy("b-one", created=first), policy("a-two", created=second)
    return Bench(world(resolved(one), resolved(two, source(SECOND))))


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [(1.0, 2.0, "b-one"), (2.0, 1.0, "a-two"), (1.0, 1.0, "a-two"), (None, None, "a-two"), (1.0, None, "b-one")],
)
def test_of_rivals_the_older_wins_then_the_name(first: float | None, second: float | None, winner: str) -> None:
    bench = rivals(first, second)
    assert bench.needed().policy == winner
    loser = ({"b-one", "a-two"} - {winner}).pop()
    assert bench.lines()[loser].state is State.CONFLICT
    settled(bench)
    assert bench.lines()[winner].state is State.IN_SYNC
    assert bench.lines()[loser].state is State.CONFLICT


def test_a_younger_policy_keeps_the_target_that_names_it() -> None:
    young = resolved(policy("young", created=2.0))
    bench = Bench(world(resolved(policy("old", created=1.0)), young), found=written(young))
    assert bench.needed().write is None
    assert bench.lines()["old"].state is State.CONFLICT


def test_a_target_that_lost_the_name_of_its_policy_stays_with_the_policy_that_had_it() -> None:
    young = resolved(policy("young", created=2.0))
    nameless = changed(written(young), annotations={"imps-multi.io/policy": None})
    bench = Bench(world(resolved(policy("old", created=1.0)), young), found=nameless, remembered={"uid-1": "young"})
    assert texts(metadata_of(settled(bench) or {})["annotations"])["imps-multi.io/policy"] == "young"


@pytest.mark.parametrize("standing", [Standing.INVALID, Standing.VALID])
def test_a_rival_waits_for_an_invalid_or_suspended_policy(standing: Standing) -> None:
    held = policy("mine", suspend=standing is Standing.VALID)
    mine = resolved(held, standing=standing)
    bench = Bench(world(mine, resolved(policy("rival"))), found=written(resolved(policy("mine"))))
    assert bench.needed().write is None
    assert bench.lines()["rival"].state is State.CONFLICT


def as_seen(found: Object | None) -> SeenSecret:
    seen = observe(found)
    assert seen is not None
    return seen


def test_a_target_that_its_policy_gave_up_goes_to_the_next_in_place() -> None:
    before = resolved(policy("gone", labels={"from": "gone"}))
    heir = resolved(policy("heir"), source(HUB_REGISTRY, password="heirs"))
    bench = Bench(world(heir), found=written(before))
    bench = Bench(world(heir, resolved(before.policy, standing=Standing.DELETED)), found=bench.found)
    there = settled(bench)
    assert as_seen(there).uid == "uid-1"
    assert texts(metadata_of(there or {})["labels"]) == MANAGED | HUB_MARK
    assert texts(metadata_of(there or {})["annotations"])["imps-multi.io/policy"] == "heir"
    assert b"heirs" in content_of(there or {})


def test_what_a_hand_over_would_lose_is_asked_for_and_kept_fresh_meanwhile() -> None:
    spec = policy("gone")
    heir = resolved(policy("heir"), source(SECOND))
    left = resolved(spec, source(HUB_REGISTRY, password="new"), standing=Standing.DELETED)
    bench = Bench(world(heir, left), found=written(resolved(spec)))
    wish = bench.needed().wish
    assert wish is not None
    assert (wish.policy, wish.loses) == ("gone", (HUB_REGISTRY,))
    there = settled(bench)
    assert b"new" in content_of(there or {})
    assert bench.lines()["heir"].state is State.PENDING
    assert bench.lines()["gone"].there
    assert not bench.lines()["gone"].desired
    assert bench.hold(wish).lines()["heir"].state is State.HELD
    assert auths(settled(bench.let_go(wish))) == {SECOND}


def test_a_hand_over_does_not_ask_for_what_nobody_of_ours_put_there() -> None:
    spec = policy("gone")
    planted = changed(written(resolved(spec)), content=b'{"auths":{"registry.example.com":{},"evil.example.com":{}}}')
    bench = Bench(world(resolved(policy("heir")), resolved(spec, standing=Standing.DELETED)), found=planted)
    assert bench.needed().wish is None
    assert auths(settled(bench)) == {HUB_REGISTRY}


def test_an_heir_whose_sources_are_not_known_yet_waits() -> None:
    heir = resolved(policy("heir"), source(kind=SourceKind.UNKNOWN))
    bench = Bench(world(heir), found=written(resolved(policy("gone"))))
    assert (bench.needed().write, bench.needed().wish) == (None, None)


@pytest.mark.parametrize(
    "claimant", [resolved(policy("c", suspend=True)), resolved(policy("c"), standing=Standing.INVALID)]
)
def test_nobody_inherits_who_may_not_write(claimant: Resolved) -> None:
    bench = Bench(world(claimant), found=written(resolved(policy("gone"))))
    plan = bench.needed()
    assert plan.wish is not None
    assert plan.wish.loses == ()
    assert bench.lines()["c"].state is State.PENDING
    assert bench.lines()["gone"].state is State.LINGERING


def test_a_target_of_a_policy_that_cannot_be_read_is_not_given_away() -> None:
    there = written(resolved(policy("unreadable")))
    broken = Bench(world(resolved(policy("heir"))), found=there)
    broken.view = structs.replace(broken.view, whole=False)
    assert broken.needed().write is None
    assert broken.lines()["heir"].state is State.CONFLICT
    assert "unreadable" in broken.lines()["heir"].message
