"""One etcd for the whole bed, in memory as far as it goes: nothing of it outlives the test run.

Feeds the bed, which gives every API server a prefix of its own in it.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.realcluster.ports import free_port
from tests.realcluster.process import Guardian, Server, ServerFailedError

START_TRIES = 5


class Etcd:
    """A running etcd."""

    def __init__(self, binary: Path, directory: Path, guardian: Guardian) -> None:
        self._binary = binary
        self._directory = directory
        self.server = Server("etcd", log=directory / "etcd.log", guardian=guardian)
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it answers; another port is tried where somebody was faster."""
        for attempt in range(1, START_TRIES + 1):
            client, peer = free_port(), free_port()
            self.url = f"http://127.0.0.1:{client}"
            self.server.start(self._command(f"http://127.0.0.1:{peer}", self._directory / f"data-{attempt}"))
            try:
                self.server.await_ready(self._healthy)
            except ServerFailedError:
                self.server.kill()
                if attempt == START_TRIES or "address already in use" not in self.server.log_tail():
                    raise
            else:
                return

    def compact(self) -> None:
        """Forget all history: a read or a watch from an older resourceVersion is now told that it has expired."""
        revision = self._call("/v3/maintenance/status")["header"]["revision"]
        self._call("/v3/kv/compaction", {"revision": revision, "physical": True})

    def _command(self, peer_url: str, data: Path) -> list[str]:
        return [
            str(self._binary),
            f"--data-dir={data}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def _healthy(self) -> bool:
        try:
            return bool(self._call("/health", method="GET").get("health") == "true")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _call(self, path: str, body: Mapping[str, object] | None = None, *, method: str = "POST") -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}{path}", method=method)  # noqa: S310 - our own http URL
        request.data = None if method == "GET" else json.dumps(body or {}).encode()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=5) as response:
            parsed: dict[str, Any] = json.load(response)
        return parsed
