"""Policies from manifests: everything that IMPS accepts, and every problem at once with its path."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.policy import DeletionPolicy, InvalidPolicy, Policy, SourceRef
from imps_multi.model.policy_parse import content_generation, parse_policy, with_default_clusters
from imps_multi.model.selection import (
    ClusterSelection,
    NamespaceSelection,
    Operator,
    PodField,
    PodRule,
    PodSelection,
    Requirement,
    Selector,
)

Manifest = dict[str, Any]


def manifest(**target: object) -> Manifest:
    return {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": "imps"},
        "spec": {
            "registry": {"credentials": [{"name": "hub", "namespace": "registry-access"}]},
            "target": {"secret": {"name": "istio-pull-secret"}, **target},
        },
    }


def valid(content: Manifest) -> Policy:
    policy = parse_policy(content)
    assert isinstance(policy, Policy), policy
    return policy


def problems(content: Manifest) -> dict[str, str]:
    policy = parse_policy(content)
    assert isinstance(policy, InvalidPolicy)
    assert policy.problems
    return {problem.path: problem.message for problem in policy.problems}


def test_the_manifest_of_the_imps_readme_is_accepted() -> None:
    policy = valid(
        manifest(
            namespaces={
                "annotations": [
                    {"matchAnnotations": {"sidecar.istio.io/inject": "true"}},
                    {"matchAnnotations": {"backyards.banzaicloud.io/image-registry-access": "true"}},
                ],
                "labels": [{"matchExpressions": [{"key": "istio.io/rev", "operator": "Exists"}]}],
                "names": ["backyards-system", "cert-manager"],
            }
        )
    )
    assert policy.name == "imps"
    assert policy.sources == (SourceRef(NamespaceName("registry-access"), "hub"),)
    assert policy.secret.name == "istio-pull-secret"
    assert policy.clusters is None
    assert policy.namespaces == NamespaceSelection(
        names=("backyards-system", "cert-manager"),
        labels=(Selector((Requirement("istio.io/rev", Operator.EXISTS),)),),
        annotations=(
            Selector((Requirement("sidecar.istio.io/inject", Operator.IN, frozenset({"true"})),)),
            Selector(
                (Requirement("backyards.banzaicloud.io/image-registry-access", Operator.IN, frozenset({"true"})),)
            ),
        ),
    )


def test_who_manages_a_target_is_not_for_a_policy_to_say() -> None:
    labels = {"app.kubernetes.io/managed-by": "Helm", "team": "a"}
    policy = valid(manifest(secret={"name": "pull", "labels": labels}))
    assert policy.secret.labels == (("team", "a"),)
    (remark,) = policy.remarks
    assert remark.path == "spec.target.secret.labels[app.kubernetes.io/managed-by]"
    assert remark.message.startswith("is written as imps-multi, whatever a policy says")


def test_a_target_without_any_selection_selects_no_namespace() -> None:
    assert valid(manifest()).namespaces == NamespaceSelection()
    assert valid(manifest(namespaces=None, namespacesWithPods={"labels": []})).namespaces == NamespaceSelection()


def test_pods_are_selected_by_label_and_by_annotation() -> None:
    value = "https://example.com/ä:" * 20
    pods = {
        "labels": [{"matchLabels": {"app": "web"}}, {}],
        "annotations": [{"matchExpressions": [{"key": "note", "operator": "In", "values": [value]}]}],
    }
    assert valid(manifest(namespacesWithPods=pods)).pods.rules == (
        PodRule(PodField.LABELS, Selector((Requirement("app", Operator.IN, frozenset({"web"})),))),
        PodRule(PodField.LABELS, Selector()),
        PodRule(PodField.ANNOTATIONS, Selector((Requirement("note", Operator.IN, frozenset({value})),))),
    )
    assert valid(manifest(namespacesWithPods={"labels": []})).pods == PodSelection()
    assert valid(manifest(namespacesWithPods=None)).pods == PodSelection()


def test_an_empty_selector_has_no_term() -> None:
    assert valid(manifest(namespaces={"labels": [{}]})).namespaces.labels == (Selector(),)


def test_empty_clusters_are_told_from_absent_ones() -> None:
    assert valid(manifest(clusters={})).clusters == ClusterSelection()
    assert valid(manifest(clusters={"exclude": ["a"]})).clusters == ClusterSelection(exclude=("a",))
    assert valid(manifest(clusters=None)).clusters is None


def test_an_annotation_selector_takes_values_of_any_length_and_character() -> None:
    value = "https://example.com/ä:" * 20
    terms = [{"key": "Example.COM/x", "operator": "NotIn", "values": [value]}]
    policy = valid(manifest(namespaces={"annotations": [{"matchExpressions": terms}]}))
    assert policy.namespaces.annotations == (
        Selector((Requirement("Example.COM/x", Operator.NOT_IN, frozenset({value})),)),
    )


def test_everything_that_a_policy_can_say_is_read() -> None:
    content = manifest()
    content["metadata"] = {
        "name": "team-a",
        "uid": "u-1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"imps-multi.io/sync": "1", "imps-multi.io/approve": "h-1"},
    }
    content["spec"] |= {"suspend": True, "deletionPolicy": "Retain", "conflictPolicy": "Adopt"}
    content["spec"]["target"]["secret"] = {"name": "s", "labels": {"b": "", "a": "1"}, "annotations": {"x/y": "any: é"}}
    policy = valid(content)
    assert (policy.uid, policy.created) == ("u-1", 1767225600.0)
    assert (policy.sync_request, policy.approve_request) == ("1", "h-1")
    assert policy.suspend
    assert policy.deletion_policy is DeletionPolicy.RETAIN
    assert policy.secret.labels == (("a", "1"), ("b", ""))
    assert policy.secret.annotations == (("x/y", "any: é"),)


def test_a_source_named_twice_counts_once_in_its_first_place() -> None:
    content = manifest()
    content["spec"]["registry"]["credentials"] = [{"name": name, "namespace": "n"} for name in ("b", "a", "b")]
    assert [ref.name for ref in valid(content).sources] == ["b", "a"]


def _without(*path: str) -> Callable[[Manifest], None]:
    def change(content: Manifest) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return change


def _with(value: object, *path: str | int) -> Callable[[Manifest], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (_without("spec"), "spec", "is required"),
        (_without("metadata", "name"), "metadata.name", "is required"),
        (_with("Team_A", "metadata", "name"), "metadata.name", '"Team_A" is not valid'),
        (_with(7, "metadata", "annotations"), "metadata.annotations", "must be a mapping, is a number"),
        (
            _with({"imps-multi.io/sync": 3}, "metadata", "annotations"),
            "metadata.annotations[imps-multi.io/sync]",
            "must be a text, is a number; put it in quotes",
        ),
        (_with("v1", "apiVersion"), "apiVersion", 'must be images.banzaicloud.io/v1alpha1, is "v1"'),
        (_without("spec", "registry"), "spec.registry", "is required"),
        (_without("spec", "target"), "spec.target", "is required"),
        (_without("spec", "target", "secret"), "spec.target.secret", "is required"),
        (_with({"labels": {}}, "spec", "target", "secret"), "spec.target.secret.name", "is required"),
        (_with("a/b", "spec", "target", "secret", "name"), "spec.target.secret.name", '"a/b" is not valid'),
        (_with([], "spec", "registry", "credentials"), "spec.registry.credentials", "name at least one source"),
        (
            _with([{"name": "x"}], "spec", "registry", "credentials"),
            "spec.registry.credentials[0].namespace",
            "is required",
        ),
        (
            _with([{"gcp": {"location": "europe"}}], "spec", "registry", "credentials"),
            "spec.registry.credentials[0].gcp",
            "is no source: write {name: …, namespace: …} of a Secret",
        ),
        (_with([{"ecr": None}], "spec", "registry", "credentials"), "spec.registry.credentials[0].ecr", "is no source"),
        (
            _with([{"ECR": {}}], "spec", "registry", "credentials"),
            "spec.registry.credentials[0].ECR",
            "(did you mean ecr?)",
        ),
        (_with([{}], "spec", "registry", "credentials"), "spec.registry.credentials[0].name", "is required"),
        (_with("yes", "spec", "suspend"), "spec.suspend", "must be true or false, is a text"),
        (_with("retain", "spec", "deletionPolicy"), "spec.deletionPolicy", "(did you mean Retain?)"),
        (_with("adopt", "spec", "conflictPolicy"), "spec.conflictPolicy", "(did you mean Adopt?)"),
        (_with("Retain", "spec", "deletionpolicy"), "spec.deletionpolicy", "(did you mean deletionPolicy?)"),
        (_with({}, "spec", "namespaces"), "spec.namespaces", "belongs under spec.target"),
        (_with({}, "spec", "target", "namespacez"), "spec.target.namespacez", "(did you mean namespaces?)"),
        (
            _with({"names": ["a"]}, "spec", "target", "namespacesWithPods"),
            "spec.target.namespacesWithPods.names",
            "unknown field",
        ),
        (
            _with(
                {"labels": [{"matchExpressions": [{"key": "a", "operator": "exists"}]}]},
                *("spec", "target", "namespacesWithPods"),
            ),
            "spec.target.namespacesWithPods.labels[0].matchExpressions[0].operator",
            "(did you mean Exists?)",
        ),
        (
            _with({"labels": [{"matchLabels": {"a": "b/c"}}]}, "spec", "target", "namespacesWithPods"),
            "spec.target.namespacesWithPods.labels[0].matchLabels.a",
            "is not valid",
        ),
        (
            _with({"imps-multi.io/hub": "x"}, "spec", "target", "secret", "labels"),
            "spec.target.secret.labels[imps-multi.io/hub]",
            "imps-multi's own mark",
        ),
        (
            _with({"a": "x y"}, "spec", "target", "secret", "labels"),
            "spec.target.secret.labels.a",
            "a label's value may have",
        ),
    ],
)
def test_a_wrong_manifest_says_where_and_what(change: Callable[[Manifest], None], path: str, message: str) -> None:
    content = manifest()
    change(content)
    assert message in problems(content)[path]


@pytest.mark.parametrize(
    ("selector", "path", "message"),
    [
        ({"matchExpressions": [{"key": "a", "operator": "in", "values": ["x"]}]}, "operator", "(did you mean In?)"),
        ({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, "operator", "must be one of In"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "values", "needs at least one value"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}, "values", "takes no values"),
        ({"matchExpressions": [{"operator": "Exists"}]}, "key", "must be a text, is empty"),
        ({"matchExpressions": [{"key": "-a", "operator": "Exists"}]}, "key", "is not valid"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]}, "values[0]", "put it in quotes"),
    ],
)
@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_a_wrong_expression_says_where_and_what(kind: str, selector: Manifest, path: str, message: str) -> None:
    found = problems(manifest(namespaces={kind: [{}, selector]}))
    assert message in found[f"spec.target.namespaces.{kind}[1].matchExpressions[0].{path}"]


def test_a_label_selector_refuses_what_no_label_can_be() -> None:
    long = "x" * 64
    found = problems(manifest(namespaces={"labels": [{"matchLabels": {"a": long, "b": "c/d", long: "e"}}]}))
    assert set(found) == {f"spec.target.namespaces.labels[0].matchLabels.{key}" for key in ("a", "b", long)}


def test_a_typo_in_a_selector_is_a_problem_for_it_would_match_everything() -> None:
    found = problems(manifest(namespaces={"annotations": [{"matchLabels": {"a": "b"}}], "labels": [None]}))
    assert "unknown field" in found["spec.target.namespaces.annotations[0].matchLabels"]
    assert "is empty" in found["spec.target.namespaces.labels[0]"]


def test_unknown_fields_elsewhere_are_ignored_as_an_api_server_prunes_them() -> None:
    content = manifest()
    content["spec"]["x-team"] = 1
    content["status"] = {"status": "Ready"}
    valid(content)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, {"spec"}),
        ({}, {"spec.registry", "spec.target"}),
        ({"registry": {}, "target": {}}, {"spec.registry.credentials", "spec.target.secret"}),
        ({"registry": [], "target": {"secret": {}}}, {"spec.registry", "spec.target.secret.name"}),
    ],
)
def test_what_is_missing_is_told_once_at_its_highest_place(spec: object, expected: set[str]) -> None:
    assert set(problems({**manifest(), "spec": spec})) == expected


def test_every_problem_is_found_at_once() -> None:
    content = manifest(namespaces={"names": [1], "labels": "x"}, clusters={"name": []})
    content["spec"]["suspend"] = 1
    assert set(problems(content)) == {
        "spec.target.namespaces.names[0]",
        "spec.target.namespaces.labels",
        "spec.target.clusters.name",
        "spec.suspend",
    }


def test_an_invalid_policy_still_has_its_name_and_its_secret_name() -> None:
    policy = parse_policy(manifest(nonsense=1))
    assert isinstance(policy, InvalidPolicy)
    assert (policy.name, policy.secret_name) == (PolicyName("imps"), SecretName("istio-pull-secret"))


def test_the_generation_follows_the_content_alone() -> None:
    first = valid(manifest(namespaces={"names": ["a"], "exclude": ["b"]}))
    reordered = valid(json.loads(json.dumps(manifest(namespaces={"exclude": ["b"], "names": ["a"]}))))
    other = valid(manifest(namespaces={"names": ["a", "b"]}))
    asked = manifest(namespaces={"names": ["a"], "exclude": ["b"]})
    asked["metadata"]["annotations"] = {"imps-multi.io/sync": "now"}
    assert first.generation == reordered.generation > 0
    assert len({first.generation, other.generation, valid(asked).generation}) == 3
    assert parse_policy(manifest(), generation=7).generation == 7


def test_default_clusters_fill_in_or_make_a_policy_invalid() -> None:
    policy = valid(manifest())
    filled = with_default_clusters(policy, ("prod-*",))
    assert isinstance(filled, Policy)
    assert filled.clusters == ClusterSelection(names=("prod-*",))
    refused = with_default_clusters(policy, ())
    assert isinstance(refused, InvalidPolicy)
    assert refused.problems[0].path == "spec.target.clusters"
    explicit = valid(manifest(clusters={}))
    assert with_default_clusters(explicit, ("*",)) is explicit


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5)
NAMES = st.sampled_from(
    ["names", "labels", "annotations", "matchLabels", "matchExpressions", "key", "operator", "values", "exclude"]
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | SCALARS, inner, max_size=3)
)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_content_makes_it_raise(selection: object, spec: object, metadata: object) -> None:
    content = manifest(namespaces=selection, clusters=selection)
    assert parse_policy(content).generation > 0
    assert isinstance(parse_policy({**content, "spec": spec, "metadata": metadata}), InvalidPolicy)
    assert content_generation({"x": selection}, {}) == content_generation({"x": selection}, {})
