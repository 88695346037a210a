"""A ValidatingAdmissionPolicy that narrows what RBAC cannot: a role that may create Secrets may create any.

Pure. With it, imps-multi's ServiceAccount creates Secrets of the one type and of the given names only (Kubernetes 1.30
and newer, KEP-3488). Everybody else's requests do not meet its condition and cost nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from imps_multi.cli.role import MARKS, ROLE, Account
from imps_multi.model.names import DOCKERCONFIGJSON_TYPE

GROUP: Final = "admissionregistration.k8s.io"
_META: Final = {"name": ROLE, "labels": dict(MARKS)}


def admission_manifests(names: Iterable[str], accounts: Sequence[Account]) -> str:
    """Return policy and binding as YAML."""
    import yaml

    documents = [_policy(sorted(names), accounts), _binding()]
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, default_flow_style=False, width=120)


def _policy(names: Sequence[str], accounts: Sequence[Account]) -> dict[str, Any]:
    users = _list(f"system:serviceaccount:{namespace}:{name}" for namespace, name in accounts)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": dict(_META),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "imps-multi", "expression": f"request.userInfo.username in {users}"}],
            "validations": [
                {
                    "expression": f"has(object.type) && object.type == '{DOCKERCONFIGJSON_TYPE}'",
                    "message": f"imps-multi creates Secrets of type {DOCKERCONFIGJSON_TYPE} only",
                },
                {
                    "expression": f"has(object.metadata.name) && object.metadata.name in {_list(names)}",
                    "message": f"imps-multi creates Secrets of these names only: {', '.join(names)}; "
                    "print the policy again for a new one",
                },
            ],
        },
    }


def _binding() -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": dict(_META),
        "spec": {"policyName": ROLE, "validationActions": ["Deny"]},
    }


def _list(texts: Iterable[str]) -> str:
    """Write a list in CEL; names of Kubernetes hold no quotes."""
    quoted = (f"'{text}'" for text in texts)
    return f"[{', '.join(quoted)}]"
