"""Where the API server keeps each kind that tests bring along; a kind that is missing here is added here.

Pure; feeds the test client.
"""

from collections.abc import Mapping
from typing import Any

NAMESPACED = {
    "ConfigMap": "configmaps",
    "Event": "events",
    "Lease": "leases",
    "LimitRange": "limitranges",
    "Pod": "pods",
    "ResourceQuota": "resourcequotas",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "ServiceAccount": "serviceaccounts",
}
CLUSTER_WIDE = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
    "ImagePullSecret": "imagepullsecrets",
    "Namespace": "namespaces",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def group_path(api_version: str) -> str:
    """Return ``/api/v1`` or ``/apis/GROUP/VERSION``."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def collection_path(manifest: Mapping[str, Any]) -> str:
    """Return where an object of this kind and namespace is posted."""
    root, kind = group_path(manifest["apiVersion"]), manifest["kind"]
    if kind in CLUSTER_WIDE:
        return f"{root}/{CLUSTER_WIDE[kind]}"
    namespace = manifest["metadata"].get("namespace", "default")
    return f"{root}/namespaces/{namespace}/{NAMESPACED[kind]}"


def object_path(manifest: Mapping[str, Any]) -> str:
    """Return where this object lies."""
    return f"{collection_path(manifest)}/{manifest['metadata']['name']}"
