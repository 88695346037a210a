"""A small synchronous Kubernetes client: sets the stage of a test and looks at the world afterwards, as any one user.

Deliberately not the service's own transport: a fault there must not hide itself here. It blocks, so async tests call it
through ``anyio.to_thread.run_sync``; any number of threads may share one. Feeds the cluster's helpers and the tests.
"""

import http.client
import json
import queue
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from tests.realcluster.kinds import collection_path, object_path

Manifest: TypeAlias = dict[str, Any]  # what Kubernetes takes and gives: JSON of any shape
T = TypeVar("T")
R = TypeVar("R")

FIELD_MANAGER = "test-stage"
AT_ONCE = 8  # connections of a bulk call
TIMEOUT = 15.0
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML
DROPPED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class RefusedError(Exception):
    """The API server answered with an error status."""

    def __init__(self, method: str, path: str, answer: "Answer") -> None:
        super().__init__(f"{method} {path}: {answer.status} {answer.reason}: {answer.message}")
        self.status = answer.status
        self.reason = answer.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, whatever its status."""

    status: int
    body: bytes

    @property
    def json(self) -> Manifest:
        """The body as an object; empty where the server sent something else."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def reason(self) -> str:
        """``Status.reason``, such as ``AlreadyExists``."""
        return str(self.json.get("reason", ""))

    @property
    def message(self) -> str:
        """``Status.message``, or the start of whatever came instead."""
        return str(self.json.get("message") or self.body[:200].decode(errors="replace"))


class Client:
    """Requests to one API server as one user."""

    def __init__(self, port: int, *, ca_pem: bytes, token: str | None, timeout: float = TIMEOUT) -> None:
        self._port = port
        self._timeout = timeout
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._context = ssl.create_default_context(cadata=ca_pem.decode())
        self._idle: queue.LifoQueue[http.client.HTTPSConnection] = queue.LifoQueue()

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        while (connection := self._pooled()) is not None:
            connection.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Manifest | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str = "",
    ) -> Answer:
        """Send one request and return the answer, errors too; a connection that was dropped while idle is replaced."""
        target = f"{path}?{urlencode(query)}" if query else path
        payload = None if body is None else json.dumps(body).encode()
        given = {"Content-Type": content_type if payload else "", "Accept": accept}
        headers = self._headers | {name: value for name, value in given.items() if value}
        while (connection := self._pooled()) is not None:
            try:
                return self._exchange(connection, method, target, payload, headers)
            except DROPPED:
                continue
        return self._exchange(self._fresh(), method, target, payload, headers)

    def get(self, path: str, **query: str) -> Manifest:
        """Return what lies at a path. Raises: RefusedError."""
        return self._expect("GET", path, query=query).json

    def items(self, path: str, **query: str) -> list[Manifest]:
        """Return all objects of a collection. Raises: RefusedError."""
        listed: list[Manifest] = self.get(path, **query)["items"]
        return listed

    def create(self, manifest: Manifest) -> Manifest:
        """POST an object. Raises: RefusedError."""
        return self._expect("POST", collection_path(manifest), body=manifest).json

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or change an object by server-side apply, forced. Raises: RefusedError."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = object_path(manifest)
        return self._expect("PATCH", path, body=manifest, content_type=APPLY_PATCH, query=query).json

    def merge(self, path: str, patch: Manifest) -> Manifest:
        """Change an object by a JSON merge patch. Raises: RefusedError."""
        return self._expect("PATCH", path, body=patch, content_type=MERGE_PATCH).json

    def delete(self, path: str, *, options: Manifest | None = None, **query: str) -> bool:
        """Delete an object or a collection; say whether there was one. Raises: RefusedError."""
        answer = self.ask("DELETE", path, body=options, query=query)
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return False
        return self._checked("DELETE", path, answer).status < http.HTTPStatus.BAD_REQUEST

    def put(self, path: str, manifest: Manifest) -> Manifest:
        """Replace an object or a subresource. Raises: RefusedError."""
        return self._expect("PUT", path, body=manifest).json

    def post(self, path: str, manifest: Manifest) -> Manifest:
        """POST to a path that is no plain collection, such as a review or a token. Raises: RefusedError."""
        return self._expect("POST", path, body=manifest).json

    def text(self, path: str) -> str:
        """Return a body that is no JSON. Raises: RefusedError."""
        return self._expect("GET", path).body.decode()

    def _expect(
        self,
        method: str,
        path: str,
        *,
        body: Manifest | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self.ask(method, path, body=body, content_type=content_type, query=query)
        return self._checked(method, path, answer)

    @staticmethod
    def _checked(method: str, path: str, answer: Answer) -> Answer:
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RefusedError(method, path, answer)
        return answer

    def _exchange(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        target: str,
        payload: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        try:
            connection.request(method, target, body=payload, headers=headers)
            response = connection.getresponse()
            answer = Answer(status=response.status, body=response.read())
        except BaseException:  # a connection in the middle of an exchange is of no use to anyone
            connection.close()
            raise
        self._idle.put(connection)
        return answer

    def _pooled(self) -> http.client.HTTPSConnection | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def _fresh(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=self._timeout)


def in_bulk(action: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """Do one thing to many, a few at a time; the first error is raised after all have ended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(action, things))
