"""The fleet that a configuration describes: which context of which file is which cluster, with which settings.

Pure but for ``contexts_of``, which the caller gives: it reads a kubeconfig and returns its contexts' names. Names are
unique over the whole fleet; an entry that matches nothing is an error, since a typo would silently drop clusters.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from imps_multi.config.load import ConfigProblem, Loaded
from imps_multi.config.model import ClusterEntry, ClusterOptions, Configuration, Overridable
from imps_multi.model.fleet import BrakeLimits, ClusterSettings, Connectivity, Safety
from imps_multi.model.hub import Place
from imps_multi.model.matching import glob_match, nearest_name
from imps_multi.model.names import ClusterName

MAX_LISTED: Final = 10
"""So many contexts are listed in a message."""

ContextsOf = Callable[[Path], Iterable[str]]
"""Returns the contexts of a kubeconfig; raises ValueError with what is wrong."""


class Configured(Struct, frozen=True):
    """One cluster as configured; ``kubeconfig`` None is the cluster that this runs in."""

    settings: ClusterSettings
    kubeconfig: Path | None
    context: str
    place: Place
    path: str
    """Of the entry in the file."""


def fleet(loaded: Loaded, contexts_of: ContextsOf) -> tuple[list[Configured], list[ConfigProblem]]:
    """Return every cluster, in the order of the file, and what is wrong; with problems the list is not whole."""
    clusters: list[Configured] = []
    problems: list[ConfigProblem] = []
    for index, entry in enumerate(loaded.configuration.clusters):
        if index in loaded.left_out:
            continue
        path = f"clusters[{index}]"
        try:
            there = [] if entry.kubeconfig is None else sorted(contexts_of(entry.kubeconfig))
        except ValueError as error:
            at = f"{path}.kubeconfig"
            problems.append(ConfigProblem(loaded.place(at), at, str(error)))
            continue
        wrong = [ConfigProblem(loaded.place(at), at, message) for at, message in _unmatched(entry, path, there)]
        problems += wrong
        clusters += [] if wrong else _entry(loaded, entry, path, there)
    problems += _clashes(clusters)
    return clusters, problems


def _unmatched(entry: ClusterEntry, path: str, there: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the entry names and its kubeconfig does not have: a typo there would silently drop clusters."""
    if entry.context is not None and entry.context not in there:
        message = f"{entry.kubeconfig} has no context {entry.context}{_there(entry.context, there)}"
        yield f"{path}.context", message
    patterns = entry.contexts or []
    for number, pattern in enumerate(patterns):
        if not any(glob_match(pattern, name) for name in there):
            message = f"no context of {entry.kubeconfig} matches {pattern}{_there(pattern, there)}"
            yield f"{path}.contexts[{number}]", message
    matching = [name for name in there if _any(patterns, name)]
    if matching and all(_any(entry.exclude_contexts, name) for name in matching):
        yield f"{path}.excludeContexts", f"leave out everything that contexts match: {', '.join(matching)}"


def idle_globs(loaded: Loaded, contexts_of: ContextsOf) -> Iterator[ConfigProblem]:
    """Yield the globs of exceptions that match no context: no error, as contexts come and go, but maybe a typo."""
    for index, entry in enumerate(loaded.configuration.clusters):
        if index in loaded.left_out or entry.kubeconfig is None or entry.contexts is None:
            continue
        try:
            there = sorted(contexts_of(entry.kubeconfig))
        except ValueError:
            continue  # ``fleet`` says so
        for at, pattern in _exceptions(entry, f"clusters[{index}]"):
            if not any(glob_match(pattern, name) for name in there):
                message = f"no context of {entry.kubeconfig} matches {pattern}{_there(pattern, there)}"
                yield ConfigProblem(loaded.place(at), at, message)


def _exceptions(entry: ClusterEntry, path: str) -> Iterator[tuple[str, str]]:
    for number, pattern in enumerate(entry.exclude_contexts):
        yield f"{path}.excludeContexts[{number}]", pattern
    for index, override in enumerate(entry.overrides):
        for number, pattern in enumerate(override.contexts):
            yield f"{path}.overrides[{index}].contexts[{number}]", pattern


def safety(configuration: Configuration) -> Safety:
    """Return the brake's figures."""
    given = configuration.safety
    per_cluster, whole = given.per_cluster, given.fleet
    return Safety(
        per_cluster=BrakeLimits(per_cluster.max_delete_percent, per_cluster.max_delete_at_least),
        fleet=BrakeLimits(whole.max_delete_percent, whole.max_delete_at_least),
        max_new_targets=given.max_new_targets,
    )


def _entry(loaded: Loaded, entry: ClusterEntry, path: str, there: Sequence[str]) -> Iterator[Configured]:
    defaults = loaded.configuration.defaults
    place = loaded.place(path)
    if entry.contexts is None:
        settings = _settings(entry.name or "", defaults, entry)
        yield Configured(settings, entry.kubeconfig, entry.context or "", place, path)
        return
    for name in there:
        if _any(entry.contexts, name) and not _any(entry.exclude_contexts, name):
            overrides = [one for one in entry.overrides if _any(one.contexts, name)]
            yield Configured(_settings(name, defaults, entry, *overrides), entry.kubeconfig, name, place, path)


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
    "decommission",
)


def _clashes(clusters: Iterable[Configured]) -> Iterator[ConfigProblem]:
    first: dict[str, Configured] = {}
    for cluster in clusters:
        name = cluster.settings.name
        earlier = first.setdefault(name, cluster)
        if earlier is not cluster:
            message = (
                f"the cluster name {name} ({_origin(cluster)}) is taken at {earlier.place} ({_origin(earlier)}); give "
                "one of them another name, by an entry with name and context"
            )
            yield ConfigProblem(cluster.place, cluster.path, message)


def _origin(cluster: Configured) -> str:
    return "inCluster" if cluster.kubeconfig is None else f"context {cluster.context} of {cluster.kubeconfig}"


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(glob_match(pattern, name) for pattern in patterns)


def _there(wanted: str, contexts: Sequence[str]) -> str:
    """Tell which contexts there are, the one that was most likely meant first."""
    if not contexts:
        return "; it has none at all"
    near = nearest_name(wanted, contexts)
    listed = ", ".join(contexts[:MAX_LISTED]) + (", …" if len(contexts) > MAX_LISTED else "")
    return f" (did you mean {near}?); it has {listed}" if near is not None else f"; it has {listed}"
