"""Defects of targets: false success, one bad namespace that stops the others, drift, adoption, leaks, rewrites."""

import base64
import json
from http import HTTPStatus
from typing import Any

import anyio
import pytest

from imps_multi.ports import Conflict, Forbidden
from tests.actors.fakes import FakeBoard
from tests.actors.fakes import policy as fake_policy
from tests.actors.fakes import static as fake_static
from tests.actors.stage import Stage as Actors
from tests.actors.stage import spaces as many
from tests.actors.stage import until as eventually
from tests.e2e.manifests import docker_source
from tests.e2e.program import printed_role, sync
from tests.e2e.site import SERVICE
from tests.e2e.targets import KEY, by_namespace
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.realcluster.rights import cluster_role, rule
from tests.upstream_defects.stage import Stage, Writes, ecr, spaces, team


def static(defect: str) -> Manifest:
    """Return the source of one test."""
    return docker_source(defect, host=f"{defect}.example.com", password=f"{defect}-password")


def forbid_secrets(cluster: RealCluster, namespace: str) -> None:
    """Give a namespace a quota of no Secrets, and wait until it is in force."""
    path, hard = f"/api/v1/namespaces/{namespace}", {"secrets": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": hard}}
    made = cluster.client().post(f"{path}/resourcequotas", quota)
    counted = {**made, "status": {"hard": hard, "used": hard}}  # as the quota controller would
    cluster.client().put(f"{path}/resourcequotas/none/status", counted)
    probe = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "probe"}}
    dry = {"dryRun": "All"}
    until(
        lambda: cluster.client().ask("POST", f"{path}/secrets", body=probe, query=dry).status == HTTPStatus.FORBIDDEN,
        "the quota is in force",
    )


