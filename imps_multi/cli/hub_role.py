"""The roles of a hub's cluster as manifests: what imps-multi may do there, and not a verb more.

Pure. Source Secrets may be read in the source namespaces alone, by a Role in each; only where those are configured by
globs, which RBAC knows nothing of, in the whole cluster. The namespace of the state is imps-multi's own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from imps_multi.cli.role import MARKS, RBAC, Account, namespaces, service_accounts
from imps_multi.model.validity import dns_label_problem

HUB_ROLE: Final = "imps-multi-hub"
SOURCES_ROLE: Final = "imps-multi-hub-sources"
STATE_ROLE: Final = "imps-multi-hub-state"
EVENTS_ROLE: Final = "imps-multi-hub-events"
DEFINITION: Final = "imagepullsecrets.images.banzaicloud.io"
HELD: Final = "imps-multi-held"
GLOB_SIGNS: Final = frozenset("*?[")
EVERYWHERE: Final = """\
# sources.namespaces of the configuration has globs ({globs}), so Secrets may be read in every namespace of the hub.
# Name the namespaces there instead (sources: {{namespaces: [registry-access]}}), and print the role again: it then has
# a Role in each of them, and no right to any other Secret.
"""
_POLICIES: Final = "images.banzaicloud.io"

Rules = list[dict[str, Any]]


def hub_manifests(*, namespace: str, sources: Sequence[str], accounts: Sequence[Account]) -> str:
    """Return everything as YAML; ``sources`` are the source namespaces, perhaps globs."""
    import yaml

    globs = [name for name in sources if is_glob(name)]
    named = () if globs else dict.fromkeys(sources)
    documents = [
        *namespaces([*accounts, (namespace, "")]),
        *service_accounts(accounts),
        _role(HUB_ROLE, hub_rules(everywhere=bool(globs)), accounts),
        *(_role(SOURCES_ROLE, source_rules(), accounts, space) for space in named),
        _role(STATE_ROLE, state_rules(), accounts, namespace),
        _role(EVENTS_ROLE, event_rules(), accounts, "default"),
    ]
    flat = [one for part in documents for one in (part if isinstance(part, list) else [part])]
    text = yaml.safe_dump_all(flat, sort_keys=False, explicit_start=True, default_flow_style=None, width=120)
    return (EVERYWHERE.format(globs=", ".join(globs)) if globs else "") + str(text)


def is_glob(name: str) -> bool:
    """Say whether a namespace is meant by a pattern."""
    return not GLOB_SIGNS.isdisjoint(name)


def checked_namespaces(names: Iterable[str]) -> list[str]:
    """Return the names, each of which can be a namespace's, or is a glob.

    Raises:
        ValueError: one cannot.
    """
    checked = list(dict.fromkeys(names))
    for name in checked:
        if not is_glob(name) and (problem := dns_label_problem(name)) is not None:
            raise ValueError(f'"{name}" is no namespace: it {problem}')
    return checked


def hub_rules(*, everywhere: bool) -> Rules:
    """Return what is granted for the whole cluster."""
    secrets = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}] if everywhere else []
    return [
        {"apiGroups": [_POLICIES], "resources": ["imagepullsecrets"], "verbs": ["list", "watch"]},
        {"apiGroups": [_POLICIES], "resources": ["imagepullsecrets/status"], "verbs": ["update"]},
        {
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "resourceNames": [DEFINITION],
            "verbs": ["get"],
        },
        *secrets,
    ]


def source_rules() -> Rules:
    """Return what is granted in a source namespace."""
    return [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}]


def state_rules() -> Rules:
    """Return what is granted in the namespace of the state."""
    return [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "create", "update", "delete"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [HELD], "verbs": ["get", "patch"]},
    ]


def event_rules() -> Rules:
    """Return what is granted where Events on policies are kept."""
    return [{"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]


def _role(name: str, rules: Rules, accounts: Sequence[Account], namespace: str = "") -> list[dict[str, Any]]:
    """Return a Role and its binding, of the whole cluster where no namespace is given."""
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": dict(MARKS)}
    subjects = [{"kind": "ServiceAccount", "namespace": space, "name": account} for space, account in accounts]
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": subjects,
        },
    ]
