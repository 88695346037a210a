"""The fleet that a configuration describes: which context of which file is which cluster, with which settings.

Pure but for ``contexts_of``, which the caller gives: it reads a kubeconfig and returns its contexts' names. Names are
unique over the whole fleet; an entry that matches nothing is an error, since a typo would silently drop clusters.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from imps_multi.config.load import ConfigProblem, Loaded
from imps_multi.config.model import ClusterEntry, ClusterOptions, Configuration, Overridable
from imps_multi.model.fleet import BrakeLimits, ClusterSettings, Connectivity, Safety
from imps_multi.model.hub import Place
from imps_multi.model.matching import glob_match
from imps_multi.model.names import ClusterName

ContextsOf = Callable[[Path], Iterable[str]]
"""Returns the contexts of a kubeconfig; raises ValueError with what is wrong."""


class Configured(Struct, frozen=True):
    """One cluster as configured; ``kubeconfig`` None is the cluster that this runs in."""

    settings: ClusterSettings
    kubeconfig: Path | None
    context: str
    place: Place


def fleet(loaded: Loaded, contexts_of: ContextsOf) -> tuple[list[Configured], list[ConfigProblem]]:
    """Return every cluster, in the order of the file, and what is wrong; with problems the list is not whole."""
    clusters: list[Configured] = []
    problems: list[ConfigProblem] = []
    for index, entry in enumerate(loaded.configuration.clusters):
        path = f"clusters[{index}]"
        try:
            clusters += _entry(loaded, entry, path, contexts_of)
        except ValueError as error:
            problems.append(ConfigProblem(loaded.place(path), path, str(error)))
    problems += _clashes(clusters)
    return clusters, problems


def safety(configuration: Configuration) -> Safety:
    """Return the brake's figures."""
    given = configuration.safety
    per_cluster, whole = given.per_cluster, given.fleet
    return Safety(
        per_cluster=BrakeLimits(per_cluster.max_delete_percent, per_cluster.max_delete_at_least),
        fleet=BrakeLimits(whole.max_delete_percent, whole.max_delete_at_least),
        max_new_targets=given.max_new_targets,
    )


def _entry(loaded: Loaded, entry: ClusterEntry, path: str, contexts_of: ContextsOf) -> Iterator[Configured]:
    defaults = loaded.configuration.defaults
    place = loaded.place(path)
    if entry.kubeconfig is None:
        yield Configured(_settings(entry.name or "", defaults, entry), None, "", place)
        return
    there = list(contexts_of(entry.kubeconfig))
    if entry.context is not None:
        if entry.context not in there:
            raise ValueError(f"context {entry.context} is not in {entry.kubeconfig}{_there(there)}")
        yield Configured(_settings(entry.name or "", defaults, entry), entry.kubeconfig, entry.context, place)
        return
    chosen = [name for name in there if _any(entry.contexts or [], name) and not _any(entry.exclude_contexts, name)]
    if not chosen:
        raise ValueError(f"no context of {entry.kubeconfig} matches {', '.join(entry.contexts or [])}{_there(there)}")
    for name in chosen:
        overrides = [one for one in entry.overrides if _any(one.contexts, name)]
        yield Configured(_settings(name, defaults, entry, *overrides), entry.kubeconfig, name, place)


def _settings(name: str, defaults: Overridable, *layers: ClusterOptions) -> ClusterSettings:
    """Lay the settings over one another; later layers win, labels are joined."""
    labels: dict[str, str] = {}
    given: dict[str, object] = {}
    for layer in (defaults, *layers):
        labels |= layer.labels if isinstance(layer, ClusterOptions) else {}
        given |= {field: value for field in _SETTINGS if (value := getattr(layer, field, None)) is not None}
    connectivity = Connectivity(given.pop("connectivity", "always"))
    return ClusterSettings(
        name=ClusterName(name),
        labels=tuple(sorted(labels.items())),
        connectivity=connectivity,
        **given,  # type: ignore[arg-type]  # validated by the models, under the same names
    )


_SETTINGS = (
    "requests_per_second",
    "burst",
    "max_in_flight",
    "request_timeout",
    "connectivity",
    "paused",
    "observe",
)


def _clashes(clusters: Iterable[Configured]) -> Iterator[ConfigProblem]:
    first: dict[str, Configured] = {}
    for cluster in clusters:
        name = cluster.settings.name
        earlier = first.setdefault(name, cluster)
        if earlier is not cluster:
            message = (
                f"cluster name {name} (context {cluster.context} of {cluster.kubeconfig}) is taken by context "
                f"{earlier.context} of {earlier.kubeconfig} at {earlier.place}; give one of them a name of its own"
            )
            yield ConfigProblem(cluster.place, "clusters", message)


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(glob_match(pattern, name) for pattern in patterns)


def _there(contexts: list[str]) -> str:
    if not contexts:
        return "; it has none"
    shown = ", ".join(sorted(contexts)[:10])
    return f"; it has {shown}" + (f" and {len(contexts) - 10} more" if len(contexts) > 10 else "")  # noqa: PLR2004  # as shown above
