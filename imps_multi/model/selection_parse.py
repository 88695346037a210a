"""Selections from a manifest: globs, label selectors, annotation selectors.

Pure. Accepts what IMPS's schema and apimachinery's ``LabelSelectorAsSelector`` accept; annotation selectors take values
of any length and character. Every field under a selection must be known, for a typo would select something else.
"""

from collections.abc import Callable, Mapping

from imps_multi.model.fields import Fields, did_you_mean, join, kind_of, shown
from imps_multi.model.selection import (
    ClusterSelection,
    NamespaceSelection,
    Operator,
    PodSelection,
    Requirement,
    Selector,
)
from imps_multi.model.validity import annotation_key_problem, label_key_problem, label_value_problem

_Check = Callable[[str], str | None]
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_OPERATORS: Mapping[str, Operator] = {operator.value: operator for operator in Operator}


def _any_value(_: str) -> None:
    """Accept every value: an annotation's."""


def cluster_selection(fields: Fields, value: object, path: str) -> ClusterSelection | None:
    """Read ``target.clusters``; None where it is absent."""
    if value is None:
        return None
    content = fields.mapping(value, path)
    fields.known_only(content, path, ("names", "labels", "exclude"))
    return ClusterSelection(
        names=fields.texts(content.get("names"), f"{path}.names"),
        labels=label_selectors(fields, content.get("labels"), f"{path}.labels"),
        exclude=fields.texts(content.get("exclude"), f"{path}.exclude"),
    )


def namespace_selection(fields: Fields, value: object, path: str) -> NamespaceSelection:
    """Read ``target.namespaces``; absent selects nothing, as in IMPS."""
    content = fields.mapping(value, path)
    fields.known_only(content, path, ("names", "labels", "annotations", "exclude"))
    return NamespaceSelection(
        names=fields.texts(content.get("names"), f"{path}.names"),
        labels=label_selectors(fields, content.get("labels"), f"{path}.labels"),
        annotations=annotation_selectors(fields, content.get("annotations"), f"{path}.annotations"),
        exclude=fields.texts(content.get("exclude"), f"{path}.exclude"),
    )


def pod_selection(fields: Fields, value: object, path: str) -> PodSelection:
    """Read ``target.namespacesWithPods``; absent selects nothing, as in IMPS."""
    content = fields.mapping(value, path)
    fields.known_only(content, path, ("labels", "annotations"))
    return PodSelection.of(
        labels=label_selectors(fields, content.get("labels"), f"{path}.labels"),
        annotations=annotation_selectors(fields, content.get("annotations"), f"{path}.annotations"),
    )


def label_selectors(fields: Fields, value: object, path: str) -> tuple[Selector, ...]:
    """Read a list of ordinary label selectors."""
    return tuple(
        _selector(fields, item, at, "matchLabels", label_key_problem, label_value_problem)
        for at, item in fields.items(value, path)
    )


def annotation_selectors(fields: Fields, value: object, path: str) -> tuple[Selector, ...]:
    """Read a list of annotation selectors."""
    return tuple(
        _selector(fields, item, at, "matchAnnotations", annotation_key_problem, _any_value)
        for at, item in fields.items(value, path)
    )


def _selector(
    fields: Fields, value: object, path: str, equals: str, key_problem: _Check, value_problem: _Check
) -> Selector:
    if value is None:
        fields.problem(path, "is empty; write {} to match everything, or take the item away")
        return Selector()
    content = fields.mapping(value, path)
    fields.known_only(content, path, (equals, "matchExpressions"))
    equal = _equalities(fields, content.get(equals), f"{path}.{equals}", key_problem, value_problem)
    expressions = [
        _expression(fields, item, at, key_problem, value_problem)
        for at, item in fields.items(content.get("matchExpressions"), f"{path}.matchExpressions")
    ]
    return Selector((*equal, *(term for term in expressions if term is not None)))


def _equalities(
    fields: Fields, value: object, path: str, key_problem: _Check, value_problem: _Check
) -> list[Requirement]:
    pairs = fields.text_map(value, path)
    for key, text in pairs.items():
        at = join(path, key)
        _check(fields, at, key, key_problem(key), "key")
        _check(fields, at, text, value_problem(text), "value")
    return [Requirement(key, Operator.IN, frozenset({text})) for key, text in pairs.items()]


def _check(fields: Fields, path: str, text: str, problem: str | None, what: str) -> None:
    if problem is not None:
        fields.problem(path, f"the {what} {shown(text)} is not valid: {problem}")


def _expression(
    fields: Fields, value: object, path: str, key_problem: _Check, value_problem: _Check
) -> Requirement | None:
    if value is None:
        fields.problem(path, "is empty; write a key and an operator, or take the item away")
        return None
    content = fields.mapping(value, path)
    fields.known_only(content, path, ("key", "operator", "values"))
    key = fields.text(content.get("key"), f"{path}.key")
    if key is not None:
        _check(fields, f"{path}.key", key, key_problem(key), "key")
    operator = _operator(fields, content.get("operator"), f"{path}.operator")
    values = fields.texts(content.get("values"), f"{path}.values")
    if operator is None or key is None:
        return None
    _check_values(fields, operator, content.get("values"), f"{path}.values")
    if operator in _WITH_VALUES:
        for index, text in enumerate(values):
            _check(fields, f"{path}.values[{index}]", text, value_problem(text), "value")
    return Requirement(key, operator, frozenset(values))


def _operator(fields: Fields, value: object, path: str) -> Operator | None:
    if isinstance(value, str) and value in _OPERATORS:
        return _OPERATORS[value]
    said = f"is {shown(value)}" if isinstance(value, str) else f"is {kind_of(value)}"
    hint = did_you_mean(value, _OPERATORS) if isinstance(value, str) else ""
    fields.problem(path, f"must be one of {', '.join(_OPERATORS)}, {said}{hint}")
    return None


def _check_values(fields: Fields, operator: Operator, values: object, path: str) -> None:
    if operator in _WITH_VALUES and not values:
        fields.problem(path, f"operator {operator.value} needs at least one value")
    if operator not in _WITH_VALUES and values:
        fields.problem(path, f"operator {operator.value} takes no values; take them away, or use In or NotIn")
