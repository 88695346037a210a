"""Does a policy select a namespace, the pods in it included? Yes, no, or not known yet; and why.

Pure. ``namespaces`` and ``namespacesWithPods`` are ORed, as in IMPS; ``namespaces.exclude`` and the namespace's own
ignore annotation win over both. Asked by ``view`` for every namespace that is planned, and by ``plan`` for the reason.
"""

from collections.abc import Mapping
from typing import Protocol

from imps_multi.model.matching import (
    namespace_excluded,
    namespace_included,
    selector_matches,
    selector_text,
    why_namespace,
)
from imps_multi.model.names import NamespaceName
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.pods import PodsAsked
from imps_multi.model.policy import Policy
from imps_multi.model.selection import PodField, PodRule


class PodsThere(Protocol):
    """What is known of pods; ``pods_fold.Pods`` is one."""

    def holds(self, rule: PodRule, namespace: NamespaceName) -> bool | None:
        """Say whether an unfinished pod there matches a rule; None where that is not known."""

    def example(self, rule: PodRule, namespace: NamespaceName) -> str | None:
        """Name one pod that matches."""


class NoPods:
    """Nothing is known of any pod."""

    def holds(self, rule: PodRule, namespace: NamespaceName) -> bool | None:  # noqa: ARG002 - it is never known
        """Not known."""
        return None

    def example(self, rule: PodRule, namespace: NamespaceName) -> str | None:  # noqa: ARG002 - it is never known
        """Not known."""
        return None


NO_PODS = NoPods()


def chosen(policy: Policy, record: NamespaceRecord, pods: PodsThere) -> bool | None:
    """Say whether a policy selects a namespace; None where only pods that are not known yet could tell."""
    if namespace_excluded(policy.namespaces, record):
        return False
    if namespace_included(policy.namespaces, record):
        return True
    known: bool | None = False
    for rule in policy.pods.rules:
        holds = pods.holds(rule, record.name)
        if holds:
            return True
        known = None if holds is None else known
    return known


def only_pods_could(policy: Policy, record: NamespaceRecord) -> bool:
    """Say whether nothing but pods can select a namespace."""
    return bool(policy.pods.rules) and not namespace_included(policy.namespaces, record)


def reason_selected(policy: Policy, record: NamespaceRecord, pods: PodsThere) -> str:
    """Say which rule selects a namespace, or what keeps it out, in the manifest's own terms."""
    selection = policy.namespaces
    included, rules = namespace_included(selection, record), policy.pods.rules
    if included or namespace_excluded(selection, record) or not rules:
        return why_namespace(selection, record)
    for number, rule in enumerate(rules):
        if pods.holds(rule, record.name):
            return f"selected by {_rule_text(policy, number)}: pod {pods.example(rule, record.name)} matches"
    unknown = [number for number, rule in enumerate(rules) if pods.holds(rule, record.name) is None]
    if unknown:
        return f"not known: the pods for {_rule_text(policy, unknown[0])} could not be listed"
    rest = f"{why_namespace(selection, record)}, " if _has_rules(policy) else "not selected: "
    return f"{rest}no unfinished pod in it matches a rule under namespacesWithPods"


def rules_matched(asked: PodsAsked, labels: Mapping[str, str], annotations: Mapping[str, str]) -> int:
    """Return which rules of a watch a pod matches, as a number: bit N for rule N."""
    matches = 0
    for number, rule in enumerate(asked.rules):
        pairs = labels if rule.field is PodField.LABELS else annotations
        if selector_matches(rule.selector, pairs):
            matches |= 1 << number
    return matches


def _has_rules(policy: Policy) -> bool:
    return bool(policy.namespaces.names or policy.namespaces.labels or policy.namespaces.annotations)


def _rule_text(policy: Policy, number: int) -> str:
    rule = policy.pods.rules[number]
    place = [one for one in policy.pods.rules if one.field is rule.field].index(rule)
    return f"namespacesWithPods.{rule.field.value}[{place}] ({selector_text(rule.selector)})"
