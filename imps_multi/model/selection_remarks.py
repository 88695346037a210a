"""What of a policy's selection matches nothing, with the nearest that there is: mostly a typo, and no fault.

Pure. Fed with the selection, and with what the clusters are and say; ``readiness`` adds it to what a policy says.
"""

from collections.abc import Iterable, Iterator, Sequence

from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.matching import glob_match, is_glob, nearest_name, selector_matches, selector_text
from imps_multi.model.misses import Miss
from imps_multi.model.names import PolicyName
from imps_multi.model.policy import Policy
from imps_multi.model.report import ClusterReport
from imps_multi.model.selection import Selector
from imps_multi.model.validity import dns_label_problem


def cluster_misses(policy: Policy, fleet: Sequence[ClusterSettings]) -> Iterator[str]:
    """Name each name and each label selector that no cluster has; of what is excluded, only what looks like a typo."""
    selection = policy.clusters
    if selection is None:
        return
    names = [one.name for one in fleet]
    for pattern in _unmatched(selection.names, names):
        yield f"no cluster is named {pattern}{_hint(nearest_name(pattern, names))}"
    for selector in selection.labels:
        if not any(selector_matches(selector, one.labels) for one in fleet):
            yield f"no cluster has {selector_text(selector)}{_hint(_nearest_label(selector, fleet))}"
    for pattern in _unmatched(selection.exclude, names):
        if nearest := nearest_name(pattern, names):
            yield f"clusters.exclude: no cluster is named {pattern}{_hint(nearest)}"


def namespace_misses(policy: Policy, reports: Sequence[ClusterReport]) -> Iterator[str]:
    """Name each name that no namespace has, in none of the clusters; nothing while one of them was not listed."""
    if not all(report.listed for report in reports):
        return
    for pattern in policy.namespaces.names:
        misses = list(_misses(policy.name, pattern, reports))
        if misses and None not in misses:
            nearest = next((miss.nearest for miss in misses if miss is not None and miss.nearest), None)
            yield f"no namespace is named {pattern}{_hint(nearest) or _impossible(pattern)}"


def _unmatched(patterns: Iterable[str], names: Sequence[str]) -> Iterator[str]:
    return (pattern for pattern in patterns if not any(glob_match(pattern, name) for name in names))


def _nearest_label(selector: Selector, fleet: Iterable[ClusterSettings]) -> str | None:
    labels = sorted({f"{key}={value}" for one in fleet for key, value in one.labels})
    return nearest_name(selector_text(selector), labels)


def _misses(policy: PolicyName, pattern: str, reports: Iterable[ClusterReport]) -> Iterator[Miss | None]:
    """Return what each cluster says of a pattern, up to the first that has a match."""
    for report in reports:
        miss = next((one for one in report.misses.get(policy, ()) if one.pattern == pattern), None)
        yield miss
        if miss is None:
            return


def _hint(nearest: str | None) -> str:
    return f" (did you mean {nearest}?)" if nearest else ""


def _impossible(pattern: str) -> str:
    problem = None if is_glob(pattern) else dns_label_problem(pattern)
    return f" (none can be: {problem})" if problem else ""
