"""From the configured fleet to clusters that can be connected to.

Joins ``config`` and ``kube``: each kubeconfig is read once, whatever the number of its contexts. Blocking; called in a
thread.
"""

from functools import partial
from pathlib import Path

from msgspec import Struct, structs

from imps_multi.config.fleet import Configured, ContextsOf, fleet
from imps_multi.config.load import ConfigProblem, InvalidConfiguration, Loaded
from imps_multi.config.model import HubConfig
from imps_multi.kube import kubeconfig
from imps_multi.kube.connection import Connection
from imps_multi.kube.in_cluster import in_cluster_connection, in_cluster_files
from imps_multi.kube.kubeconfig import Kubeconfig, KubeconfigError
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import connect
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.names import HubId
from imps_multi.ports import ClusterClient, FleetMember


class Members(Struct, frozen=True):
    """The fleet, how the hub is reached where it is a cluster, and every file that this was read from."""

    members: tuple[FleetMember, ...]
    files: tuple[Path, ...]
    hub: Connection | None = None
    connections: tuple[Connection, ...] = ()
    """How each member is reached."""
    home: tuple[str, ...] = ()
    """The clusters of the fleet that are the hub's own, as far as the configuration shows it."""

    @property
    def hosts(self) -> frozenset[str]:
        """Every API server that is asked anything, as the metrics name it."""
        return frozenset(one.host for one in (*self.connections, self.hub) if one is not None)


def members(loaded: Loaded, shared: Shared) -> Members:
    """Read the fleet.

    Raises:
        InvalidConfiguration: with everything that is wrong in the file or in what it points to.
    """
    read: dict[Path, Kubeconfig] = {}
    contexts_of = partial(_contexts, read)
    clusters, problems = fleet(loaded, contexts_of)
    found: list[FleetMember] = []
    connections: list[Connection] = []
    hub, wrong = _hub(loaded, contexts_of, read)
    for cluster in clusters:
        try:
            connection = _connection(cluster, read)
            home = hub is not None and _is_home(cluster, connection, loaded.configuration.hub, hub)
            settings = structs.replace(cluster.settings, home=home)
            found.append(_member(structs.replace(cluster, settings=settings), connection, shared))
            connections.append(connection)
        except (KubeconfigError, ValueError, OSError) as error:
            message = f"cluster {cluster.settings.name}: {error}"
            problems.append(ConfigProblem(cluster.place, cluster.path, message))
    if problems or wrong:
        raise InvalidConfiguration([*problems, *wrong])
    at_home = tuple(str(member.settings.name) for member in found if member.settings.home)
    return Members(tuple(found), _files(loaded, clusters, read), hub, tuple(connections), at_home)


def _hub(
    loaded: Loaded, contexts_of: ContextsOf, read: dict[Path, Kubeconfig]
) -> tuple[Connection | None, list[ConfigProblem]]:
    """Return how a hub in a cluster is reached, None for a directory, or what is wrong."""
    hub = loaded.configuration.hub
    at = "hub.inCluster" if hub.in_cluster else "hub.kubeconfig"
    try:
        if hub.in_cluster:
            return in_cluster_connection(), []
        if hub.kubeconfig is None:
            return None, []
        contexts_of(hub.kubeconfig)
        at = "hub.context" if hub.context is not None else at
        return read[hub.kubeconfig].connection(read[hub.kubeconfig].chosen(hub.context)), []
    except (KubeconfigError, ValueError, OSError) as error:
        return None, [ConfigProblem(loaded.place(at), at, str(error))]


def hub_connection(loaded: Loaded) -> Connection | None:
    """Return how a hub in a cluster is reached; None for a directory. Raises InvalidConfiguration."""
    read: dict[Path, Kubeconfig] = {}
    connection, problems = _hub(loaded, partial(_contexts, read), read)
    if problems:
        raise InvalidConfiguration(problems)
    return connection


def _contexts(read: dict[Path, Kubeconfig], path: Path) -> tuple[str, ...]:
    """Return the contexts of a file, which is read once. Raises ValueError."""
    try:
        read.setdefault(path, kubeconfig.load(path))
    except KubeconfigError as error:
        raise ValueError(str(error)) from error
    return read[path].contexts


def _is_home(cluster: Configured, connection: Connection, hub: HubConfig, to_hub: Connection) -> bool:
    """Say whether a cluster of the fleet is the one that the hub lies in."""
    both_inside = cluster.kubeconfig is None and hub.in_cluster
    return both_inside or (cluster.kubeconfig is not None and connection.server == to_hub.server)


def cluster_names(loaded: Loaded) -> list[str]:
    """Return the names of the fleet's clusters, in the order of the file.

    Raises:
        InvalidConfiguration: as ``members``.
    """
    return [str(one.settings.name) for one in members(loaded, Shared(hub=HubId(""))).members]


def everything_wrong(error: InvalidConfiguration, shared: Shared) -> InvalidConfiguration:
    """Add what is wrong in the files to which the right parts of an invalid configuration point."""
    if error.rest is None:
        return error
    try:
        members(error.rest, shared)
    except InvalidConfiguration as more:
        # Where something in the hub's part is wrong, another stands in for it: what is wrong with that is nobody's.
        stand_in = any(_of_hub(problem) for problem in error.problems)
        found = [problem for problem in more.problems if not (stand_in and _of_hub(problem))]
        return InvalidConfiguration([*error.problems, *found])
    return error


def _of_hub(problem: ConfigProblem) -> bool:
    return problem.path == "hub" or problem.path.startswith("hub.")


def _connection(cluster: Configured, read: dict[Path, Kubeconfig]) -> Connection:
    path = cluster.kubeconfig
    return in_cluster_connection() if path is None else read[path].connection(cluster.context)


def _member(cluster: Configured, connection: Connection, shared: Shared) -> FleetMember:
    return FleetMember(
        settings=cluster.settings,
        server=connection.server,
        fingerprint=connection.fingerprint,
        connect=partial(_connect, connection, cluster.settings, shared),
        place=str(cluster.place),
    )


async def _connect(connection: Connection, settings: ClusterSettings, shared: Shared) -> ClusterClient:
    return await connect(connection, settings, shared=shared)


def _files(loaded: Loaded, clusters: list[Configured], read: dict[Path, Kubeconfig]) -> tuple[Path, ...]:
    files = {loaded.path.absolute(), *read}
    hub = loaded.configuration.hub
    for path, parsed in read.items():
        contexts = {one.context for one in clusters if one.kubeconfig == path}
        files.update(parsed.files(contexts | ({parsed.chosen(hub.context)} if path == hub.kubeconfig else set())))
    if hub.in_cluster or any(cluster.kubeconfig is None for cluster in clusters):
        files.update(in_cluster_files())
    return tuple(sorted(files))
