"""Does a selection take in this namespace, this cluster? And if not, why not.

Pure. Reads the values of ``selection``, which are valid by construction; is asked by the planner for every namespace it
plans, and by ``plan`` for the reason. It does not know about Terminating namespaces, pods or default clusters.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from fnmatch import translate
from functools import lru_cache
from typing import Final

from imps_multi.model.names import IGNORE_ANNOTATION
from imps_multi.model.observed import NamespaceRecord, Pairs
from imps_multi.model.selection import ClusterSelection, NamespaceSelection, Operator, Requirement, Selector

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that every namespace carries; its value is the name."""

GLOB_SIGNS: Final = frozenset("*?[")
LIKENESS: Final = 0.6
"""How alike two names must be for a did-you-mean (0 to 1), as difflib's own default."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def is_glob(pattern: str) -> bool:
    """Tell whether a name holds a sign that makes it a glob."""
    return not GLOB_SIGNS.isdisjoint(pattern)


def glob_match(pattern: str, name: str) -> bool:
    """Match a whole name, case-sensitively: ``*``, ``?``, ``[abc]``, ``[!abc]``; an unclosed ``[`` is itself.

    A name that is written out matches itself, whatever signs it has: contexts may have brackets.
    """
    return pattern == name or (is_glob(pattern) and _compiled(pattern).match(name) is not None)


def selector_matches(selector: Selector, pairs: Mapping[str, str] | Pairs) -> bool:
    """Tell whether every term holds, as Kubernetes' label selectors do; no term matches everything."""
    if not selector.requirements:
        return True
    values = pairs if isinstance(pairs, dict) else dict(pairs)
    for requirement in selector.requirements:  # noqa: SIM110 - a generator costs more than the terms, for each look
        if not _holds(requirement, values):
            return False
    return True


def _holds(requirement: Requirement, values: Mapping[str, str]) -> bool:
    value = values.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value is not None and value in requirement.values
        case Operator.NOT_IN:
            return value is None or value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


def namespace_excluded(selection: NamespaceSelection, record: NamespaceRecord) -> bool:
    """Tell whether ``exclude``, or the namespace's own annotation, keeps it out whatever selects it."""
    return _excluding(selection, record) is not None


def namespace_included(selection: NamespaceSelection, record: NamespaceRecord) -> bool:
    """Tell whether a name, label or annotation rule takes a namespace in, exclusions aside."""
    return _including(selection, record) is not None


def why_namespace(selection: NamespaceSelection, record: NamespaceRecord) -> str:
    """Say which rule selects a namespace, or what keeps it out, in the manifest's own terms."""
    excluding = _excluding(selection, record)
    if excluding is not None:
        return f"not selected: {_exclusion_text(selection, excluding)}"
    including = _including(selection, record)
    if including is not None:
        return f"selected by {_rule_text(selection, *including)}"
    return f"not selected: {_nothing_matches(selection, record)}"


_IGNORED: Final = -1
"""Stands for the namespace's own annotation, where an index into ``exclude`` is expected."""


def _excluding(selection: NamespaceSelection, record: NamespaceRecord) -> int | None:
    """Return which pattern of ``exclude`` keeps a namespace out, or ``_IGNORED``."""
    if record.annotations and (IGNORE_ANNOTATION, "true") in record.annotations:
        return _IGNORED
    return _first_glob(selection.exclude, record.name)


def _including(selection: NamespaceSelection, record: NamespaceRecord) -> tuple[str, int] | None:
    """Return which rule takes a namespace in: the list and the place in it."""
    if (index := _first_glob(selection.names, record.name)) is not None:
        return "names", index
    if selection.labels:
        labels = {**dict(record.labels), NAME_LABEL: record.name}
        if (index := _first_selector(selection.labels, labels)) is not None:
            return "labels", index
    if selection.annotations and (
        (index := _first_selector(selection.annotations, dict(record.annotations))) is not None
    ):
        return "annotations", index
    return None


def _first_glob(patterns: Iterable[str], name: str) -> int | None:
    for index, pattern in enumerate(patterns):
        if glob_match(pattern, name):
            return index
    return None


def _first_selector(selectors: Iterable[Selector], values: Mapping[str, str]) -> int | None:
    for index, selector in enumerate(selectors):
        if selector_matches(selector, values):
            return index
    return None


def _exclusion_text(selection: NamespaceSelection, index: int) -> str:
    if index == _IGNORED:
        return f'the namespace has the annotation {IGNORE_ANNOTATION}: "true"'
    return f'namespaces.exclude[{index}] "{selection.exclude[index]}" excludes it'


def _rule_text(selection: NamespaceSelection, where: str, index: int) -> str:
    if where == "names":
        return f'namespaces.names[{index}] "{selection.names[index]}"'
    selectors = selection.labels if where == "labels" else selection.annotations
    return f"namespaces.{where}[{index}] ({selector_text(selectors[index])})"


def _nothing_matches(selection: NamespaceSelection, record: NamespaceRecord) -> str:
    if not (selection.names or selection.labels or selection.annotations):
        return "the policy selects no namespaces"
    near = nearest_name(record.name, selection.names)
    hint = f' (names has "{near}", which is close)' if near is not None else ""
    return f"no rule under namespaces matches it{hint}"


def selector_text(selector: Selector) -> str:
    """Write a selector as ``kubectl -l`` has it."""
    return ", ".join(_requirement_text(requirement) for requirement in selector.requirements) or "everything"


def _requirement_text(requirement: Requirement) -> str:
    values = sorted(requirement.values)
    match requirement.operator:
        case Operator.IN if len(values) == 1:
            return f"{requirement.key}={values[0]}"
        case Operator.IN:
            return f"{requirement.key} in ({','.join(values)})"
        case Operator.NOT_IN:
            return f"{requirement.key} notin ({','.join(values)})"
        case Operator.EXISTS:
            return requirement.key
        case Operator.DOES_NOT_EXIST:
            return f"!{requirement.key}"


def cluster_selected(selection: ClusterSelection, name: str, labels: Mapping[str, str] | Pairs) -> bool:
    """Tell whether a cluster is selected: by ``names`` or ``labels``, or as only ``exclude`` is there; minus that."""
    if any(glob_match(pattern, name) for pattern in selection.exclude):
        return False
    if not selection.names and not selection.labels:
        return bool(selection.exclude)
    return any(glob_match(pattern, name) for pattern in selection.names) or any(
        selector_matches(selector, labels) for selector in selection.labels
    )


def why_cluster(selection: ClusterSelection | None, name: str, labels: Mapping[str, str]) -> str:
    """Say which rule selects a cluster, or why none does, in the manifest's own terms."""
    if selection is None:
        return "the policy names no clusters, and the configuration has no defaultClusters"
    if (index := _first_glob(selection.exclude, name)) is not None:
        return f'clusters.exclude[{index}] "{selection.exclude[index]}" excludes the cluster'
    if (index := _first_glob(selection.names, name)) is not None:
        return f'cluster by clusters.names[{index}] "{selection.names[index]}"'
    if (index := _first_selector(selection.labels, labels)) is not None:
        return f"cluster by clusters.labels[{index}] ({selector_text(selection.labels[index])})"
    if not selection.names and not selection.labels:
        return "cluster not excluded by clusters.exclude" if selection.exclude else "clusters is {}, which selects none"
    near = nearest_name(name, selection.names)
    hint = f' (names has "{near}", which is close)' if near is not None else ""
    return f"no rule under clusters matches {name}{hint}"


def nearest_name(pattern: str, names: Iterable[str]) -> str | None:
    """Return the name most like a pattern that matched nothing, or None where none is like it.

    Of a glob only its literal text counts, against as much of the name: ``taem-*`` finds ``team-a``.
    """
    literal = _literal(pattern)
    matcher, best, found = SequenceMatcher(None, "", literal), 0.0, None
    for name in names if literal else ():
        likeness = _likeness(matcher, _part(pattern, name, len(literal))) if name != pattern else 0.0
        if likeness > best or (likeness == best and found is not None and len(name) < len(found)):
            best, found = likeness, name
    return found if best >= LIKENESS else None


def _literal(pattern: str) -> str:
    return "".join(character for character in pattern if character not in "*?[]!")


def _part(pattern: str, name: str, length: int) -> str:
    """Return what of a name the literal text of a glob stands for."""
    if pattern.endswith("*") and not pattern.startswith("*"):
        return name[:length]
    return name[-length:] if pattern.startswith("*") and not pattern.endswith("*") else name


def _likeness(matcher: SequenceMatcher[str], part: str) -> float:
    """Compare with what the matcher holds; what cannot be like it is found out cheaply, and is 0."""
    matcher.set_seq1(part)
    if matcher.real_quick_ratio() < LIKENESS or matcher.quick_ratio() < LIKENESS:
        return 0.0
    return matcher.ratio()
