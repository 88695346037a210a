"""What a policy selects, as values: globs, label selectors, annotation selectors, clusters, namespaces.

Built by ``policy_parse`` from a manifest, read by ``matching``. A value here is valid by construction.
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
