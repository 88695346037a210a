"""Who names a Secret, asked of the sandbox and of a real kube-apiserver."""

from typing import Any

import anyio
import pytest

from imps_multi.kube.target_client import TargetClient
from imps_multi.model.names import NamespaceName, SecretName
from tests.kube.manifests import PULL, A, body, secret
from tests.kube.world import World

pytestmark = pytest.mark.anyio


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
