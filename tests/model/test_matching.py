"""Matching against tables taken from Kubernetes' rules, and against a naive model."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.matching import (
    cluster_selected,
    glob_match,
    namespace_excluded,
    namespace_included,
    nearest_name,
    selector_matches,
    why_namespace,
)
from imps_multi.model.names import NamespaceName
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.selection import ClusterSelection, NamespaceSelection, Operator, Requirement, Selector

KEYS = st.sampled_from(["a", "b", "kubernetes.io/metadata.name"])
VALUES = st.sampled_from(["", "1", "2", "team-a"])
NAMES = st.sampled_from(["team-a", "team-b", "kube-system", "a"])
GLOBS = st.sampled_from(["team-a", "team-*", "kube-*", "?", "[ab]", "*"])
LABELS = st.dictionaries(st.sampled_from(["a", "b"]), VALUES)
OPERATORS = st.sampled_from(Operator)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(OPERATORS)
    needs_values = operator in {Operator.IN, Operator.NOT_IN}
    values = draw(st.frozensets(VALUES, min_size=1)) if needs_values else frozenset[str]()
    return Requirement(key=draw(KEYS), operator=operator, values=values)


SELECTORS = st.builds(Selector, st.lists(requirements(), max_size=3).map(tuple))


def record(
    name: str = "team-a", labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> NamespaceRecord:
    return NamespaceRecord(
        name=NamespaceName(name),
        resource_version=1,
        labels=tuple(sorted((labels or {}).items())),
        annotations=tuple(sorted((annotations or {}).items())),
    )


def naive_matches(selector: Selector, pairs: Mapping[str, str]) -> bool:
    for term in selector.requirements:
        present = term.key in pairs
        listed = present and pairs[term.key] in term.values
        truth = {
            Operator.IN: listed,
            Operator.NOT_IN: not listed,
            Operator.EXISTS: present,
            Operator.DOES_NOT_EXIST: not present,
        }
        if not truth[term.operator]:
            return False
    return True


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("team-a", "team-a", True),
        ("team-a", "team-ab", False),
        ("team-*", "team-", True),
        ("team-*", "my-team-a", False),
        ("*", "", True),
        ("?", "", False),
        ("team-?", "team-a", True),
        ("team-[ab]", "team-b", True),
        ("team-[!ab]", "team-b", False),
        ("team-[", "team-[", True),
        ("edge [x]", "edge [x]", True),
        ("Team", "team", False),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
        ("a", "a\n", False),
        ("a*", "ba", False),
    ],
)
def test_a_glob_matches_the_whole_name(pattern: str, name: str, *, expected: bool) -> None:
    assert glob_match(pattern, name) is expected


@given(SELECTORS, LABELS)
def test_a_selector_matches_as_the_naive_model_does(selector: Selector, labels: dict[str, str]) -> None:
    expected = naive_matches(selector, labels)
    assert selector_matches(selector, labels) is expected
    assert selector_matches(selector, tuple(labels.items())) is expected


@pytest.mark.parametrize("operator", [Operator.NOT_IN, Operator.DOES_NOT_EXIST])
def test_an_absent_key_satisfies_the_negative_operators(operator: Operator) -> None:
    values = frozenset({"x"}) if operator is Operator.NOT_IN else frozenset[str]()
    assert selector_matches(Selector((Requirement("k", operator, values),)), {})


@given(
    st.builds(
        NamespaceSelection,
        names=st.lists(GLOBS, max_size=2).map(tuple),
        labels=st.lists(SELECTORS, max_size=2).map(tuple),
        annotations=st.lists(SELECTORS, max_size=2).map(tuple),
        exclude=st.lists(GLOBS, max_size=1).map(tuple),
    ),
    NAMES,
    LABELS,
    LABELS,
    st.booleans(),
)
def test_a_namespace_is_selected_as_the_naive_model_does(
    selection: NamespaceSelection,
    name: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    ignored: bool,  # noqa: FBT001 - hypothesis passes by position
) -> None:
    annotations |= {"imps-multi.io/ignore": "true"} if ignored else {}
    named = any(glob_match(pattern, name) for pattern in selection.names)
    labelled = any(
        naive_matches(selector, labels | {"kubernetes.io/metadata.name": name}) for selector in selection.labels
    )
    annotated = any(naive_matches(selector, annotations) for selector in selection.annotations)
    out = ignored or any(glob_match(pattern, name) for pattern in selection.exclude)
    expected = (named or labelled or annotated) and not out
    seen = record(name, labels, annotations)
    assert (namespace_included(selection, seen) and not namespace_excluded(selection, seen)) is expected
    assert why_namespace(selection, seen).startswith("selected by") is expected


@pytest.mark.parametrize(
    ("selection", "seen", "expected"),
    [
        (NamespaceSelection(names=("x", "team-*")), record(), 'selected by namespaces.names[1] "team-*"'),
        (
            NamespaceSelection(labels=(Selector((Requirement("env", Operator.IN, frozenset({"prod"})),)),)),
            record(labels={"env": "prod"}),
            "selected by namespaces.labels[0] (env=prod)",
        ),
        (
            NamespaceSelection(annotations=(Selector((Requirement("inject", Operator.EXISTS),)),)),
            record(annotations={"inject": ""}),
            "selected by namespaces.annotations[0] (inject)",
        ),
        (NamespaceSelection(labels=(Selector(),)), record(), "selected by namespaces.labels[0] (everything)"),
        (
            NamespaceSelection(names=("*",), exclude=("team-*",)),
            record(),
            'not selected: namespaces.exclude[0] "team-*" excludes it',
        ),
        (
            NamespaceSelection(names=("*",)),
            record(annotations={"imps-multi.io/ignore": "true"}),
            'not selected: the namespace has the annotation imps-multi.io/ignore: "true"',
        ),
        (NamespaceSelection(), record(), "not selected: the policy selects no namespaces"),
        (
            NamespaceSelection(names=("taem-a",)),
            record(),
            'not selected: no rule under namespaces matches it (names has "taem-a", which is close)',
        ),
    ],
)
def test_the_reason_names_the_rule(selection: NamespaceSelection, seen: NamespaceRecord, expected: str) -> None:
    assert why_namespace(selection, seen) == expected


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (ClusterSelection(), False),
        (ClusterSelection(names=("prod-*",)), True),
        (ClusterSelection(names=("dev-*",)), False),
        (ClusterSelection(labels=(Selector((Requirement("env", Operator.IN, frozenset({"prod"})),)),)), True),
        (ClusterSelection(labels=(Selector(),)), True),
        (ClusterSelection(exclude=("dev-*",)), True),
        (ClusterSelection(exclude=("prod-*",)), False),
        (ClusterSelection(names=("prod-*",), exclude=("prod-1",)), False),
    ],
)
def test_a_cluster_is_selected_by_name_or_label_minus_exclude(selection: ClusterSelection, *, expected: bool) -> None:
    assert cluster_selected(selection, "prod-1", (("env", "prod"),)) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("taem-a", "team-a"),
        ("taem-*", "team-a"),
        ("*-sytem", "kube-system"),
        ("production", None),
        ("*", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_for_typos_only(pattern: str, expected: str | None) -> None:
    assert nearest_name(pattern, ["kube-system", "team-a"]) == expected
