"""What watches tell of a cluster, the sandbox's and a real kube-apiserver's, with WatchList and without."""

import json
from typing import Any

import pytest

from imps_multi.kube.reflector import Support
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.digest import text_digest
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.observed import (
    NO_OWNERS,
    NamespaceGone,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.ports import (
    NotFound,
    Resume,
)
from tests.kube.manifests import NAMESPACES, PULL, SECRETS, A, config, secret
from tests.kube.scripted import MARKER
from tests.kube.watching import watching
from tests.kube.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[True, False], ids=["watch list", "list and watch"])
def watch_list(request: pytest.FixtureRequest, client: TargetClient) -> bool:
    """Let the client think that the server has WatchList, or not."""
    supported = bool(request.param)
    client._support = Support(watch_list=supported)
    return supported


def about(name: str) -> Any:
    """Return a test for an event about a namespace."""

    def fits(event: WatchEvent) -> bool:
        match event:
            case NamespaceSeen(record=record):
                return record.name == name
            case NamespaceGone(name=gone):
                return gone == name
            case _:
                return False

    return fits


async def test_namespaces_from_first_to_last(world: World, client: TargetClient, *, watch_list: bool) -> None:
    async with watching(client, NAMESPACES) as told:
        replaced = await told.kind(NamespacesReplaced)
        assert isinstance(replaced, NamespacesReplaced)
        records = {record.name: record for record in replaced.records}
        assert {"team-a", "kube-system", "default"} <= records.keys()
        assert records[A].labels == (("team", "a"),)
        assert (records[A].seen_at, records[A].terminating, replaced.reset) == (0.0, False, False)

        await world.namespace("team-b", annotations={"b": "2", "a": "1"})
        added = await told.next(about("team-b"))
        assert isinstance(added, NamespaceSeen)
        assert added.record.seen_at > 0
        assert added.record.annotations == (("a", "1"), ("b", "2"))
        assert added.record.resource_version > replaced.resource_version

        await world.edit_namespace("team-b", labels={"x": "y"})
        edited = await told.next(about("team-b"))
        assert isinstance(edited, NamespaceSeen)
        assert (edited.record.labels, edited.record.seen_at) == ((("x", "y"),), 0.0)

        await world.delete("/api/v1/namespaces/team-b")
        terminating = await told.next(about("team-b"))
        assert isinstance(terminating, NamespaceSeen)
        assert terminating.record.terminating

        await world.send(
            "PUT",
            "/api/v1/namespaces/team-b/finalize",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-b"}, "spec": {"finalizers": []}},
        )
        gone = await told.next(about("team-b"))
        assert isinstance(gone, NamespaceGone)
        assert gone.resource_version > terminating.record.resource_version
    assert client._support.watch_list == watch_list


