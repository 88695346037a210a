"""Secrets as a store would give them, for the demonstration's witness."""

import base64

from imps_multi.demo.scenery import DOCKER_HUB, ECR_HOST, LOGIN, SECRET, docker_config

OURS = {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": "demo"}


def secret(
    namespace: str, password: str, *, name: str = SECRET, labels: dict[str, str] | None = None, kind: str = ""
) -> dict[str, object]:
    """Return a Secret that is right, unless told otherwise."""
    content = docker_config({ECR_HOST: ("AWS", password), DOCKER_HUB: LOGIN})
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{namespace}",
            "labels": OURS if labels is None else labels,
        },
        "type": kind or "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(content.encode()).decode()},
    }
