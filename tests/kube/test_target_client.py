"""The client of a cluster: who it is, what it may, what it writes; on the sandbox and on a real kube-apiserver."""

import base64
from typing import Any

import msgspec
import pytest

from imps_multi.kube.connection import BearerToken
from imps_multi.kube.reflector import Support
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.names import NamespaceName, SecretName, Uid
from imps_multi.model.observed import (
    SecretsReplaced,
)
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    Unauthorized,
    WatchSecrets,
)
from tests.kube.manifests import NAMESPACES, PULL, SECRETS, A, body, config, secret
from tests.kube.scripted import MARKER, client_of
from tests.kube.watching import watching
from tests.kube.world import World

pytestmark = pytest.mark.anyio


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
