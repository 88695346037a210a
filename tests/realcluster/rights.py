"""Gives a user of the bed the rights that printed manifests grant, as an administrator does with ``kubectl apply``.

Feeds ``RealCluster.authorize``.
"""

import time
from collections.abc import Iterable

from tests.realcluster.client import Client, Manifest

API = "rbac.authorization.k8s.io/v1"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
IN_FORCE_WITHIN = 30.0
POLL = 0.02


def authorize(admin: Client, user_client: Client, user: str, manifests: Iterable[Manifest]) -> None:
    """Apply the roles, bind each to the user, and return once the API server honours them.

    Bindings among the manifests keep their names and roles but get the user as their only subject; a ClusterRole that
    none of them binds is bound for the whole cluster.

    Raises:
        TimeoutError: the server does not honour a role.

    """
    given = list(manifests)
    roles = [manifest for manifest in given if manifest["kind"] in {"ClusterRole", "Role"}]
    bindings = [_rebound(manifest, user) for manifest in given if manifest["kind"].endswith("RoleBinding")]
    bound = {binding["roleRef"]["name"] for binding in bindings}
    bindings += [_binding(role, user) for role in roles if role["metadata"]["name"] not in bound]
    for manifest in (*roles, *bindings):
        admin.apply(manifest)
    for role in roles:
        _await_in_force(user_client, role)


def cluster_role(name: str, *rules: Manifest) -> Manifest:
    """Return a ClusterRole."""
    return {"apiVersion": API, "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}


def rule(resources: str, verbs: str, *, group: str = "", names: Iterable[str] = ()) -> Manifest:
    """Return one rule; resources and verbs are separated by blanks."""
    plain = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return {**plain, "resourceNames": list(names)} if names else plain


def _rebound(binding: Manifest, user: str) -> Manifest:
    return {**binding, "subjects": [_subject(user)]}


def _binding(role: Manifest, user: str) -> Manifest:
    name = role["metadata"]["name"]
    kind = f"{role['kind']}Binding"
    reference = {"apiGroup": API.split("/", maxsplit=1)[0], "kind": role["kind"], "name": name}
    metadata = {**role["metadata"], "name": f"{name}-{user}"}
    subjects = [_subject(user)]
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "roleRef": reference, "subjects": subjects}


def _subject(user: str) -> Manifest:
    return {"apiGroup": API.split("/", maxsplit=1)[0], "kind": "User", "name": user}


def _await_in_force(user_client: Client, role: Manifest) -> None:
    deadline = time.monotonic() + IN_FORCE_WITHIN
    reviews = [_review(granted, role) for granted in role["rules"] if granted.get("resources")]
    while not all(user_client.post(REVIEW, review)["status"]["allowed"] for review in reviews):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the API server does not honour {role['kind']} {role['metadata']['name']}")
        time.sleep(POLL)


def _review(granted: Manifest, role: Manifest) -> Manifest:
    attributes = {
        "namespace": role["metadata"].get("namespace", ""),
        "group": granted["apiGroups"][0],
        "resource": granted["resources"][0].partition("/")[0],
        "subresource": granted["resources"][0].partition("/")[2],
        "verb": granted["verbs"][0],
        "name": next(iter(granted.get("resourceNames", ())), ""),
    }
    spec = {"resourceAttributes": attributes}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
