"""Adopting a Secret that is not ours: which, how, what stays on it, and how it is given back."""

import json
from collections.abc import Mapping

import pytest
from msgspec import structs

from imps_multi.model.credential import Bounds, SourceKind
from imps_multi.model.gate import Gate
from imps_multi.model.names import NamespaceName, Uid
from imps_multi.model.plan_result import operation_of
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy, Policy, SourceRef
from imps_multi.model.target_plan import State, Update
from imps_multi.model.world import Resolved, Standing
from imps_multi.model.writing import patch_body
from tests.model.objects import Object, carry_out, content_of, made, metadata_of, texts
from tests.model.scenes import HOUR, HUB_REGISTRY, SECOND, Bench, changed, policy, resolved, source, world, written

OURS = {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": "mgmt"}
ADOPTED = "imps-multi.io/adopted"
OWNER_UID, LAST_APPLIED = "images.banzaicloud.io/owner-uid", "banzaicloud.com/last-applied"
POLICY_OWNER = {"apiVersion": "images.banzaicloud.io/v1alpha1", "kind": "ImagePullSecret", "name": "old", "uid": "u-1"}
OTHER_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u-2", "blockOwnerDeletion": True}
THEIRS = b'{"auths":{"theirs.example.com":{"auth":"dTpw"}}}'


def adopting(**more: object) -> Policy:
    return policy(conflict=ConflictPolicy.ADOPT, **more)  # type: ignore[arg-type]  # any part of a policy


def theirs(**more: object) -> Object:
    """A Secret that somebody else made."""
    return made(THEIRS, **({"labels": {"team": "x"}, "annotations": {"note": "y"}} | more))  # type: ignore[arg-type]  # any part of a Secret


def from_imps(*owners: Mapping[str, object], **more: object) -> Object:
    """A Secret as the IMPS operator writes it."""
    return made(
        THEIRS,
        labels={OWNER_UID: "u-1", "team": "x"},
        annotations={LAST_APPLIED: "a copy", "note": "y"},
        owners=owners or ({**POLICY_OWNER, "controller": True, "blockOwnerDeletion": True},),
        **more,  # type: ignore[arg-type]  # any part of a Secret
    )


def labels(found: Object) -> dict[str, str]:
    return texts(metadata_of(found).get("labels"))


def annotations(found: Object) -> dict[str, str]:
    return texts(metadata_of(found).get("annotations"))


def test_a_plain_secret_is_taken_over_in_place_and_marked() -> None:
    bench = Bench(resolved(adopting()), found=theirs())
    plan = bench.needed()
    assert isinstance(plan.write, Update)
    assert json.loads(patch_body(plan.write))["metadata"]["resourceVersion"] == "1"
    assert (bench.lines()["p"].state, plan.why) == (State.PENDING, "adopted")
    after = bench.settle()
    assert labels(after) == OURS | {"team": "x"}
    assert annotations(after) == {
        "note": "y",
        ADOPTED: "true",
        "imps-multi.io/policy": "p",
        "imps-multi.io/deletion-policy": "WhenUnreferenced",
    }
    assert (metadata_of(after)["uid"], content_of(after)) == ("uid-1", content_of(written(resolved())))
    assert bench.lines()["p"].state is State.IN_SYNC


REFUSED = {
    "type": (theirs(kind="Opaque"), "its type is Opaque, not kubernetes.io/dockerconfigjson"),
    "immutable": (theirs(immutable=True), "it is immutable"),
    "controller": (
        theirs(owners=[{**OTHER_OWNER, "kind": "ExternalSecret", "controller": True}]),
        "a controller of kind ExternalSecret",
    ),
    "hub": (theirs(labels=OURS | {"imps-multi.io/hub": "other"}), "the mark of another hub (other)"),
    "manager": (
        theirs(labels={"app.kubernetes.io/managed-by": "Helm"}),
        "its label app.kubernetes.io/managed-by is Helm",
    ),
    "no label": (theirs(owners=[POLICY_OWNER]), "name an ImagePullSecret, and it lacks IMPS's label"),
    "IMPS and immutable": (from_imps(immutable=True), "it is immutable"),
    "IMPS and another controller": (
        from_imps(POLICY_OWNER, {**OTHER_OWNER, "controller": True}),
        "a controller of kind ConfigMap",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_adopted_stays_in_conflict_and_says_why(case: str) -> None:
    found, why = REFUSED[case]
    for spec, word in ((adopting(), "cannot be adopted"), (policy(), "could not be adopted")):
        bench = Bench(resolved(spec), found=found)
        line = bench.lines()["p"]
        assert (bench.needed().write, line.state, line.reason) == (None, State.CONFLICT, "Conflict")
        assert f"{word}: " in line.message
        assert why in line.message


IN_THE_HUB = SourceRef(NamespaceName("team-a"), "pull")


@pytest.mark.parametrize("home", [True, False])
@pytest.mark.parametrize("conflict", list(ConflictPolicy))
@pytest.mark.parametrize("found", [None, theirs(), written(resolved())], ids=["missing", "theirs", "ours"])
def test_a_source_in_the_hub_s_own_cluster_is_no_target_of_the_policy_that_reads_it(
    conflict: ConflictPolicy, found: Object | None, *, home: bool
) -> None:
    itself = structs.replace(source(HUB_REGISTRY), ref=IN_THE_HUB)
    bench = Bench(resolved(policy(conflict=conflict), itself, source(SECOND, name="two")), found=found, home=home)
    line = bench.lines()["p"]
    assert ("the source Secret itself belongs there" in line.message) is home
    if home:
        assert (bench.needed().write, line.state) == (None, State.CONFLICT)


@pytest.mark.parametrize("home", [True, False])
def test_a_source_in_the_hub_s_own_cluster_is_not_adopted_for_another_policy_either(*, home: bool) -> None:
    reader = resolved(policy("q", names=()), structs.replace(source(HUB_REGISTRY), ref=IN_THE_HUB))
    bench = Bench(world(resolved(adopting()), reader), found=theirs(), home=home)
    line = bench.lines()["p"]
    assert line.state is (State.CONFLICT if home else State.PENDING)
    assert ("cannot be adopted: it is a source of a policy" in line.message) is home


def test_a_secret_that_the_hub_calls_its_source_is_not_adopted_wherever_it_is_met() -> None:
    found = theirs()
    there = structs.replace(world(resolved(adopting())), source_uids=frozenset({Uid(str(metadata_of(found)["uid"]))}))
    line = Bench(there, found=found).lines()["p"]
    assert (line.state, "it is a source of a policy" in line.message) == (State.CONFLICT, True)


def test_everything_that_stands_against_it_is_said() -> None:
    found = theirs(kind="Opaque", immutable=True, labels={"app.kubernetes.io/managed-by": "Helm"})
    message = Bench(resolved(adopting()), found=found).lines()["p"].message
    assert all(word in message for word in ("type is Opaque", "immutable", "Helm"))


@pytest.mark.parametrize("found", [theirs(), from_imps()], ids=["plain", "IMPS"])
def test_with_fail_it_is_a_conflict_that_names_the_way_out(found: Object) -> None:
    bench = Bench(resolved(), found=found)
    assert bench.needed().write is None
    assert "conflictPolicy: Adopt would take it over" in bench.lines()["p"].message


def test_what_imps_wrote_loses_its_traces_in_the_same_patch() -> None:
    bench = Bench(resolved(adopting()), found=from_imps())
    plan = bench.needed()
    assert isinstance(plan.write, Update)
    patch = json.loads(patch_body(plan.write))
    assert patch["metadata"]["ownerReferences"] is None
    assert patch["metadata"]["labels"][OWNER_UID] is None
    assert patch["metadata"]["annotations"][LAST_APPLIED] is None
    assert "data" in patch
    assert plan.why == "adopted from IMPS"
    bench.found = carry_out(bench.found, plan)
    assert (bench.plan() or plan).write is None
    assert (labels(bench.settle()), "ownerReferences" in metadata_of(bench.settle())) == (OURS | {"team": "x"}, False)
    assert annotations(bench.settle())[ADOPTED] == "true"


@pytest.mark.parametrize("controls", [True, False])
def test_only_the_reference_to_imps_goes(*, controls: bool) -> None:
    bench = Bench(resolved(adopting()), found=from_imps({**POLICY_OWNER, "controller": controls}, OTHER_OWNER))
    assert metadata_of(bench.settle())["ownerReferences"] == [OTHER_OWNER]


def test_other_owners_stay_on_a_plain_one() -> None:
    bench = Bench(resolved(adopting()), found=theirs(owners=[OTHER_OWNER]))
    assert metadata_of(bench.settle())["ownerReferences"] == [OTHER_OWNER]


def test_what_imps_wrote_to_again_is_taken_back_with_the_mark_of_an_adopted_one() -> None:
    """Its PUT took the labels, and after a restart nothing is remembered but the uid that is seen."""
    for remembered in ({"uid-1": "p"}, {}):
        bench = Bench(resolved(adopting()), found=from_imps(), remembered=remembered)
        after = bench.settle()
        assert annotations(after)[ADOPTED] == "true"
        assert not {OWNER_UID, "ownerReferences"} & {*labels(after), *metadata_of(after)}


def test_with_an_unknown_source_imps_loses_its_say_and_the_content_stays() -> None:
    ours = Bench(resolved(adopting()), found=from_imps()).settle()
    taken = changed(ours, labels={OWNER_UID: "u-1"}, content=THEIRS)
    metadata_of(taken)["ownerReferences"] = [POLICY_OWNER]
    bench = Bench(resolved(adopting(), source(kind=SourceKind.UNKNOWN)), found=taken)
    after = bench.settle()
    assert (content_of(after), OWNER_UID in labels(after)) == (THEIRS, False)
    assert "ownerReferences" not in metadata_of(after)


def test_the_mark_survives_every_further_update() -> None:
    bench = Bench(resolved(adopting()), found=theirs())
    bench.settle()
    for spec in (adopting(), policy(), policy(labels={"a": "1"})):
        bench = Bench(resolved(spec, source(HUB_REGISTRY, password="new", expires_in=HOUR)), found=bench.found)
        assert annotations(bench.settle())[ADOPTED] == "true"


def test_a_mark_that_somebody_took_is_put_back_where_it_is_remembered() -> None:
    there = changed(Bench(resolved(adopting()), found=theirs()).settle(), annotations={ADOPTED: None})
    assert ADOPTED not in annotations(Bench(resolved(), found=there).settle())
    bench = Bench(resolved(), found=there, adopted=["uid-1"])
    assert isinstance(bench.needed().write, Update)
    assert annotations(bench.settle())[ADOPTED] == "true"


@pytest.mark.parametrize("deletion", DeletionPolicy)
@pytest.mark.parametrize("known", [True, False])
def test_an_adopted_one_is_given_back_with_what_it_had(deletion: DeletionPolicy, *, known: bool) -> None:
    adopted = Bench(
        resolved(adopting(deletion=deletion, labels={"team": "ours", "more": "1"})), found=theirs()
    ).settle()
    gone = resolved(adopting(names=["other"], deletion=deletion, labels={"team": "ours", "more": "1"}))
    bench = Bench(gone if known else world(), found=adopted)
    bench.let_go(bench.needed().wish)
    bench.found = carry_out(bench.found, bench.needed())
    assert bench.found is not None
    assert labels(bench.found) == {"team": "ours", "more": "1"}
    assert annotations(bench.found) == {"note": "y"}
    assert content_of(bench.found) == content_of(adopted)
    assert bench.plan() is None


def test_the_mark_of_one_that_is_to_be_given_back_stays_on_it_until_then() -> None:
    there = changed(Bench(resolved(adopting()), found=theirs()).settle(), annotations={ADOPTED: None})
    gone = resolved(policy(names=["other"], deletion=DeletionPolicy.IMMEDIATE))
    for there_too in (world(gone), world()):
        bench = Bench(there_too, found=there, adopted=["uid-1"])
        assert annotations(bench.settle())[ADOPTED] == "true"


def test_keys_of_the_policys_past_stay_on_an_adopted_one() -> None:
    past = resolved(adopting(), past_labels=["team"], past_annotations=["note"])
    after = Bench(past, found=theirs()).settle()
    assert (labels(after)["team"], annotations(after)["note"]) == ("x", "y")


WAITING = {
    "unknown": resolved(adopting(), source(HUB_REGISTRY), source(name="two", kind=SourceKind.UNKNOWN)),
    "absent": resolved(adopting(), source(HUB_REGISTRY), source(name="two", kind=SourceKind.ABSENT)),
    "expired": resolved(adopting(), source(HUB_REGISTRY), source(SECOND, name="two", expires_in=-1.0)),
    "not allowed": resolved(
        adopting(), source(HUB_REGISTRY), source(SECOND, name="two", bounds=Bounds(namespaces=("team-b",)))
    ),
    "being asked": structs.replace(resolved(adopting()), waiting=True),
    "suspended": resolved(adopting(suspend=True)),
    "invalid": resolved(adopting(), standing=Standing.INVALID),
}


@pytest.mark.parametrize("case", WAITING)
def test_what_is_there_is_not_replaced_by_less_than_every_source_gives(case: str) -> None:
    bench = Bench(WAITING[case], found=theirs())
    assert bench.needed().write is None
    assert bench.lines()["p"].state in (State.PENDING, State.CONFLICT)


def test_a_new_target_that_needs_approval_is_not_adopted_without() -> None:
    bench = Bench(resolved(adopting()), found=theirs(), gate=Gate(whole_picture=True, admitted={}))
    assert (bench.needed().write, bench.lines()["p"].reason) == (None, "ExpansionHeld")


def test_of_rivals_only_the_older_may_adopt() -> None:
    older, younger = policy("a", created=1.0), structs.replace(adopting(), name=policy("b").name, created=2.0)
    bench = Bench(world(resolved(older), resolved(younger)), found=theirs())
    assert bench.needed().write is None
    assert {line.state for line in bench.lines().values()} == {State.CONFLICT}
    adopts = structs.replace(older, conflict_policy=ConflictPolicy.ADOPT)
    bench = Bench(world(resolved(adopts), resolved(younger)), found=theirs())
    assert annotations(bench.settle())["imps-multi.io/policy"] == "a"
    assert bench.lines()["b"].message == "policy a has this Secret name here"


def test_what_is_not_wanted_is_not_adopted() -> None:
    assert Bench(resolved(adopting(names=["other"])), found=from_imps()).plan() is None


def kept(by: Resolved) -> Bench:
    """A target with one registry, and the policy as it is now."""
    bench = Bench(by, found=written(resolved()))
    bench.let_go(bench.needed().wish)
    return bench


def test_a_target_whose_last_source_is_gone_keeps_what_it_has() -> None:
    former = written(resolved()).copy()
    gone = resolved(None, source(kind=SourceKind.ABSENT), retained=source(HUB_REGISTRY).entries)
    for bench in (kept(gone), kept(structs.replace(gone, retained={}))):
        assert content_of(bench.settle()) == content_of(former)
        assert (bench.needed().wish, bench.lines()["p"].state) == (None, State.PENDING)
        assert bench.lines()["p"].reason == "SourceError"


def test_a_target_to_which_no_source_may_go_any_more_keeps_what_it_has_and_is_not_renewed() -> None:
    bound = source(HUB_REGISTRY, password="new", bounds=Bounds(namespaces=("team-b",)))
    bench = kept(resolved(None, bound))
    assert content_of(bench.settle()) == content_of(written(resolved()))
    assert bench.lines()["p"].reason == "SourceNotAllowed"


def test_a_target_that_somebody_emptied_stays_so_while_nothing_is_known_to_fill_it() -> None:
    emptied = changed(written(resolved()), content=b'{"auths": {}}')
    bench = Bench(resolved(None, source(kind=SourceKind.ABSENT)), found=emptied)
    assert bench.needed().write is None


def test_only_a_write_that_takes_our_labels_is_called_a_release() -> None:
    taken = Bench(resolved(adopting()), found=from_imps())
    assert operation_of(taken.needed().write) == "update"
    ours = changed(taken.settle(), labels={OWNER_UID: "u-1"})
    assert operation_of(Bench(resolved(adopting()), found=ours).needed().write) == "update"
    gone = Bench(resolved(adopting(names=["other"])), found=ours)
    gone.let_go(gone.needed().wish)
    assert operation_of(gone.needed().write) == "release"


def test_a_secret_that_imps_took_and_made_immutable_loses_its_owner_while_it_goes() -> None:
    ours = Bench(resolved(adopting()), found=from_imps()).settle()
    metadata_of(ours)["ownerReferences"] = [POLICY_OWNER]
    stale = resolved(adopting(names=["other"]), source(HUB_REGISTRY, password="new"))
    bench = Bench(stale, found={**ours, "immutable": True})
    assert "ownerReferences" not in metadata_of(bench.settle())
