"""The words that everybody uses: typed names, and the marks that a written Secret carries.

Pure constants and types; nothing here decides anything.
"""

from typing import Final, NewType

ClusterName = NewType("ClusterName", str)
NamespaceName = NewType("NamespaceName", str)
SecretName = NewType("SecretName", str)
PolicyName = NewType("PolicyName", str)
HubId = NewType("HubId", str)
RegistryKey = NewType("RegistryKey", str)
"""A key of a docker config's ``auths`` as the source wrote it: a host, with or without a path, a glob, or a URL."""
Uid = NewType("Uid", str)

DOMAIN: Final = "imps-multi.io"
FIELD_MANAGER: Final = "imps-multi"

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "imps-multi"
HUB_LABEL: Final = f"{DOMAIN}/hub"

POLICY_ANNOTATION: Final = f"{DOMAIN}/policy"
DELETION_POLICY_ANNOTATION: Final = f"{DOMAIN}/deletion-policy"
EXPIRES_AT_ANNOTATION: Final = f"{DOMAIN}/expires-at"
UNWANTED_SINCE_ANNOTATION: Final = f"{DOMAIN}/unwanted-since"
LINGER_ANNOTATION: Final = f"{DOMAIN}/linger"
ADOPTED_ANNOTATION: Final = f"{DOMAIN}/adopted"
OUR_ANNOTATIONS: Final = frozenset(
    {
        POLICY_ANNOTATION,
        DELETION_POLICY_ANNOTATION,
        EXPIRES_AT_ANNOTATION,
        UNWANTED_SINCE_ANNOTATION,
        LINGER_ANNOTATION,
        ADOPTED_ANNOTATION,
    }
)
OUR_LABELS: Final = frozenset({MANAGED_BY_LABEL, HUB_LABEL})

IGNORE_ANNOTATION: Final = f"{DOMAIN}/ignore"
SYNC_ANNOTATION: Final = f"{DOMAIN}/sync"
APPROVE_ANNOTATION: Final = f"{DOMAIN}/approve"
REGISTRY_ANNOTATION: Final = f"{DOMAIN}/registry"
ALLOW_POLICIES_ANNOTATION: Final = f"{DOMAIN}/allow-policies"
ALLOW_CLUSTERS_ANNOTATION: Final = f"{DOMAIN}/allow-clusters"
ALLOW_NAMESPACES_ANNOTATION: Final = f"{DOMAIN}/allow-namespaces"

DOCKERCONFIGJSON_TYPE: Final = "kubernetes.io/dockerconfigjson"
DOCKERCONFIGJSON_KEY: Final = ".dockerconfigjson"
POLICY_API_VERSION: Final = "images.banzaicloud.io/v1alpha1"
POLICY_KIND: Final = "ImagePullSecret"

IMPS_OWNER_LABEL: Final = "images.banzaicloud.io/owner-uid"
"""What the IMPS operator marks the Secrets with that it wrote."""
IMPS_LAST_APPLIED: Final = "banzaicloud.com/last-applied"
"""Where IMPS keeps a copy of the whole Secret that it wrote, credentials included."""
