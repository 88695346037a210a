"""When what the service wrote became visible: a watch of one Secret name on one cluster, on a thread of its own.

Feeds the tests that measure latencies.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.e2e.manifests import PULL
from tests.realcluster.cluster import RealCluster

PATH = "/api/v1/secrets?watch=true&timeoutSeconds=600&fieldSelector=metadata.name%3D{}&resourceVersion={}"


class Arrivals:
    """Every event after the start with its time; a context manager."""

    def __init__(self, cluster: RealCluster, name: str = PULL) -> None:
        context = ssl.create_default_context(cadata=cluster.ca_pem.decode())
        self._connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=600)
        self._headers = {"Authorization": f"Bearer {cluster.admin_token}"}
        listed = cluster.client().get("/api/v1/secrets", limit="1")
        self._path = PATH.format(name, listed["metadata"]["resourceVersion"])
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._response: http.client.HTTPResponse | None = None
        self.events: list[tuple[float, str, str]] = []
        """Time, kind of event and namespace."""

    def __enter__(self) -> Self:
        self._connection.request("GET", self._path, headers=self._headers)
        self._response = self._connection.getresponse()
        assert self._response.status == http.client.OK
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection.sock is not None
        with suppress(OSError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def first(self, kind: str) -> dict[str, float]:
        """Return when each namespace saw its first event of a kind."""
        found: dict[str, float] = {}
        for at, what, namespace in list(self.events):
            if what == kind:
                found.setdefault(namespace, at)
        return found

    def _follow(self) -> None:
        assert self._response is not None
        with suppress(OSError, ValueError, http.client.HTTPException):
            while line := self._response.readline():
                event = json.loads(line)
                self.events.append((time.monotonic(), event["type"], event["object"]["metadata"]["namespace"]))
