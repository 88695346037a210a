"""The role of a target cluster as manifests: what imps-multi may do there, and not a verb more.

Pure. Secrets are granted by name, which covers list and watch too where the request has a field selector on that name;
create alone knows no names. GET /version and asking about one's own access are everybody's by Kubernetes' defaults.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from imps_multi.model.validity import dns_label_problem, dns_subdomain_problem

ROLE: Final = "imps-multi-target"
MARKS: Final = {"app.kubernetes.io/name": "imps-multi"}
RBAC: Final = "rbac.authorization.k8s.io"

Account = tuple[str, str]
"""A ServiceAccount's namespace and name."""


def rules(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rules of the ClusterRole."""
    return [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": sorted(names),
            "verbs": ["get", "list", "watch", "update", "patch", "delete"],
        },
    ]


def target_manifests(names: Iterable[str], accounts: Sequence[Account]) -> str:
    """Return namespaces, ServiceAccounts, ClusterRole and ClusterRoleBinding as YAML."""
    import yaml

    documents = [*namespaces(accounts), *service_accounts(accounts), _role(names), _binding(accounts)]
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, default_flow_style=None, width=120)


def accounts_of(texts: Iterable[str]) -> list[Account]:
    """Read ``namespace/name`` texts, each once.

    Raises:
        ValueError: one is none.
    """
    return list(dict.fromkeys(_account(text) for text in texts))


def checked_names(names: Iterable[str]) -> frozenset[str]:
    """Return the names, all of which can be a Secret's.

    Raises:
        ValueError: one cannot.
    """
    checked = frozenset(names)
    for name in sorted(checked):
        problem = dns_subdomain_problem(name)
        if problem is not None:
            raise ValueError(f'"{name}" is no name of a Secret: {problem}')
    return checked


def _account(text: str) -> Account:
    namespace, slash, name = text.partition("/")
    problem = "write NAMESPACE/NAME" if not slash else dns_label_problem(namespace) or dns_subdomain_problem(name)
    if problem is not None:
        raise ValueError(f'"{text}" is no ServiceAccount: {problem}')
    return namespace, name


def namespaces(accounts: Iterable[Account]) -> list[dict[str, Any]]:
    """Return the namespaces of these, each once."""
    names = dict.fromkeys(namespace for namespace, _ in accounts)
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]


def service_accounts(accounts: Iterable[Account]) -> list[dict[str, Any]]:
    """Return the ServiceAccounts."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace, "labels": dict(MARKS)},
        }
        for namespace, name in accounts
    ]


def _role(names: Iterable[str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": ROLE, "labels": dict(MARKS)},
        "rules": rules(names),
    }


def _binding(accounts: Iterable[Account]) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": ROLE, "labels": dict(MARKS)},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": ROLE},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name} for namespace, name in accounts],
    }
