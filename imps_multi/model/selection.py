"""What a policy selects, as values: globs, label selectors, annotation selectors, clusters, namespaces, pods.

Built by ``policy_parse`` from a manifest, read by ``matching`` and ``choosing``. A value here is valid by construction.
"""

import enum

from msgspec import Struct


class Operator(enum.Enum):
    """The operators of a Kubernetes label selector; annotation selectors use the same."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(Struct, frozen=True):
    """One term; ``values`` is empty for Exists and DoesNotExist. ``matchLabels`` becomes IN with one value."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()


class Selector(Struct, frozen=True):
    """Terms that must all hold. No term matches every object, as an empty selector does in Kubernetes and in IMPS."""

    requirements: tuple[Requirement, ...] = ()


class ClusterSelection(Struct, frozen=True):
    """``names`` OR ``labels``, minus ``exclude``. All empty selects none; only ``exclude`` selects all but these."""

    names: tuple[str, ...] = ()
    labels: tuple[Selector, ...] = ()
    exclude: tuple[str, ...] = ()


class NamespaceSelection(Struct, frozen=True):
    """``names`` (globs) OR ``labels`` OR ``annotations``, minus ``exclude`` (globs)."""

    names: tuple[str, ...] = ()
    labels: tuple[Selector, ...] = ()
    annotations: tuple[Selector, ...] = ()
    exclude: tuple[str, ...] = ()


class PodField(enum.Enum):
    """What of a pod a selector looks at; also the name of the list that it stands in."""

    LABELS = "labels"
    ANNOTATIONS = "annotations"


class PodRule(Struct, frozen=True, cache_hash=True):
    """A pod that matches selects its namespace."""

    field: PodField
    selector: Selector


class PodSelection(Struct, frozen=True):
    """Namespaces by the pods in them: any rule will do. Label rules come first, each list in its order."""

    rules: tuple[PodRule, ...] = ()

    @staticmethod
    def of(*, labels: tuple[Selector, ...] = (), annotations: tuple[Selector, ...] = ()) -> "PodSelection":
        """Make one of two lists of selectors."""
        by_label = tuple(PodRule(PodField.LABELS, selector) for selector in labels)
        return PodSelection((*by_label, *(PodRule(PodField.ANNOTATIONS, selector) for selector in annotations)))
