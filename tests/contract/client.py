"""A client of raw requests for the server under test, and a reader of its watches.

Feeds the contract tests; knows nothing of which server it talks to.
"""

import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio

Document = dict[str, Any]

PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"
WITHIN = 20.0  # a real server on a busy machine


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Document
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        """The reason that a Status gives."""
        return str(self.body.get("reason", ""))

    @property
    def refusal(self) -> tuple[int, str]:
        """Code and reason, which the Status must repeat."""
        assert self.body["kind"] == "Status"
        assert self.body["status"] == "Failure"
        assert self.body["code"] == self.status
        return self.status, self.reason

    @property
    def names(self) -> list[str]:
        """The names of the items of a list."""
        return [item["metadata"]["name"] for item in self.body["items"]]

    @property
    def version(self) -> str:
        """The resourceVersion of an object or a list."""
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Reason and field of each cause."""
        return [(cause.get("reason", ""), cause.get("field", "")) for cause in self.body["details"]["causes"]]


class Stream:
    """An open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._buffer = b""

    async def event(self) -> Document | None:
        """Return the next event, or None at the end of the stream."""
        with anyio.fail_after(WITHIN):
            while b"\n" not in self._buffer:
                data = await self._response.content.readany()
                if not data:
                    assert not self._buffer
                    return None
                self._buffer += data
        whole, _, self._buffer = self._buffer.partition(b"\n")
        event: Document = json.loads(whole)
        return event

    async def change(self) -> tuple[str, str]:
        """Return the type and the name of the next event that is no bookmark."""
        while True:
            event = await self.event()
            assert event is not None
            if event["type"] != "BOOKMARK":
                return event["type"], event["object"]["metadata"]["name"]

    async def initial(self) -> tuple[list[str], Document]:
        """Return the names that are added first, and the bookmark that ends them."""
        names: list[str] = []
        while True:
            event = await self.event()
            assert event is not None
            if event["type"] == "BOOKMARK":
                return names, event["object"]
            assert event["type"] == "ADDED"
            names.append(event["object"]["metadata"]["name"])


class Api:
    """The server under test, as one user."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, token: str, tls: ssl.SSLContext | None) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tls: ssl.SSLContext | bool = tls or True

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Answer:
        """Send one request; a body of bytes goes as it is."""
        data = None if body is None else io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = {**self._headers, "Accept": accept}
        if data is not None:
            headers["Content-Type"] = content_type
        with anyio.fail_after(WITHIN):
            async with self._session.request(
                method, self._url + path, params=query, data=data, headers=headers, ssl=self._tls
            ) as response:
                text = await response.text()
                document = json.loads(text) if text.startswith("{") else {}
                return Answer(response.status, document, dict(response.headers))

    async def get(self, path: str, *, accept: str = "application/json", **query: str) -> Answer:
        """Send a GET."""
        return await self.send("GET", path, accept=accept, **query)

    async def post(self, path: str, body: object, **query: str) -> Answer:
        """Send a POST."""
        return await self.send("POST", path, body, **query)

    async def put(self, path: str, body: object, **query: str) -> Answer:
        """Send a PUT."""
        return await self.send("PUT", path, body, **query)

    async def merge(self, path: str, body: object, **query: str) -> Answer:
        """Send a JSON merge patch."""
        return await self.send("PATCH", path, body, content_type=MERGE, **query)

    async def delete(self, path: str, body: object = None, **query: str) -> Answer:
        """Send a DELETE."""
        return await self.send("DELETE", path, body, **query)

    async def made(self, path: str, body: object) -> Document:
        """Create an object that must be taken; returns it as it is kept."""
        answer = await self.post(path, body)
        assert answer.status == 201, answer.body
        return answer.body

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = "application/json", **query: str) -> AsyncIterator[Stream]:
        """Open a watch that must be accepted."""
        headers = {**self._headers, "Accept": accept}
        async with self._session.get(
            self._url + path, params={"watch": "1", **query}, headers=headers, ssl=self._tls
        ) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "application/json"
            try:
                yield Stream(response)
            finally:
                # without the farewell of TLS, for which a closing loop would not wait
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server under test, with what a test needs to do behind its back."""

    apis: Mapping[str, Api]
    """By user: admin; service, whose rights `grant` sets; stranger, a known user without rights; nobody, who sends no
    token; impostor, whose token nobody gave out."""
    grant: Callable[[Iterable[Document]], Awaitable[None]]
    """Give the service the rules of a ClusterRole."""
    compact: Callable[[], Awaitable[None]]
    """Forget all history."""

    @property
    def admin(self) -> Api:
        """The one who may do everything."""
        return self.apis["admin"]
