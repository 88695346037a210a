"""``sync`` and ``approve`` for a hub in a cluster, and what of the hub the printed roles need: asked of its API server.

Each asks once and ends. Run by the commands; talks to nobody but the hub.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
from msgspec import Struct

from imps_multi.app.hub_parts import HubInCluster, hub_parts
from imps_multi.app.members import hub_connection
from imps_multi.config.load import Loaded
from imps_multi.kube.held_map import ask_policy, policy_of
from imps_multi.kube.shared import Shared
from imps_multi.model.brake import APPROVABLE
from imps_multi.model.hub import HubObject
from imps_multi.model.names import APPROVE_ANNOTATION, SYNC_ANNOTATION, HubId
from imps_multi.model.stored_ledger import LEDGER, decode_ledger
from imps_multi.ports import Forbidden, NotFound, Section

T = TypeVar("T")


class Asked(Struct, frozen=True):
    """What came of a request."""

    ok: bool
    message: str


class HubLook(Struct, frozen=True):
    """What a hub has: its policies, and what the store remembers of them."""

    policies: tuple[HubObject, ...]
    remembered: Mapping[str, bytes]


async def ask_sync(loaded: Loaded, policy: str) -> Asked:
    """Ask for a fresh mint and a full pass. Raises HubUnreachable, PortError."""

    async def ask(hub: HubInCluster) -> Asked:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            await ask_policy(hub.link, policy, SYNC_ANNOTATION, now)
        except NotFound:
            return Asked(ok=False, message=f"there is no policy {policy}")
        except Forbidden as failure:
            by_hand = f"kubectl annotate --overwrite imps {policy} {SYNC_ANNOTATION}={now}"
            return Asked(ok=False, message=f"{failure}; do it with rights of your own: {by_hand}")
        return Asked(ok=True, message=f"{policy}: the running instance, or the next pass, mints its sources anew")

    return await _with_hub(loaded, ask)


async def ask_approve(loaded: Loaded, held_id: str) -> Asked:
    """Let a held set go: by its policy, or by the ConfigMap that shows it. Raises HubUnreachable, PortError."""

    async def ask(hub: HubInCluster) -> Asked:
        page = await hub.held.read()
        sets = page.sets if page is not None else {}
        if held_id not in sets and held_id not in await _recent(hub):
            known = ", ".join(sorted(sets)) or "none"
            return Asked(ok=False, message=f"no held set {held_id} was shown in the last 24 hours; held are {known}")
        policy = policy_of(sets.get(held_id, ""))
        if not policy or not await _asked_on(hub, policy, held_id):
            await hub.held.ask(held_id)
        return Asked(ok=True, message=f"{held_id} may go; the running instance, or the next pass, sees to it")

    return await _with_hub(loaded, ask)


async def look_at_hub(loaded: Loaded) -> HubLook:
    """Read all policies, and what the state store remembers. Raises HubUnreachable, PortError."""

    async def look(hub: HubInCluster) -> HubLook:
        policies = await hub.hub.list_policies()
        return HubLook(policies, await hub.secrets.read(Section.POLICIES))

    return await _with_hub(loaded, look)


async def _asked_on(hub: HubInCluster, policy: str, held_id: str) -> bool:
    try:
        await ask_policy(hub.link, policy, APPROVE_ANNOTATION, held_id)
    except (NotFound, Forbidden):
        return False
    return True


async def _recent(hub: HubInCluster) -> frozenset[str]:
    """Return what was shown in the last day and is not held as such any more."""
    content = (await hub.secrets.read(Section.HELD)).get(LEDGER)
    if content is None:
        return frozenset()
    ledger, growth = decode_ledger(content)
    times = {**{key: one.at for key, one in ledger.shown.items()}, **{key: one.at for key, one in growth.shown.items()}}
    return frozenset(key for key, at in times.items() if time.time() - at < APPROVABLE)


async def _with_hub(loaded: Loaded, use: Callable[[HubInCluster], Awaitable[T]]) -> T:
    connection = await anyio.to_thread.run_sync(hub_connection, loaded)
    shared = Shared(hub=HubId(loaded.configuration.hub.id))
    parts = hub_parts(loaded.configuration, connection, shared, state=Path(), allowed=lambda _: True, read_only=True)
    assert parts.cluster is not None  # whoever calls has looked
    try:
        await parts.cluster.reach()
        return await use(parts.cluster)
    finally:
        await parts.cluster.link.aclose()
