"""Target clusters in a process of their own, and the remote control of that process.

Starts ``python -m imps_multi.sandbox`` on the server's core, with TLS. Used by the workloads.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.machine import SERVER, pinned
from tests.realcluster.pki import Authority, write

Document = dict[str, Any]
SEEDING: Final = 120.0
"""Seconds that a big fleet may take to be seeded."""
TOKEN: Final = "t" * 900
"""As long as the tokens that real clusters ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One target cluster."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a whole fleet was asked: requests by verb and resource, answers by code."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def writes(self) -> int:
        """Requests that could have changed an object."""
        verbs = ("create", "update", "patch", "delete")
        return sum(number for request, number in self.requests.items() if request.split()[0] in verbs)

    def __sub__(self, earlier: "Counts") -> "Counts":
        return Counts(requests=self.requests - earlier.requests, statuses=self.statuses - earlier.statuses)


class Fleet:
    """Use as a context manager: the clusters run within the block."""

    def __init__(
        self, *, clusters: int, namespaces: int, label: str = "pull=yes", foreign: int = 0, ecr: bool = False
    ) -> None:
        self._options = [f"--clusters={clusters}", f"--namespaces={namespaces}", f"--label={label}"]
        self._options += [f"--foreign-secrets={foreign}", f"--token={TOKEN}"]
        self._options += ["--ecr"] if ecr else []
        self.ecr: Document = {}
        """Where ECR and STS answer, and with which keys, if they were asked for."""
        self._directory = tempfile.TemporaryDirectory(prefix="fleet-")
        self._process: subprocess.Popen[str] | None = None
        self._control = ""
        self.clusters: tuple[Cluster, ...] = ()
        self.kubeconfig = Path(self._directory.name) / "fleet.kubeconfig"
        self.ca = Path(self._directory.name) / "ca.crt"

    def __enter__(self) -> Self:
        directory = Path(self._directory.name)
        authority = Authority("fleet")
        self.ca.write_bytes(authority.pem)
        certificate, key = write(authority.serving(), directory, "serving")
        command = [sys.executable, "-m", "imps_multi.sandbox", *self._options, f"--kubeconfig={self.kubeconfig}"]
        command += [f"--tls-cert={certificate}", f"--tls-key={key}", f"--ca={self.ca}"]
        with pinned(SERVER):
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self._control = told["control"]
        self.ecr = told.get("ecr", {})
        self.clusters = tuple(Cluster(name=one["name"], url=one["url"]) for one in told["clusters"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()  # it ends with its standard input
            self._process.stdout.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def ask(self, path: str = "") -> Any:
        """Return what the control says."""
        with urllib.request.urlopen(f"{self._control}{path}", timeout=SEEDING) as answer:  # noqa: S310 - our own URL
            return json.load(answer)

    def order(self, path: str, document: Document | list[Document]) -> None:
        """Tell the control to do something."""
        body = json.dumps(document).encode()
        request = urllib.request.Request(f"{self._control}{path}", body, method="POST")  # noqa: S310 - as above
        urllib.request.urlopen(request, timeout=SEEDING).close()  # noqa: S310 - as above

    def counts(self) -> Counts:
        """Return the counters of all clusters, summed."""
        told = self.ask("/counts")
        return Counts(requests=Counter(told["counts"]), statuses=Counter(told["statuses"]))

    def secrets(self, name: str) -> dict[tuple[str, str], Document]:
        """Return every Secret of a name by cluster and namespace."""
        found: dict[tuple[str, str], Document] = {}
        for cluster in self.clusters:
            for secret in self.ask(f"/{cluster.name}/objects/Secret"):
                if secret["metadata"]["name"] == name:
                    found[cluster.name, secret["metadata"]["namespace"]] = secret
        return found
