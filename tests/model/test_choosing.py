"""Which namespaces a policy selects when pods count too: what looking at every pod gives, and said in its own terms."""

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from msgspec import structs

from imps_multi.model.choosing import NO_PODS, chosen, reason_selected
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.matching import glob_match
from imps_multi.model.names import NamespaceName
from imps_multi.model.pods import PodsReplaced, pod_watches
from imps_multi.model.pods_fold import Pods
from imps_multi.model.policy import Policy
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
from imps_multi.model.view import view
from tests.model.scenes import CLUSTER, HUB, namespace, policy, resolved, world
from tests.model.strategies import dice

Texts = Mapping[str, str]
WEB = PodRule(PodField.LABELS, Selector((Requirement("app", Operator.IN, frozenset({"web"})),)))
NOTED = PodRule(PodField.ANNOTATIONS, Selector((Requirement("note", Operator.EXISTS),)))
EVERY = PodRule(PodField.LABELS, Selector())
ANSWERS = {True: "yes", False: "no", None: "not known"}
BY_PODS = policy(names=[], pods=[WEB])


def known(rules: tuple[PodRule, ...], **pods: Texts) -> Pods:
    """Know the pods of team-a whole, by their labels."""
    made = Pods()
    made.ask(frozenset(rules))
    for asked in pod_watches(rules):
        found = ((NamespaceName("team-a"), name, labels) for name, labels in pods.items())
        matches = tuple((space, name, matched(asked.rules, labels)) for space, name, labels in found)
        made.apply(PodsReplaced(asked, tuple(one for one in matches if one[2]), 1))
    return made


def matched(rules: tuple[PodRule, ...], labels: Texts) -> int:
    return sum(1 << number for number, rule in enumerate(rules) if fits(rule.selector, labels))


def fits(selector: Selector, pairs: Texts) -> bool:
    """Evaluate a selector the long way round."""
    answers = {
        Operator.IN: lambda term: pairs.get(term.key) in term.values,
        Operator.NOT_IN: lambda term: pairs.get(term.key) not in term.values,
        Operator.EXISTS: lambda term: term.key in pairs,
        Operator.DOES_NOT_EXIST: lambda term: term.key not in pairs,
    }
    return all(answers[term.operator](term) for term in selector.requirements)


# yes, no, not known


@pytest.mark.parametrize(
    ("spec", "pods", "answer"),
    [
        (BY_PODS, NO_PODS, "not known"),
        (BY_PODS, known((WEB,), a={"app": "web"}), "yes"),
        (BY_PODS, known((WEB,), a={"app": "db"}), "no"),
        (policy(pods=[WEB]), NO_PODS, "yes"),
        (policy(pods=[WEB]), known((WEB,)), "yes"),
        (policy(names=[], pods=[WEB], exclude=["team-a"]), known((WEB,), a={"app": "web"}), "no"),
        (policy(names=[], pods=[WEB, EVERY]), known((WEB,), a={"app": "web"}), "yes"),
        (policy(names=[], pods=[WEB, EVERY]), known((WEB,), a={"app": "db"}), "not known"),
        (policy(names=[]), NO_PODS, "no"),
        (policy(names=[], pods=[EVERY]), known((EVERY,), a={}), "yes"),
    ],
)
def test_pods_select_beside_everything_else_and_exclusions_win(spec: Policy, pods: Pods, answer: str) -> None:
    assert ANSWERS[chosen(spec, namespace(), pods)] == answer


def test_a_namespace_that_asks_to_be_left_alone_is_not_selected_by_its_pods() -> None:
    left_alone = namespace(annotations={"imps-multi.io/ignore": "true"})
    assert chosen(BY_PODS, left_alone, known((WEB,), a={"app": "web"})) is False


