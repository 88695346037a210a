"""What a user lays down for the program: the hub directory, kubeconfigs, the configuration file, the state directory.

Everything is written as JSON, which is YAML. Feeds ``program``, which runs the program on it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.realcluster.kubeconfig import Kubeconfig, joined
from tests.realcluster.ports import free_port

SERVICE = "service"
HUB_ID = "e2e"


class Site:
    """One installation."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hub = root / "hub"
        self.state = root / "state"
        self.config = root / "imps-multi.yaml"
        self.kubeconfig = root / "fleet.kubeconfig"
        self.writes = root / "writes.log"
        """The program's own audit log."""
        self.output = root / "output"
        """What each of its processes printed."""
        self.ports = {name: free_port() for name in ("metrics", "health", "status")}
        for directory in (self.hub, self.output):
            directory.mkdir(parents=True)

    def configure(self, **changes: object) -> None:
        """Write the configuration file; each argument replaces a top-level part of it."""
        given: dict[str, object] = {
            "hub": {"id": HUB_ID, "directory": "./hub", "stateDirectory": "./state"},
            "clusters": [{"kubeconfig": "./fleet.kubeconfig", "contexts": ["*"]}],
            "sources": {"endpoints": ["127.0.0.1"]},
            "telemetry": self.telemetry(),
        }
        _write(self.config, json.dumps(given | changes, indent=2))

    def telemetry(self, **changes: str) -> dict[str, str]:
        """Return that part of the configuration: all is said, on ports of our own."""
        addresses = {f"{name}Address": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        return {**addresses, "logFormat": "json", "logLevel": "debug", "auditLog": "./writes.log", **changes}

    def reach(self, clusters: Iterable[RealCluster]) -> None:
        """Write the kubeconfig with one context for each cluster, as the service's user."""
        self.reach_by(*(cluster.kubeconfig(SERVICE) for cluster in clusters))

    def reach_by(self, *kubeconfigs: Kubeconfig) -> None:
        """Write the kubeconfig from several of one context."""
        _write(self.kubeconfig, json.dumps(joined(*kubeconfigs), indent=2))
        self.kubeconfig.chmod(0o600)

    def put(self, file: str, *manifests: Manifest) -> None:
        """Write one file of the hub, whole or not at all."""
        _write(self.hub / file, "\n---\n".join(json.dumps(manifest, indent=2) for manifest in manifests))

    def put_text(self, file: str, text: str) -> None:
        """Write one file of the hub as it stands."""
        _write(self.hub / file, text)

    def drop(self, file: str) -> None:
        """Take one file out of the hub."""
        (self.hub / file).unlink()

    def written(self) -> list[dict[str, Any]]:
        """Return what the program's own audit log says."""
        lines = self.writes.read_text().splitlines() if self.writes.exists() else []
        return [json.loads(line) for line in lines]

    def output_file(self, command: str, kind: str) -> Path:
        """Return a new file for what a process prints."""
        return self.output / f"{len(list(self.output.iterdir())):03}-{command}.{kind}"

    def state_files(self) -> Mapping[str, bytes]:
        """Return what lies in the state directory."""
        files = sorted(path for path in self.state.rglob("*") if path.is_file())
        return {str(path.relative_to(self.state)): path.read_bytes() for path in files}


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    os.replace(beside, path)  # noqa: PTH105 - the one call whose atomicity is documented
