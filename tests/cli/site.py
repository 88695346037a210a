"""Clusters in a process of their own, with a hub and a configuration for them: for commands that look at a fleet."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "MARKED-s3cr3t"
SOURCE = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: dockerhub, namespace: registry-access}}
type: kubernetes.io/dockerconfigjson
stringData:
  .dockerconfigjson: '{{"auths": {{"registry.example.com": {{"username": "u", "password": "{PASSWORD}"}}}}}}'
"""
POLICY = """\
apiVersion: images.banzaicloud.io/v1alpha1
kind: ImagePullSecret
metadata: {name: NAME}
spec:
  registry: {credentials: [{name: dockerhub, namespace: registry-access}]}
  target:
    clusters: {names: ["*"]}
    namespaces: {names: ["NAMESPACES"]}
    secret: {name: registry-pull}
"""
CONFIG = """\
hub: {id: mgmt, directory: ./hub, stateDirectory: ./state}
clusters:
  - {kubeconfig: ./fleet.kubeconfig, contexts: ["*"], labels: {env: prod}}
telemetry: {metricsAddress: "", healthAddress: "", statusAddress: "127.0.0.1:0"}
"""


def policy(name: str = "team-a", namespaces: str = "ns-*") -> str:
    """Write a policy's manifest."""
    return POLICY.replace("NAMESPACES", namespaces).replace("NAME", name)


@dataclass(frozen=True)
class Site:
    """Where everything is."""

    root: Path
    urls: tuple[str, ...]
    control: str

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "imps-multi.yaml"

    def call(self, method: str, path: str, body: object = None, *, cluster: int = 0) -> Any:
        """Send a request to a cluster."""
        return _call(method, self.urls[cluster] + path, body)

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own; no output of any may hold the password."""
        command = [sys.executable, "-m", "imps_multi", *words]
        done = subprocess.run(  # noqa: S603  # our own words
            command, input=given, text=True, capture_output=True, cwd=self.root, check=False, timeout=60
        )
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def fault(self, cluster: str, **fault: object) -> None:
        """Break a cluster."""
        _call("POST", f"{self.control}/{cluster}/faults", fault)


def _call(method: str, url: str, body: object) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310  # a sandbox of our own
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # as above
        return json.loads(answer.read() or b"null")


@contextmanager
def standing(root: Path, *, clusters: int = 2, namespaces: int = 4) -> Iterator[Site]:
    """Start clusters; they end with the block."""
    (root / "hub").mkdir()
    (root / "hub" / "source.yaml").write_text(SOURCE)
    (root / "hub" / "team-a.yaml").write_text(policy())
    (root / "imps-multi.yaml").write_text(CONFIG)
    words = ["--clusters", clusters, "--namespaces", namespaces, "--kubeconfig", root / "fleet.kubeconfig"]
    command = [sys.executable, "-m", "imps_multi.sandbox", *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # our own
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        try:
            yield Site(root, tuple(one["url"] for one in told["clusters"]), told["control"])
        finally:
            process.terminate()
            process.wait(timeout=10)