async def test_secrets_of_one_name_from_first_to_last(world: World, client: TargetClient, *, watch_list: bool) -> None:
    labels = {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": "h", "their": "value"}
    meta: dict[str, Any] = {
        "labels": labels,
        "annotations": {"imps-multi.io/policy": "p", "note": "n"},
        "finalizers": ["a.b/c"],
    }
    await world.create(A, secret(**meta))
    await world.create(A, secret(name="other"))
    async with watching(client, SECRETS) as told:
        replaced = await told.kind(SecretsReplaced)
        assert isinstance(replaced, SecretsReplaced)
        ((namespace, seen),) = replaced.secrets
        stored = await world.secret(A, PULL)
        assert (namespace, seen.uid) == (A, stored["metadata"]["uid"])
        assert seen.resource_version == int(stored["metadata"]["resourceVersion"])
        assert seen.type == "kubernetes.io/dockerconfigjson"
        assert (seen.content, seen.registries) == fingerprint(config())
        assert seen.marks.labels == tuple(sorted({**labels, "their": text_digest("value")}.items()))
        assert seen.marks.annotations == (("imps-multi.io/policy", "p"), ("note", text_digest("n")))
        assert (seen.marks.finalizers, seen.marks.owners) == (True, NO_OWNERS)
        assert (seen.foreign_keys, seen.immutable) == (frozenset(), False)

        await world.create(A, secret(name="another"))
        patch = {"metadata": {"labels": None, "finalizers": None}, "data": {"extra": ""}, "immutable": True}
        await world.edit(A, PULL, patch)
        moved = await told.kind(SecretMoved)
        assert isinstance(moved, SecretMoved)
        assert (moved.namespace, moved.name, moved.uid) == (A, PULL, seen.uid)
        assert moved.resource_version > seen.resource_version
        assert (moved.marks.labels, moved.marks.foreign) == ((), False)
        assert moved.marks.annotations == seen.marks.annotations

        changed = await client.read_secret(A, PULL)
        assert (changed.uid, changed.marks) == (moved.uid, moved.marks)
        assert changed.resource_version == moved.resource_version
        assert (changed.foreign_keys, changed.immutable) == (frozenset({"extra"}), True)
        assert (changed.content, changed.registries) == fingerprint(config())

        await world.delete(f"/api/v1/namespaces/{A}/secrets/{PULL}")
        gone = await told.kind(SecretGone)
        assert isinstance(gone, SecretGone)
        assert (gone.namespace, gone.name) == (A, PULL)
        assert gone.resource_version > changed.resource_version
        with pytest.raises(NotFound):
            await client.read_secret(A, PULL)
        assert told.events == []
        assert MARKER not in repr(replaced)
    assert client._support.watch_list == watch_list


async def test_owners_are_told_apart(world: World, client: TargetClient) -> None:
    def owner(kind: str, group: str, **more: Any) -> dict[str, Any]:
        return {"apiVersion": f"{group}/v1alpha1", "kind": kind, "name": "x", "uid": "u", **more}

    owners = {
        "controlled": owner("Other", "o.example", controller=True),
        "imps": owner("ImagePullSecret", "images.banzaicloud.io", controller=True),
        "namesake": owner("ImagePullSecret", "o.example"),
    }
    others = {"imps": [owner("Other", "o.example", blockOwnerDeletion=True)]}
    for name, reference in owners.items():
        await world.namespace(name)
        await world.create(name, secret(ownerReferences=[reference, *others.get(name, [])]))
    async with watching(client, SECRETS) as told:
        replaced = await told.kind(SecretsReplaced)
    assert isinstance(replaced, SecretsReplaced)
    marks = {namespace: seen.marks for namespace, seen in replaced.secrets}
    assert all(each.foreign for each in marks.values())
    assert {name: each.owners.controller for name, each in marks.items()} == {
        "controlled": "Other",
        "imps": "",
        "namesake": "",
    }
    left = {name: each.owners.others for name, each in marks.items() if each.owners.imps}
    assert {name: json.loads(references) for name, references in left.items()} == others


async def test_a_secret_of_another_type_is_seen_as_it_is(world: World, client: TargetClient) -> None:
    await world.create(A, {"metadata": {"name": "pull"}, "type": "Opaque", "data": {"token": "eA==", "none": ""}})
    async with watching(client, SECRETS) as told:
        replaced = await told.kind(SecretsReplaced)
    assert isinstance(replaced, SecretsReplaced)
    ((_, seen),) = replaced.secrets
    assert isinstance(seen, SeenSecret)
    assert (seen.type, seen.foreign_keys) == ("Opaque", frozenset({"token", "none"}))
    assert seen.registries == frozenset()


async def test_a_watch_goes_on_where_the_last_one_was(world: World, client: TargetClient) -> None:
    async with watching(client, SECRETS) as told:
        replaced = await told.kind(SecretsReplaced)
    assert isinstance(replaced, SecretsReplaced)
    await world.create(A, secret())
    async with watching(client, SECRETS, Resume(replaced.resource_version)) as told:
        moved = await told.kind(SecretMoved, SecretSeen, SecretsReplaced)
        assert isinstance(moved, SecretMoved)
        assert told.events == []


async def test_equal_labels_are_one_object(world: World, client: TargetClient, *, watch_list: bool) -> None:
    assert watch_list == client._support.watch_list
    for name in ("b-1", "b-2"):
        await world.namespace(name, labels={"team": "b"})
    async with watching(client, NAMESPACES) as told:
        replaced = await told.kind(NamespacesReplaced)
    assert isinstance(replaced, NamespacesReplaced)
    first, second = (record.labels for record in replaced.records if record.labels == (("team", "b"),))
    assert first is second
