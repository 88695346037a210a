"""Empties a cluster between tests: a wipe takes well under a second, a new API server six.

Feeds ``RealCluster``. It does what the namespace controller of a full cluster would, by hand.
"""

from collections.abc import Iterable

from tests.realcluster.client import Client, Manifest, in_bulk

KEPT_BY_THE_SERVER = frozenset({"kube-node-lease", "kube-public", "kube-system"})
SYSTEM_NAMESPACES = KEPT_BY_THE_SERVER | {"default"}
CONTENTS = (
    "/api/v1/secrets",
    "/api/v1/pods",
    "/api/v1/serviceaccounts",
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/events.k8s.io/v1/events",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)
POLICIES = "/apis/images.banzaicloud.io/v1alpha1/imagepullsecrets"
GRANTS = (
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
)
OK = 200
NOT_BUILT_IN = "kubernetes.io/bootstrapping!=rbac-defaults"


def wipe(admin: Client) -> None:
    """Remove every namespace, object and right that a test brought along."""
    for collection in GRANTS:
        admin.delete(collection, labelSelector=NOT_BUILT_IN)
    if admin.ask("GET", POLICIES).status == OK:  # a definition that a test installed stays for the next
        admin.delete(POLICIES)
    for collection in CONTENTS:
        in_bulk(admin.delete, _per_namespace(collection, admin.items(collection)))
    namespaces = {item["metadata"]["name"] for item in admin.items("/api/v1/namespaces")}
    in_bulk(lambda name: _let_go(admin, name), sorted(namespaces - SYSTEM_NAMESPACES))


def remove_namespace(admin: Client, name: str) -> None:
    """Empty one namespace and let it go."""
    for collection in CONTENTS:
        root, resource = collection.rsplit("/", 1)
        admin.delete(f"{root}/namespaces/{name}/{resource}")
    _let_go(admin, name)


def _let_go(admin: Client, name: str) -> None:
    path = f"/api/v1/namespaces/{name}"
    admin.delete(path)
    left = admin.ask("GET", path).json
    if left.get("kind") == "Namespace":
        admin.put(f"{path}/finalize", {**left, "spec": {"finalizers": []}})


def _per_namespace(collection: str, items: Iterable[Manifest]) -> list[str]:
    root, resource = collection.rsplit("/", 1)
    namespaces = {item["metadata"]["namespace"] for item in items}
    return [f"{root}/namespaces/{name}/{resource}" for name in sorted(namespaces - KEPT_BY_THE_SERVER)]