@pytest.mark.parametrize(
    ("spec", "pods", "reason"),
    [
        (BY_PODS, NO_PODS, "not known: the pods for namespacesWithPods.labels[0] (app=web) could not be listed"),
        (
            policy(names=[], pods=[NOTED, WEB]),
            known((WEB,), **{"web-1": {"app": "web"}}),
            "selected by namespacesWithPods.labels[0] (app=web): pod web-1 matches",
        ),
        (BY_PODS, known((WEB,)), "not selected: no unfinished pod in it matches a rule under namespacesWithPods"),
        (
            policy(names=["other"], pods=[WEB]),
            known((WEB,)),
            (
                "not selected: no rule under namespaces matches it, "
                "no unfinished pod in it matches a rule under namespacesWithPods"
            ),
        ),
        (policy(pods=[WEB]), known((WEB,), a={"app": "web"}), 'selected by namespaces.names[0] "team-*"'),
        (
            policy(pods=[WEB], exclude=["team-a"]),
            known((WEB,), a={"app": "web"}),
            'not selected: namespaces.exclude[0] "team-a" excludes it',
        ),
    ],
)
def test_the_reason_names_the_rule(spec: Policy, pods: Pods, reason: str) -> None:
    assert reason_selected(spec, namespace(), pods) == reason


# against looking at every pod


def a_rule(die: Random) -> PodRule:
    terms = [
        Requirement(die.choice("ab"), die.choice((Operator.IN, Operator.NOT_IN)), frozenset(die.choice("xy")))
        if die.random() < 0.6
        else Requirement(die.choice("ab"), die.choice((Operator.EXISTS, Operator.DOES_NOT_EXIST)))
        for _ in range(die.randrange(3))
    ]
    return PodRule(die.choice((PodField.LABELS, PodField.ANNOTATIONS)), Selector(tuple(terms)))


def a_pod(die: Random) -> tuple[Texts, Texts]:
    labels = {key: die.choice("xyz") for key in "ab" if die.random() < 0.5}
    return labels, {key: die.choice("xyz") for key in "ab" if die.random() < 0.5}


def selected_by_hand(spec: Policy, name: str, pods: list[tuple[Texts, Texts]]) -> bool:
    """Evaluate a policy as IMPS describes it."""
    if any(glob_match(one, name) for one in spec.namespaces.exclude):
        return False
    if any(glob_match(one, name) for one in spec.namespaces.names):
        return True
    return any(
        fits(rule.selector, labels if rule.field is PodField.LABELS else annotations)
        for rule in spec.pods.rules
        for labels, annotations in pods
    )


@settings(max_examples=500)
@given(dice)
def test_the_index_selects_what_looking_at_every_pod_selects(die: Random) -> None:
    rules = tuple(a_rule(die) for _ in range(die.randrange(1, 5)))
    selection = NamespaceSelection(names=die.choice(((), ("team-a",))), exclude=die.choice(((), (), ("team-a",))))
    spec = structs.replace(policy(), namespaces=selection, pods=PodSelection(rules))
    pods = [a_pod(die) for _ in range(die.randrange(3))]
    index = Pods()
    index.ask(frozenset(rules))
    for asked in index.watches:
        found = tuple(
            (NamespaceName("team-a"), f"pod-{number}", bits)
            for number, (labels, annotations) in enumerate(pods)
            if (
                bits := sum(
                    1 << place
                    for place, rule in enumerate(asked.rules)
                    if fits(rule.selector, labels if rule.field is PodField.LABELS else annotations)
                )
            )
        )
        index.apply(PodsReplaced(asked, found, 1))
    assert chosen(spec, namespace("team-a"), index) is selected_by_hand(spec, "team-a", pods)


# where pods are looked at


def test_pods_are_asked_for_only_where_a_policy_that_applies_asks() -> None:
    spec = policy(pods=[WEB], clusters=ClusterSelection(names=("prod-*",)))
    there = world(resolved(spec), resolved(policy("q", pods=[NOTED], clusters=ClusterSelection())))
    assert view(there, ClusterSettings(CLUSTER), hub=HUB).pod_rules == {WEB}
    elsewhere = structs.replace(ClusterSettings(CLUSTER), name=type(CLUSTER)("edge"))
    assert view(there, elsewhere, hub=HUB).pod_rules == frozenset()
