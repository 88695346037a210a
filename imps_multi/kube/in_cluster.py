"""The connection of a process that runs in a pod, from its service account's mount.

Blocks (it reads the CA). The token is read anew while running, since the kubelet renews it. Feeds the fleet.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from imps_multi.kube.connection import Connection, TokenFile
from imps_multi.kube.materials import KubeconfigError, Materials

MOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def in_cluster_connection(*, environment: Mapping[str, str] | None = None, mount: Path = MOUNT) -> Connection:
    """Return how this pod's own cluster is reached, never through a proxy. Raises KubeconfigError outside of a pod."""
    variables = os.environ if environment is None else environment
    host, port = variables.get("KUBERNETES_SERVICE_HOST", ""), variables.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise KubeconfigError(mount, "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    materials = Materials(mount / "token", "service account")
    return Connection(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca=materials.content("ca.crt", data="", file="ca.crt"),
        credential=TokenFile(str(mount / "token")),
        place="the pod's service account",
    )


def in_cluster_files(mount: Path = MOUNT) -> tuple[Path, ...]:
    """Return the files that the connection is made of, for a watcher."""
    return (mount / "ca.crt", mount / "token")
