"""The client of a cluster, held to the same behaviour on the sandbox and on a real kube-apiserver."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from imps_multi.kube.connection import BearerToken
from imps_multi.kube.reflector import Support
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.digest import text_digest
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.names import NamespaceName, SecretName, Uid
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    Resume,
    Unauthorized,
    WatchNamespaces,
    WatchSecrets,
)
from tests.kube.scripted import MARKER, client_of
from tests.kube.watching import watching
from tests.kube.world import World, real_world, sandbox_world

pytestmark = pytest.mark.anyio

A, PULL = NamespaceName("team-a"), SecretName("pull")
NAMESPACES, SECRETS = WatchNamespaces(), WatchSecrets(PULL)


def config(password: str = MARKER) -> bytes:
    return msgspec.json.encode({"auths": {"r.example": {"auth": base64.b64encode(f"u:{password}".encode()).decode()}}})


def secret(content: bytes = config(), *, name: str = "pull", **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, **meta},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(content).decode()},
    }


def body(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document)


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Give a cluster with the namespace team-a."""
    made = sandbox_world() if request.param == "sandbox" else real_world(request.getfixturevalue("real_cluster"))
    async with made as found:
        await found.namespace("team-a", labels={"team": "a"})
        yield found


@pytest.fixture
async def client(world: World, shared: Shared) -> AsyncIterator[TargetClient]:
    async with client_of(world.connection, shared, request_timeout=15.0) as found:
        yield found


# -- who and what ------------------------------------------------------------------------------------------------------


async def test_version_and_identity(world: World, client: TargetClient) -> None:
    assert (await client.probe()).git_version == "v1.36.3"
    system = await world.send("GET", "/api/v1/namespaces/kube-system")
    assert await client.identity() == system["metadata"]["uid"]


async def test_a_wrong_token_is_unauthorized_even_for_the_version(world: World, shared: Shared) -> None:
    wrong = msgspec.structs.replace(world.connection, credential=BearerToken(MARKER))
    async with client_of(wrong, shared) as client:
        for call in (client.probe, client.identity):
            with pytest.raises(Unauthorized) as caught:
                await call()
            assert MARKER not in str(caught.value)


async def test_who_may_nothing_is_forbidden_and_told_what(world: World, shared: Shared) -> None:
    async with client_of(world.stranger, shared) as client:
        for watched in (NAMESPACES, SECRETS):
            with pytest.raises(Forbidden, match=r'User "stranger" cannot (list|watch) resource'):
                await client.watch(watched, None, lambda _: None)
        with pytest.raises(Forbidden, match='cannot create resource "secrets"'):
            await client.create_secret(A, body(secret()))


async def test_rights_on_the_named_secrets_alone_are_enough(world: World, shared: Shared) -> None:
    named = ["get", "list", "watch", "update", "patch", "delete"]
    await world.grant(
        [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["pull"], "verbs": named},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        ]
    )
    async with client_of(world.stranger, shared, request_timeout=15.0) as client:
        for watch_list in (True, False):
            client._support = Support(watch_list=watch_list)
            async with watching(client, SECRETS) as told:
                await told.kind(SecretsReplaced)
        with pytest.raises(Forbidden):
            await client.watch(WatchSecrets(SecretName("other")), None, lambda _: None)
        first = await client.create_secret(A, body(secret()))
        second = await client.replace_secret(A, PULL, body(secret(resourceVersion=str(first.resource_version))))
        third = await client.patch_secret(A, PULL, body({"metadata": {"labels": {"a": "b"}}}))
        assert third.resource_version > second.resource_version
        await client.delete_secret(A, PULL, uid=third.uid, resource_version=third.resource_version)


# -- writes ------------------------------------------------------------------------------------------------------------


async def test_a_create_never_overwrites(world: World, client: TargetClient) -> None:
    written = await client.create_secret(A, body(secret()))
    meta = (await world.secret(A, PULL))["metadata"]
    assert (written.uid, written.resource_version) == (meta["uid"], int(meta["resourceVersion"]))
    managers = [field["manager"] for field in meta.get("managedFields", [])]  # the sandbox keeps none
    assert managers in ([], ["imps-multi"])
    with pytest.raises(AlreadyExists):
        await client.create_secret(A, body(secret(config("other"))))
    assert (await world.secret(A, PULL))["metadata"] == meta