def opaque(namespace: str) -> Manifest:
    """Return somebody's Secret of another type under our name."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pull", "namespace": namespace},
        "stringData": {"theirs": "data"},
    }


@pytest.mark.real
def test_d12_a_write_that_failed_is_no_success(stage: Stage) -> None:
    """IMPS sets the policy Ready after a failed write, and says that it reconciled successfully just now."""
    stage.east.create_namespaces(["d12-quota"])
    forbid_secrets(stage.east, "d12-quota")
    stage.serve("d12", team("d12", "d12"), static("d12"), namespaces=spaces("d12", 2))
    until(lambda: len(stage.logins("d12-")) == 4, "all others are there")
    stage.await_reason("d12", "PartiallySynced")
    until(lambda: counted(stage, "d12") == (4, 1), "the refused one counts as failed, the others as in sync")
    status = stage.program.policy("d12")
    assert (status["status"], status.get("lastSuccessfulReconciliation")) == ("Failed", None)
    assert "d12-quota" in status["reason"]
    assert status["targets"]["summary"] == "4/5"
    assert set(status["managedNamespaces"]) >= set(spaces("d12", 2))


def counted(stage: Stage, name: str) -> tuple[int, int]:
    """Return how many targets of a policy are in sync, and how many failed."""
    targets = stage.program.policy(name)["targets"]
    return targets["inSync"], targets["failed"]


@pytest.mark.real
def test_d13_a_source_that_failed_is_asked_again_soon(stage: Stage) -> None:
    """IMPS swallows the error of a source, so that its next try is a whole interval of five minutes away."""
    stage.weak.call(lambda: stage.weak.ecr.faults.fail("ServerException", times=2))
    stage.serve("d13", team("d13", "d13"), ecr("d13", stage.weak, region="us-east-2"), namespaces=spaces("d13", 1))
    stage.await_synced("d13", 2)
    stage.weak.wait_for(stage.weak.ecr.faults.heal)


@pytest.mark.real
def test_d14_one_bad_namespace_keeps_no_other_from_being_served_and_cleaned(stage: Stage) -> None:
    """IMPS stops at the first namespace that fails, before it takes anything away, and then backs off for all."""
    bad = ("d14-0-ending", "d14-0-quota", "d14-0-taken")
    for cluster in stage.clusters:
        cluster.create_namespaces([*bad, "d14-good", "d14-leaving"])
        cluster.apply(opaque("d14-0-taken"))
        forbid_secrets(cluster, "d14-0-quota")
        cluster.terminate_namespace("d14-0-ending")
    everybody = {"names": ["d14-*"]}
    stage.serve("d14", team("d14", "d14", namespaces=everybody, deletionPolicy="Immediate"), static("d14"))
    until(lambda: holders(stage, "d14-") == {"d14-0-taken", "d14-good", "d14-leaving"}, "the good ones are served")
    narrowed = {**everybody, "exclude": ["d14-leaving"]}
    stage.serve("d14", team("d14", "d14", namespaces=narrowed, deletionPolicy="Immediate"), static("d14"))
    until(lambda: holders(stage, "d14-") == {"d14-0-taken", "d14-good"}, "what is not selected any more goes")
    stage.east.delete_secret("d14-good", "pull")
    until(lambda: holders(stage, "d14-") == {"d14-0-taken", "d14-good"}, "drift is repaired meanwhile")
    for cluster in stage.clusters:
        assert by_namespace(cluster)["d14-0-taken"]["type"] == "Opaque"
        cluster.finish_namespace("d14-0-ending")


def holders(stage: Stage, prefix: str) -> set[str] | None:
    """Return the namespaces with a prefix that hold a Secret of the name; None while the clusters differ."""
    found = [{one for one in by_namespace(cluster) if one.startswith(prefix)} for cluster in stage.clusters]
    return found[0] if found[0] == found[1] else None


@pytest.mark.real
def test_d15_drift_does_not_stay_until_the_next_interval(stage: Stage) -> None:
    """IMPS does not watch its targets: what somebody edits or deletes stays so for up to five minutes."""
    stage.serve("d15", team("d15", "d15"), static("d15"), namespaces=spaces("d15", 2))
    stage.await_synced("d15", 4)
    edited, deleted = spaces("d15", 2)
    right = by_namespace(stage.east)[edited]["data"]
    stage.east.edit_secret(edited, "pull", {"data": {KEY: base64.b64encode(b'{"auths":{}}').decode()}})
    stage.east.delete_secret(deleted, "pull")
    until(
        lambda: [by_namespace(stage.east).get(one, {}).get("data") for one in (edited, deleted)] == [right, right],
        "both are right again",
    )


@pytest.mark.real
def test_d16_a_secret_that_was_there_is_not_taken_over_in_silence(stage: Stage) -> None:
    """IMPS overwrites whatever has the name, puts its owner on it, and deletes it later."""
    theirs = {**docker_source("pull", password="theirs"), "metadata": {"name": "pull", "namespace": "d16-0"}}
    stage.east.create_namespaces(["d16-0"])
    stage.east.apply(theirs)
    before = stage.east.secret("d16-0", "pull")
    stage.serve("d16", team("d16", "d16"), static("d16"))
    stage.await_reason("d16", "Conflict")
    assert stage.program.policy("d16")["targets"]["conflict"] == 1
    assert stage.east.secret("d16-0", "pull") == before
    stage.site.drop("d16.yaml")
    until(lambda: not stage.program.policy("d16"), "the policy is gone")
    assert stage.east.secret("d16-0", "pull") == before


@pytest.mark.real
def test_d16_two_policies_for_one_target_do_not_overwrite_each_other(stage: Stage) -> None:
    """IMPS lets two policies with one target write over each other at every pass, and says nothing."""
    older = {"creationTimestamp": "2020-01-01T00:00:00Z"}
    namespaces = {"names": ["d16r-*"]}
    writes = Writes(stage, "d16r-")
    stage.serve(
        "d16r",
        team("d16r-first", "d16r", namespaces=namespaces, metadata=older),
        team("d16r-second", "d16r", namespaces=namespaces),
        static("d16r"),
        namespaces=spaces("d16r", 2),
    )
    stage.await_synced("d16r-first", 4)
    stage.await_reason("d16r-second", "Conflict")
    sync(stage.site, "d16r-second")
    stage.serve("d16x", team("d16x", "d16r"), namespaces=spaces("d16x", 1))
    stage.await_synced("d16x", 2)  # so the sync before was taken up too
    assert {verb for verb, _, _ in writes.seen()} == {"create"}
    assert len(writes.seen()) == 4


@pytest.mark.real
def test_d16_an_adopted_secret_says_so_keeps_its_uid_and_is_given_back(stage: Stage) -> None:
    """IMPS takes over unasked, and what it took over it deletes."""
    theirs = {**docker_source("pull", password="theirs"), "metadata": {"name": "pull", "namespace": "d16a-0"}}
    stage.east.create_namespaces(["d16a-0"])
    stage.east.apply(theirs)
    uid = by_namespace(stage.east)["d16a-0"]["metadata"]["uid"]
    stage.serve("d16a", team("d16a", "d16a", conflictPolicy="Adopt", deletionPolicy="Immediate"), static("d16a"))
    stage.await_synced("d16a", 1)
    adopted = by_namespace(stage.east)["d16a-0"]["metadata"]
    assert (adopted["uid"], adopted["annotations"]["imps-multi.io/adopted"]) == (uid, "true")
    stage.serve("d16a", static("d16a"))
    until(lambda: "imps-multi.io/hub" not in labels(stage, "d16a-0"), "it is given back when the policy goes")
    assert by_namespace(stage.east)["d16a-0"]["metadata"]["uid"] == uid


def labels(stage: Stage, namespace: str) -> dict[str, str]:
    """Return the labels of a target."""
    found: dict[str, str] = by_namespace(stage.east)[namespace]["metadata"].get("labels", {})
    return found


@pytest.mark.anyio
async def test_d12_a_hub_does_not_show_a_failed_write_as_a_success(actors: Actors) -> None:
    """IMPS shows Ready, and a time of success, on the object; a conflict there is logged and left."""
    board = actors.board = FakeBoard(actors.hub)
    cluster = actors.cluster("a", *many(3))
    bad = many(3)[1]
    cluster.write_error = lambda namespace, _name: Forbidden("quota") if namespace == bad else None
    actors.hub.put(fake_policy(), fake_static())
    board.error = Conflict("the object has been modified")
    async with actors.running():
        await anyio.sleep(5.0)
        board.error = None
        await eventually(lambda: board.condition() == ("False", "PartiallySynced"), within=60.0)
    shown = board.shown()
    assert (shown["status"], shown.get("lastSuccessfulReconciliation")) == ("Failed", None)
    assert (shown["targets"]["summary"], shown["managedNamespaces"]) == ("2/3", list(many(3)))
    assert "Reconciled" not in board.told()


@pytest.mark.real
def test_d17_no_credential_stands_in_the_metadata_of_a_target(stage: Stage) -> None:
    """IMPS copies the whole target, credential and all, into an annotation of it."""
    stage.serve("d17", team("d17", "d17"), static("d17"), namespaces=spaces("d17", 1))
    stage.await_synced("d17", 2)
    target = by_namespace(stage.east)["d17-0"]
    shown = json.dumps(target["metadata"])
    assert not any(form in shown for form in (*shapes("d17-password"), target["data"][KEY]))
    assert "last-applied" not in shown
    assert max(map(len, target["metadata"]["annotations"].values())) < 64


def shapes(password: str) -> set[str]:
    """Return a password as it may be written: as it is, and in base64 wherever it begins within three bytes."""
    coded = (base64.b64encode(b"\0" * shift + password.encode()).decode() for shift in range(3))
    return {password, *(one[4 * bool(shift) : -4] for shift, one in enumerate(coded))}


@pytest.mark.real
def test_d18_what_is_right_is_not_written_again(stage: Stage) -> None:
    """IMPS compares stringData with data, finds them unequal, and puts every target at every pass."""
    stage.serve("d18", team("d18", "d18"), static("d18"), namespaces=spaces("d18", 5))
    stage.await_synced("d18", 10)
    writes = Writes(stage, "d18-")
    sync(stage.site, "d18")
    assert stage.program.stop()[0] == 0
    stage.program.start()
    stage.await_synced("d18", 10)
    stage.serve("d18x", team("d18x", "d18"), namespaces=spaces("d18x", 1))
    stage.await_synced("d18x", 2)
    assert writes.seen() == []


@pytest.mark.real
def test_d19_a_delete_that_fails_logs_no_secret(stage: Stage) -> None:
    """IMPS logs the whole Secret, data and all, when it cannot delete it."""
    undeletable = rule("secrets", "get list watch update patch", names=["undeletable"])
    for cluster in stage.clusters:
        cluster.authorize(SERVICE, [*printed_role(stage.site), cluster_role("undeletable", undeletable)])
    given = team("d19", "d19", secret="undeletable", deletionPolicy="Immediate")
    stage.serve("d19", given, static("d19"), namespaces=spaces("d19", 1))
    stage.await_synced("d19", 2)
    stage.serve("d19", static("d19"))
    refused = until(lambda: failures(stage, "d19-0"), "the refused delete is logged")
    assert any(form in json.dumps(by_namespace(stage.east, "undeletable")["d19-0"]) for form in shapes("d19-password"))
    assert "forbidden" in json.dumps(refused).lower()
    printed = stage.program.err.read_text() + stage.program.out.read_text()
    assert [form for form in shapes("d19-password") if form in printed] == []


def failures(stage: Stage, namespace: str) -> list[dict[str, Any]]:
    """Return what was logged of a namespace when a write failed there."""
    return [line for line in stage.program.log() if line.get("level") != "debug" and namespace in json.dumps(line)]


@pytest.mark.real
def test_d20_what_a_deleted_policy_wrote_does_not_rest_on_an_owner_in_the_cluster(stage: Stage) -> None:
    """IMPS leaves deletion to ownerReferences, which cannot point out of a cluster."""
    stage.serve("d20", team("d20", "d20", deletionPolicy="Immediate"), static("d20"), namespaces=spaces("d20"))
    stage.await_synced("d20", 6)
    assert not any(
        {"ownerReferences", "finalizers"} & one["metadata"].keys() for one in by_namespace(stage.east).values()
    )
    stage.serve("d20", static("d20"))
    until(lambda: holders(stage, "d20-") == set(), "its targets are gone from every cluster")
