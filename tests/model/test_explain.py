"""Why a namespace gets what it gets: the rule, whose a Secret is, and what a run would do with it."""

import pytest
from msgspec import structs

from imps_multi.model.explain import Explanation, PolicyAnswer, Scene, TargetAnswer, explain
from imps_multi.model.names import PolicyName, SecretName
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.policy import SpecProblem
from imps_multi.model.selection import ClusterSelection, Requirement, Selector
from imps_multi.model.selection import Operator as Op
from imps_multi.model.world import InvalidView, Resolved, Standing
from tests.model.objects import Object, observe
from tests.model.scenes import Bench, changed, namespace, policy, resolved, seen_from, world, written

PULL = SecretName("pull")
EU = Selector((Requirement("region", Op.IN, frozenset({"eu"})),))
INVALID = InvalidView(PolicyName("p"), 2, "pull", (SpecProblem("spec.target", "is required"),))


def explained(
    *policies: Resolved,
    found: Object | None = None,
    record: NamespaceRecord | None = None,
    **given: object,
) -> Explanation:
    """Explain team-a, in which a Secret named pull may lie."""
    there = world(*policies)
    bench = Bench(there, found=found, record=record)
    plan = bench.plan()
    seen = observe(found)
    scene = Scene(
        view=seen_from(there),
        labels={"region": "eu"},
        record=record or namespace(),
        seen={} if seen is None else {PULL: seen},
        plans=[] if plan is None else [plan],
    )
    return explain(structs.replace(scene, **given))


def only(found: Explanation) -> PolicyAnswer:
    """Return what is said of the one policy."""
    (one,) = found.policies
    return one


def target(found: Explanation) -> TargetAnswer:
    """Return what is said of the one Secret."""
    (one,) = found.targets
    return one


@pytest.mark.parametrize(
    ("clusters", "selected", "why"),
    [
        (ClusterSelection(names=("edge", "prod-*")), True, 'cluster by clusters.names[1] "prod-*"'),
        (ClusterSelection(labels=(EU,)), True, "cluster by clusters.labels[0] (region=eu)"),
        (ClusterSelection(exclude=("edge",)), True, "cluster not excluded by clusters.exclude"),
        (ClusterSelection(), False, "not selected: clusters is {}, which selects none"),
        (ClusterSelection(names=("prod-2",)), False, 'matches prod-1 (names has "prod-2", which is close)'),
        (ClusterSelection(names=("*",), exclude=("prod-?",)), False, 'clusters.exclude[0] "prod-?" excludes'),
        (None, False, "the policy names no clusters, and the configuration has no defaultClusters"),
    ],
)
def test_the_rule_about_clusters_is_named(clusters: ClusterSelection | None, selected: bool, why: str) -> None:  # noqa: FBT001  # a table's column
    labelled = resolved(policy(clusters=clusters))
    view = seen_from(world(labelled))
    answer = only(explained(labelled))
    assert why in answer.why
    if clusters is None or not clusters.labels:
        assert (answer.selected, view.policies[PolicyName("p")].reaches) == (selected, selected)


def test_clusters_that_the_configuration_names_are_said_to_be_its_own() -> None:
    answer = only(explained(resolved(), by_default={"p"}))
    assert answer.why == 'selected by namespaces.names[0] "team-*"; cluster by defaultClusters[0] "*"'


def test_a_cluster_that_is_decommissioned_says_so() -> None:
    answer = only(explained(resolved(), view=seen_from(world(resolved()), decommission=True)))
    assert answer.why == "not selected: the cluster is decommissioned, so nothing selects it"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (namespace("team-b"), 'not selected: namespaces.exclude[0] "*-b" excludes it'),
        (namespace("prod"), "not selected: no rule under namespaces matches it"),
        (namespace(annotations={"imps-multi.io/ignore": "true"}), "the namespace has the annotation imps-multi.io/ig"),
    ],
)
def test_what_keeps_a_namespace_out_is_named(record: NamespaceRecord, why: str) -> None:
    answer = only(explained(resolved(policy(exclude=("*-b",))), record=record))
    assert not answer.selected
    assert why in answer.why


def test_a_suspended_policy_and_one_that_is_invalid_say_so() -> None:
    suspended = only(explained(resolved(policy(suspend=True))))
    assert (suspended.standing, suspended.selected) == ("suspended", True)
    assert suspended.why.endswith("suspended, so nothing is written")
    invalid = only(explained(resolved(standing=Standing.INVALID), invalid={PolicyName("p"): INVALID}))
    assert invalid.standing == "invalid"
    assert invalid.why.startswith("by its last valid spec selected by namespaces.names[0]")
    assert invalid.why.endswith("as it stands it is invalid (spec.target: is required)")


def test_a_policy_that_never_was_valid_is_shown_with_its_first_problem() -> None:
    found = explained(invalid={PolicyName("p"): INVALID})
    assert found.policies == [
        PolicyAnswer(
            "p", "pull", selected=False, why="its spec is invalid: spec.target: is required", standing="invalid"
        )
    ]
    assert found.targets == []


def test_a_policy_that_is_gone_matters_only_where_something_of_it_lies() -> None:
    gone = resolved(standing=Standing.DELETED)
    assert explained(gone).policies == []
    assert only(explained(gone, found=written(resolved()))).standing == "gone"


def test_a_target_that_is_missing_would_be_created() -> None:
    found = target(explained(resolved()))
    assert (found.whose, found.operation, found.why) == ("nothing", "create", "the target is missing")


def test_what_is_right_is_left_alone_and_names_its_policy() -> None:
    found = target(explained(resolved(), found=written(resolved())))
    assert (found.whose, found.policy, found.operation) == ("ours", "p", "none")
    assert found.why == "it is as it should be"


def test_a_stripped_one_is_repaired() -> None:
    bare = changed(written(resolved()), labels={"imps-multi.io/hub": None})
    found = target(explained(resolved(), found=bare))
    assert (found.whose, found.operation) == ("stripped", "update")


def test_a_foreign_one_is_left_alone_with_the_reason() -> None:
    foreign = changed(
        written(resolved()),
        labels={"imps-multi.io/hub": None, "app.kubernetes.io/managed-by": "helm"},
        annotations={"imps-multi.io/policy": None},
    )
    found = target(explained(resolved(), found=foreign))
    assert (found.whose, found.operation) == ("foreign", "none")
    assert found.about == "app.kubernetes.io/managed-by names somebody else"


def test_rivals_are_told_apart() -> None:
    both = (resolved(), resolved(policy("q")))
    found = target(explained(*both, found=written(resolved())))
    assert found.why == "p: in sync; q: policy p has this Secret name here"


def test_a_removal_that_is_held_names_the_id() -> None:
    unwanted = resolved(policy(names=("other",)))
    found = target(explained(unwanted, found=written(resolved()), held={PULL: "h-1"}))
    assert found.held == "h-1"
    assert "held until h-1 is approved" in found.why


def test_a_name_that_may_not_be_read_is_unknown() -> None:
    found = target(explained(resolved(), forbidden={PULL: "list secrets pull: 403"}))
    assert (found.whose, found.about) == ("unknown", "list secrets pull: 403")