async def test_a_replacement_needs_the_version_that_is_there(world: World, client: TargetClient) -> None:
    first = await client.create_secret(A, body(secret()))
    version = str(first.resource_version)
    second = await client.replace_secret(A, PULL, body(secret(config("new"), resourceVersion=version)))
    assert (second.uid, second.resource_version > first.resource_version) == (first.uid, True)
    with pytest.raises(Conflict):
        await client.replace_secret(A, PULL, body(secret(resourceVersion=version)))
    data = (await world.secret(A, PULL))["data"]
    assert base64.b64decode(data[".dockerconfigjson"]) == config("new")


async def test_a_patch_changes_what_it_names_under_the_version_that_is_there(
    world: World, client: TargetClient
) -> None:
    first = await client.create_secret(A, body(secret(labels={"keep": "it", "take": "it"})))
    patch = {"metadata": {"resourceVersion": str(first.resource_version), "labels": {"take": None, "new": "one"}}}
    await client.patch_secret(A, PULL, body(patch))
    assert (await world.secret(A, PULL))["metadata"]["labels"] == {"keep": "it", "new": "one"}
    with pytest.raises(Conflict):
        await client.patch_secret(A, PULL, body(patch))


async def test_an_update_of_what_is_not_there_is_not_found(client: TargetClient) -> None:
    with pytest.raises(NotFound):
        await client.replace_secret(A, PULL, body(secret(resourceVersion="1")))
    with pytest.raises(NotFound):
        await client.patch_secret(A, PULL, body({"metadata": {"labels": {"a": "b"}}}))


async def test_a_deletion_takes_what_was_seen_and_nothing_else(world: World, client: TargetClient) -> None:
    first = await client.create_secret(A, body(secret()))
    wrong = [(Uid("another"), first.resource_version), (first.uid, first.resource_version - 1)]
    for uid, version in wrong:
        with pytest.raises(Conflict):
            await client.delete_secret(A, PULL, uid=uid, resource_version=version)
    assert (await world.secret(A, PULL))["metadata"]["uid"] == first.uid
    for _ in range(2):
        await client.delete_secret(A, PULL, uid=first.uid, resource_version=first.resource_version)


async def test_a_namespace_that_is_missing_or_going_takes_no_secret(world: World, client: TargetClient) -> None:
    with pytest.raises(NotFound):
        await client.create_secret(NamespaceName("nowhere"), body(secret()))
    await world.delete("/api/v1/namespaces/team-a")
    with pytest.raises(NamespaceTerminating):
        await client.create_secret(A, body(secret()))


@pytest.mark.parametrize(
    "document",
    [secret(b'{"auths": ' + MARKER.encode()), secret(name="UPPER"), secret() | {"data": {"a/b": MARKER}}],
)
async def test_what_the_server_refuses_is_invalid_and_said_without_content(
    client: TargetClient, document: dict[str, Any]
) -> None:
    with pytest.raises(Invalid) as caught:
        await client.create_secret(A, body(document))
    assert str(caught.value).startswith("create a Secret in team-a on http")
    assert MARKER not in str(caught.value)
    assert base64.b64encode(MARKER.encode()).decode()[:-4] not in str(caught.value)


# -- watches -----------------------------------------------------------------------------------------------------------


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
        assert (seen.marks.foreign, seen.marks.controller, seen.marks.imps_owned) == (True, False, False)
        assert (seen.foreign_keys, seen.immutable) == (frozenset(), False)

        await world.create(A, secret(name="another"))
        patch = {"metadata": {"labels": None, "finalizers": None}, "data": {"extra": ""}, "immutable": True}
        await world.edit(A, PULL, patch)
        changed = await told.kind(SecretSeen)
        assert isinstance(changed, SecretSeen)
        assert changed.secret.marks.labels == ()
        assert not changed.secret.marks.foreign
        assert (changed.secret.foreign_keys, changed.secret.immutable) == (frozenset({"extra"}), True)

        await world.delete(f"/api/v1/namespaces/{A}/secrets/{PULL}")
        gone = await told.kind(SecretGone)
        assert isinstance(gone, SecretGone)
        assert (gone.namespace, gone.name) == (A, PULL)
        assert gone.resource_version > changed.secret.resource_version
        assert told.events == []
        assert MARKER not in repr(replaced)
    assert client._support.watch_list == watch_list


