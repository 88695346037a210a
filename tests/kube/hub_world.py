"""A hub in a cluster, the sandbox's or a real one, to run the hub's adapters against.

Feeds the tests of the hub's reading, its board, its store and the ConfigMap of held sets.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from imps_multi.kube.cluster_hub import ClusterHub
from imps_multi.kube.connection import Connection
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.shared import Shared
from imps_multi.model.hub import HubReading
from tests.kube.manifests import secret
from tests.kube.world import MERGE_PATCH, Document, World
from tests.realcluster.policies import COLLECTION, DEFINITION, OK, definition

HOME = "home"
WITHIN = 20.0
DEFINED = definition()


async def define(world: World) -> None:
    """Install the definition, and wait until policies are served."""
    if (await world.ask("GET", DEFINITION))[0] != OK:
        await world.send("POST", DEFINITION.rpartition("/")[0], DEFINED)
    with anyio.fail_after(WITHIN):
        served = 0
        while served != OK:
            served, _ = await world.ask("GET", COLLECTION)
    await world.namespace(HOME)


def policy(name: str, *sources: str, **spec: Any) -> Document:
    """Return a policy that names these sources in the home namespace."""
    credentials = [{"namespace": HOME, "name": source} for source in sources]
    return {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": name},
        "spec": {"registry": {"credentials": credentials}, "target": {"secret": {"name": "pull"}}, **spec},
    }


async def make_policy(world: World, name: str, *sources: str) -> Document:
    return await world.send("POST", COLLECTION, policy(name, *sources))


async def edit_policy(world: World, name: str, patch: Document) -> Document:
    return await world.send("PATCH", f"{COLLECTION}/{name}", patch, MERGE_PATCH)


async def make_source(world: World, name: str, **meta: Any) -> Document:
    return await world.create(HOME, secret(name=name, **meta))


@asynccontextmanager
async def linked(connection: Connection, shared: Shared) -> AsyncIterator[HubLink]:
    """Connect to a hub until the end of the block."""
    link = HubLink(connection, request_timeout=10.0, shared=shared)
    try:
        yield link
    finally:
        await link.aclose()


@asynccontextmanager
async def running(connection: Connection, shared: Shared) -> AsyncIterator[ClusterHub]:
    """Keep up with a hub until the end of the block."""
    async with linked(connection, shared) as link, anyio.create_task_group() as group:
        hub = ClusterHub(link, allowed=lambda _: True, rand=lambda: 0.9)
        group.start_soon(hub.run)
        yield hub
        group.cancel_scope.cancel()


async def reading(hub: ClusterHub, fits: Callable[[HubReading], bool]) -> HubReading:
    """Read again and again until a reading fits."""
    with anyio.fail_after(WITHIN):
        while not fits(found := await hub.read()):
            await hub.changed()
        return found


def names(found: HubReading) -> set[str]:
    return {f"{one.kind} {one.name}" for one in found.objects}
