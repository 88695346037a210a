"""Which Secret names a configuration's hub writes or wrote: those that the target role must name.

Blocking: reads the hub's directory, or asks its cluster; the state store; for one cluster, the kubeconfigs.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imps_multi.config.load import InvalidConfiguration, Loaded, load
from imps_multi.hubs.durable import read_items
from imps_multi.hubs.manifest_files import read_directory, why
from imps_multi.model import history
from imps_multi.model.matching import cluster_selected, nearest_name
from imps_multi.model.names import POLICY_KIND
from imps_multi.model.policy import InvalidPolicy, Policy
from imps_multi.model.policy_parse import parse_policy, with_default_clusters
from imps_multi.model.stored_policy import decode_policy
from imps_multi.ports import PortError, Section

if TYPE_CHECKING:
    from imps_multi.model.fleet import ClusterSettings


class HubAway(Exception):
    """The hub's cluster gave no answer; the message is for the user."""


def names_in_use(config: Path, environment: Mapping[str, str], *, cluster: str | None) -> frozenset[str]:
    """Return the names of every policy (of one cluster's), those of the past, and those that are configured.

    A policy that is invalid counts too: its last valid spec may be in force.

    Raises:
        ValueError: something cannot be read; the message is for the user.
        HubAway: the hub cannot be asked.
    """
    try:
        loaded = load(config, environment)
    except InvalidConfiguration as error:
        raise ValueError(str(error)) from error
    settings = _settings(loaded, cluster) if cluster is not None else None
    names = {str(name) for name in loaded.configuration.hub.former_secret_names}
    if loaded.configuration.hub.in_a_cluster:
        return frozenset(names | set(_in_hub_cluster(loaded, settings)))
    names |= set(_written(loaded, settings))
    return frozenset(names | set(_remembered(loaded)))


def _in_hub_cluster(loaded: Loaded, settings: "ClusterSettings | None") -> Iterator[str]:
    """Ask a hub in a cluster for its policies, and for what its state remembers."""
    import anyio

    from imps_multi.app.asking_hub import look_at_hub
    from imps_multi.app.hub_parts import HubUnreachable

    defaults = tuple(loaded.configuration.default_clusters)
    try:
        look = anyio.run(look_at_hub, loaded)
    except HubUnreachable as error:
        raise HubAway(str(error)) from error
    except (InvalidConfiguration, PortError) as error:
        raise ValueError(str(error)) from error
    for policy in look.policies:
        yield from _of_policy(parse_policy(policy.content), settings, defaults)
    yield from _names(look.remembered.values())


def _written(loaded: Loaded, settings: "ClusterSettings | None") -> Iterator[str]:
    directory = loaded.configuration.hub.directory or Path()
    defaults = tuple(loaded.configuration.default_clusters)
    try:
        files = read_directory(directory)
    except OSError as error:
        raise ValueError(f"{directory} cannot be read: {why(error)}") from error
    broken = [str(problem.place) for file in files for problem in file.problems if problem.fatal]
    if broken:
        raise ValueError(f"{broken[0]} is not right, so names may be missing; see imps-multi validate {directory}")
    for manifest in (manifest for file in files for manifest in file.manifests):
        if manifest.object.kind == POLICY_KIND:
            yield from _of_policy(parse_policy(manifest.object.content), settings, defaults)


def _of_policy(
    policy: Policy | InvalidPolicy, settings: "ClusterSettings | None", defaults: tuple[str, ...]
) -> Iterable[str]:
    if isinstance(policy, InvalidPolicy):
        return [policy.secret_name] if policy.secret_name else []
    qualified = with_default_clusters(policy, defaults)
    there = (
        settings is None
        or not isinstance(qualified, Policy)
        or qualified.clusters is None
        or cluster_selected(qualified.clusters, settings.name, dict(settings.labels))
    )
    return [policy.secret.name] if there else []


def _remembered(loaded: Loaded) -> Iterator[str]:
    """Return the names that the state store knows: of policies that are gone, and of names that changed."""
    from imps_multi.config.state import state_root

    try:
        root = state_root(loaded)
    except InvalidConfiguration:  # without a home there is no state either
        return
    items = read_items(root / Section.POLICIES.value)
    yield from _names(found[1] for _, found in items if isinstance(found, tuple))


def _names(items: Iterable[bytes]) -> Iterator[str]:
    for content in items:
        past = history.decode(content)
        stored = decode_policy(content)
        yield from past[1].names if past is not None else ()
        yield from [stored.policy.secret.name] if stored is not None else []


def _settings(loaded: Loaded, cluster: str) -> "ClusterSettings":
    from imps_multi.config.fleet import fleet
    from imps_multi.kube import kubeconfig

    def contexts_of(path: Path) -> Iterable[str]:
        try:
            return kubeconfig.load(path).contexts
        except kubeconfig.KubeconfigError as error:
            raise ValueError(str(error)) from error

    clusters, problems = fleet(loaded, contexts_of)
    found = {str(one.settings.name): one.settings for one in clusters}
    if cluster in found:
        return found[cluster]
    if problems:
        raise ValueError("\n".join(map(str, problems)))
    near = nearest_name(cluster, found)
    raise ValueError(f'there is no cluster "{cluster}"' + (f' (did you mean "{near}"?)' if near else ""))