async def test_owners_are_told_apart(world: World, client: TargetClient) -> None:
    def owner(kind: str, group: str, **more: Any) -> dict[str, Any]:
        return {"apiVersion": f"{group}/v1alpha1", "kind": kind, "name": "x", "uid": "u", **more}

    owners = {
        "controlled": owner("Other", "o.example", controller=True),
        "imps": owner("ImagePullSecret", "images.banzaicloud.io"),
        "namesake": owner("ImagePullSecret", "o.example"),
    }
    for name, reference in owners.items():
        await world.namespace(name)
        await world.create(name, secret(ownerReferences=[reference]))
    async with watching(client, SECRETS) as told:
        replaced = await told.kind(SecretsReplaced)
    assert isinstance(replaced, SecretsReplaced)
    marks = {namespace: seen.marks for namespace, seen in replaced.secrets}
    assert all(each.foreign for each in marks.values())
    assert [name for name, each in marks.items() if each.controller] == ["controlled"]
    assert [name for name, each in marks.items() if each.imps_owned] == ["imps"]


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
        seen = await told.kind(SecretSeen, SecretsReplaced)
        assert isinstance(seen, SecretSeen)
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


# -- references --------------------------------------------------------------------------------------------------------


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def container(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "image": "i", **fields}]


VARIABLE = [{"name": "V", "valueFrom": {"secretKeyRef": {"name": "pull", "key": "k"}}}]


@pytest.mark.parametrize(
    "spec",
    [
        {"imagePullSecrets": [{"name": "other"}, {"name": "pull"}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "pull"}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "pull"}}]}}]},
        {"containers": container(env=VARIABLE)},
        {"containers": container(envFrom=[{"secretRef": {"name": "pull"}}])},
        {"initContainers": [{"name": "i", "image": "i", "env": VARIABLE}]},
    ],
    ids=["pull", "volume", "projected", "variable", "variables", "init"],
)
async def test_a_pod_that_names_it_is_found(world: World, client: TargetClient, spec: dict[str, Any]) -> None:
    await world.create(A, {"metadata": {"name": "default"}}, "serviceaccounts")
    await world.create(A, pod("first"), "pods")
    assert await client.references(A, PULL) is None
    await world.create(A, pod("naming", **spec), "pods")
    assert await client.references(A, PULL) == "pod naming"
    assert await client.references(A, SecretName("third")) is None
    assert await client.references(NamespaceName("default"), PULL) is None


async def test_a_finished_pod_does_not_count(world: World, client: TargetClient) -> None:
    await world.create(A, {"metadata": {"name": "default"}}, "serviceaccounts")
    await world.create(A, pod("done", imagePullSecrets=[{"name": "pull"}]), "pods")
    assert await client.references(A, PULL) == "pod done"
    path = f"/api/v1/namespaces/{A}/pods/done/status"
    await world.send("PATCH", path, {"status": {"phase": "Succeeded"}}, "application/merge-patch+json")
    assert await client.references(A, PULL) is None


@pytest.mark.parametrize("field", ["imagePullSecrets", "secrets"])
async def test_a_service_account_that_names_it_is_found(world: World, client: TargetClient, field: str) -> None:
    await world.create(A, {"metadata": {"name": "builder"}, field: [{"name": "pull"}]}, "serviceaccounts")
    assert await client.references(A, PULL) == "ServiceAccount builder"


async def test_calls_side_by_side_all_arrive(world: World, client: TargetClient) -> None:
    for index in range(5):
        await world.namespace(f"n-{index}")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for index in range(5):
                tasks.start_soon(client.create_secret, NamespaceName(f"n-{index}"), body(secret()))
    listed = await world.send("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Dpull")
    assert len(listed["items"]) == 5
