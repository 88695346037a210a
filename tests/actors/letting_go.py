"""What the tests of removal and of holding share: a brake that holds nothing, and how to see what goes."""

from typing import Any

from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.model.names import UNWANTED_SINCE_ANNOTATION
from tests.actors.fake_cluster import FakeCluster
from tests.actors.stage import HOUR

OPEN = Safety(per_cluster=BrakeLimits(100.0, 1000), fleet=BrakeLimits(100.0, 1000))
DAY = 24 * HOUR


def only(*names: str, **given: Any) -> dict[str, Any]:
    """Return a policy's part that selects these namespaces alone."""
    return {"namespaces": {"names": list(names)}, **given}


def marked(cluster: FakeCluster) -> set[str]:
    """Return the namespaces whose target is marked as unwanted."""
    return {
        namespace
        for (namespace, _), secret in cluster.secrets.items()
        if UNWANTED_SINCE_ANNOTATION in secret["metadata"].get("annotations", {})
    }


def deletes(cluster: FakeCluster) -> int:
    """Count the deletions that worked."""
    return sum(1 for one in cluster.writes if one.verb == "delete" and one.result == "ok")
