"""A hundred namespaces, fifty of which a policy selects, each by another of the ways there are; and that policy's rule.

Pure but for ``populate``, which creates them. Feeds the tests of a whole fleet.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tests.realcluster.cluster import RealCluster

LONG = "any value: of {any} length, with ünïcode and a = sign; " * 5
TARGET: Mapping[str, object] = MappingProxyType(
    {
        "names": ["team-*", "shop", "istio-system"],
        "labels": [
            {"matchLabels": {"pull": "yes"}},
            {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "api"]}]},
        ],
        "annotations": [{"matchAnnotations": {"example.com/registry": LONG}}],
        "exclude": ["*-legacy"],
    }
)
"""The namespaces of the policy."""


def _many(prefix: str, count: int, suffix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}-{number:02}{suffix}" for number in range(count))


GLOB, EXACT = _many("team", 14), ("shop", "istio-system")
LABELLED, EXPRESSION, ANNOTATED = _many("app", 12), _many("svc", 10), _many("ann", 12)
EXCLUDED, OTHER_LABEL = _many("team", 10, "-legacy"), _many("no", 10)
OTHER_TIER, OTHER_ANNOTATION, IGNORED = _many("db", 10), _many("note", 10), _many("ignored", 10)

SELECTED = frozenset(GLOB + EXACT + LABELLED + EXPRESSION + ANNOTATED)
OTHERS = frozenset(EXCLUDED + OTHER_LABEL + OTHER_TIER + OTHER_ANNOTATION + IGNORED)


def populate(cluster: RealCluster) -> None:
    """Create the hundred namespaces."""
    cluster.create_namespaces((*GLOB, *EXACT))
    cluster.create_namespaces(LABELLED, labels={"pull": "yes", "unrelated": "x"})
    cluster.create_namespaces(EXPRESSION, labels={"tier": "web"})
    cluster.create_namespaces(ANNOTATED, annotations={"example.com/registry": LONG})
    cluster.create_namespaces(EXCLUDED, labels={"pull": "yes"})
    cluster.create_namespaces(OTHER_LABEL, labels={"pull": "no"})
    cluster.create_namespaces(OTHER_TIER, labels={"tier": "db"})
    cluster.create_namespaces(OTHER_ANNOTATION, annotations={"example.com/registry": LONG.strip()})
    cluster.create_namespaces(IGNORED, labels={"pull": "yes"}, annotations={"imps-multi.io/ignore": "true"})
