"""Looks at the Secrets of a cluster as a kubelet would, and says what it could log in with.

Independent of the program's own docker config code. Feeds the tests.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from tests.e2e.manifests import PULL
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

TYPE = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"
Logins: TypeAlias = dict[str, tuple[str, str]]


class UnreadableError(AssertionError):
    """A kubelet could not use the Secret."""


def logins(secret: Manifest) -> Logins:
    """Return user and password by registry.

    Raises:
        UnreadableError: the type, the key, the JSON or an ``auth`` is wrong.
    """
    if secret["type"] != TYPE or list(secret["data"]) != [KEY]:
        raise UnreadableError(f"type {secret['type']}, keys {list(secret['data'])}")
    auths = json.loads(base64.b64decode(secret["data"][KEY], validate=True))["auths"]
    return {host: _login(host, entry) for host, entry in auths.items()}


def _login(host: str, entry: Mapping[str, str]) -> tuple[str, str]:
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (binascii.Error, KeyError) as error:
        raise UnreadableError(f"{host}: no base64") from error
    if not (user and colon and password) or (user, password) != (entry["username"], entry["password"]):
        raise UnreadableError(f"{host}: auth is not user:password")
    return user, password


def by_namespace(cluster: RealCluster, name: str = PULL) -> dict[str, Manifest]:
    """Return the Secrets of one name by namespace."""
    return {one["metadata"]["namespace"]: one for one in cluster.secrets(fieldSelector=f"metadata.name={name}")}


def all_logins(cluster: RealCluster, name: str = PULL) -> dict[str, Logins]:
    """Return what every namespace's Secret of that name lets a kubelet log in with."""
    return {namespace: logins(secret) for namespace, secret in by_namespace(cluster, name).items()}


def uids(clusters: Iterable[RealCluster], name: str = PULL) -> dict[tuple[str, str], str]:
    """Return the UIDs of the Secrets of one name by cluster and namespace."""
    return {
        (cluster.name, namespace): secret["metadata"]["uid"]
        for cluster in clusters
        for namespace, secret in by_namespace(cluster, name).items()
    }
