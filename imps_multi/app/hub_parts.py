"""The hub and its state store, by configuration: a directory with a state directory, or a cluster with Secrets.

Builds and connects nothing yet. Feeds the assembly; the commands ask it for what must be so before anything runs.
"""

import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import structlog

from imps_multi.config.model import Configuration
from imps_multi.hubs.directory import DirectoryHub
from imps_multi.hubs.state_directory import ReadOnlyStore, StateDirectory
from imps_multi.kube.cluster_hub import ClusterHub
from imps_multi.kube.connection import Connection
from imps_multi.kube.held_map import HeldMap
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.policy_board import HubBoard
from imps_multi.kube.shared import Shared
from imps_multi.kube.state_secrets import StateSecrets
from imps_multi.model.names import HubId, NamespaceName
from imps_multi.model.policy import SourceRef
from imps_multi.model.wording import print_role
from imps_multi.ports import Forbidden, Hub, PortError, Section, StateStore

REQUEST_TIMEOUT = 30.0
REACH_TRIES = 5
REACH_AGAIN_SECONDS = 0.5

log = structlog.get_logger()


class HubUnreachable(Exception):
    """The hub's cluster gave no answer; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInCluster:
    """What only a hub in a cluster has. ``secrets`` is the store, also where nobody may write to it."""

    link: HubLink
    hub: ClusterHub
    board: HubBoard
    secrets: StateSecrets
    held: HeldMap

    async def reach(self) -> None:
        """See to it that the hub answers, for a command that must end. Raises HubUnreachable."""
        for left in reversed(range(REACH_TRIES)):
            try:
                await self.link.probe()
            except PortError as failure:
                if not left:
                    raise HubUnreachable(f"the hub cannot be reached: {failure}") from failure
                await anyio.sleep(REACH_AGAIN_SECONDS)
            else:
                return

    async def check_readable(self) -> None:
        """See to it that a command which must end can read the state, else waited for. Raises HubUnreachable."""
        try:
            await self.secrets.read(Section.POLICIES)
        except PortError as failure:
            lacks = f"; renew the role: {print_role('hub')}" if isinstance(failure, Forbidden) else ""
            raise HubUnreachable(f"the state cannot be read: {failure}{lacks}") from failure

    async def check_store(self) -> None:
        """Refuse to start where nothing can be stored; a hub that is away is waited for later. Raises StateUnusable."""
        try:
            await self.secrets.check()
        except PortError as failure:
            log.warning("State store could not be looked at yet", message=str(failure))


@dataclass(frozen=True, slots=True, kw_only=True)
class HubParts:
    """A hub with its store; ``cluster`` where it is one."""

    hub: Hub
    store: StateStore
    cluster: HubInCluster | None = None


def hub_parts(
    configuration: Configuration,
    connection: Connection | None,
    shared: Shared,
    *,
    state: Path,
    allowed: Callable[[SourceRef], bool],
    read_only: bool,
) -> HubParts:
    """Build them; ``connection`` is how a hub in a cluster is reached. ``read_only`` leaves the state as it is.

    ``state``: where a directory hub's is.
    """
    if connection is None:
        directory = DirectoryHub(configuration.hub.directory or Path())
        store = StateDirectory(state, lambda path, why: _tell_unreadable(str(path), why))
        return HubParts(hub=directory, store=ReadOnlyStore(store) if read_only else store)
    timeout = configuration.defaults.request_timeout or REQUEST_TIMEOUT
    link = HubLink(connection, request_timeout=timeout, shared=shared)
    hub = ClusterHub(link, allowed=allowed, rand=random.random)
    namespace, hub_id = NamespaceName(configuration.hub.namespace), HubId(configuration.hub.id)
    secrets = StateSecrets(link, namespace, hub_id, on_unreadable=_tell_unreadable, rand=random.random)
    board = HubBoard(link, hub.cache, clock=time.time, instance=socket.gethostname())
    held = HeldMap(link, namespace, hub_id)
    cluster = HubInCluster(link=link, hub=hub, board=board, secrets=secrets, held=held)
    return HubParts(hub=hub, store=ReadOnlyStore(secrets) if read_only else secrets, cluster=cluster)


def _tell_unreadable(item: str, why: str) -> None:
    log.warning("State item is unreadable and left out", item=item, why=why)
