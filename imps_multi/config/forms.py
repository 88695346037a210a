"""Which fields of the hub, and of an entry of the fleet, may stand together.

Pure. Looks at the file as parsed, so that a field that is wrong in itself hides no wrong form. A mistyped name counts
as the one that was meant: that it is unknown is said elsewhere.
"""

from collections.abc import Iterator, Mapping
from os.path import normpath
from typing import Any, Final

from imps_multi.model.fields import near_field

Step = str | int
_HUBS: Final = ("directory", "kubeconfig", "inCluster")
_HUB_FIELDS: Final = (*_HUBS, "context", "stateDirectory")
_ENTRY_FIELDS: Final = ("kubeconfig", "contexts", "context", "name", "inCluster", "overrides", "excludeContexts")
_NO: Final = frozenset({"false", "no", "off", "0", "n", "f"})
"""What the models read as false, in small letters."""


def misformed(value: Mapping[str, Any]) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Yield the path of each part whose fields do not go together, and what to write."""
    hub, clusters = value.get("hub"), value.get("clusters")
    if isinstance(hub, Mapping) and (message := _hub(_given(hub, _HUB_FIELDS))):
        yield ("hub",), message
    if isinstance(hub, Mapping) and (message := _shared_state(hub)):
        yield ("hub", "stateDirectory"), message
    for index, entry in enumerate(clusters if isinstance(clusters, list) else []):
        if isinstance(entry, Mapping) and (message := _entry(_given(entry, _ENTRY_FIELDS))):
            yield ("clusters", index), message


def _given(part: Mapping[str, Any], known: tuple[str, ...]) -> frozenset[str]:
    """Return which of the fields say something; ``inCluster: false`` and empty lists of exceptions do not."""
    names = {name if name in known else near_field(str(name), known): value for name, value in part.items()}
    return frozenset(
        name
        for name, value in names.items()
        if name is not None
        and value is not None
        and not (name == "inCluster" and str(value).lower() in _NO)
        and not (name in {"overrides", "excludeContexts"} and value == [])
    )


def _shared_state(hub: Mapping[str, Any]) -> str:
    places = [hub.get(name) for name in ("directory", "stateDirectory")]
    if all(isinstance(place, str) for place in places) and len({normpath(str(place)) for place in places}) == 1:
        return "must be another than hub.directory: others may read that, and state is for this program alone"
    return ""


def _hub(given: frozenset[str]) -> str:
    places = [name for name in _HUBS if name in given]
    if len(places) != 1:
        there = f", and has {' and '.join(places)}" if places else ""
        return f"needs exactly one of directory, kubeconfig and inCluster{there}"
    if "context" in given and "kubeconfig" not in given:
        return "context is for a hub by kubeconfig; take it away"
    if "stateDirectory" in given and "directory" not in given:
        return "stateDirectory is for a directory hub; one in a cluster keeps its state in hub.namespace"
    return ""


def _entry(given: frozenset[str]) -> str:
    if message := _within(given) if "inCluster" in given else _by_kubeconfig(given):
        return message
    if "contexts" not in given and given & {"overrides", "excludeContexts"}:
        return "overrides and excludeContexts are for entries with contexts"
    return ""


def _within(given: frozenset[str]) -> str:
    if "name" in given and not given & {"kubeconfig", "contexts", "context"}:
        return ""
    return "an inCluster entry needs a name, and neither kubeconfig nor contexts"


def _by_kubeconfig(given: frozenset[str]) -> str:
    if "kubeconfig" not in given:
        return 'needs kubeconfig with contexts (globs; ["*"] for all), or with name and context'
    if ("contexts" in given) == ("context" in given):
        return 'needs contexts (globs; ["*"] for all) or name and context, and not both'
    if "context" in given and "name" not in given:
        return "needs a name for its context"
    if "contexts" in given and "name" in given:
        return "takes its names from its contexts; name is for a single context"
    return ""
