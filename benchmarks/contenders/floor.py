"""The floor: requests that were built beforehand over kept-alive connections, answers not parsed, on uvloop.

`floor PLAN` reads {"ca", "token", "in_flight", "method", "clusters": [{"url", "requests": [[path, body], …]}]}. An
answer is over when it ends like a JSON object: true of every server here, and cheaper than any parser.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.contenders.spent import measure

ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


class Sender(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is over."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Look at the first and the last bytes of an answer."""
        self._head = self._head or data[:12]
        if data.endswith((b"}", b"}\n")):
            if not self._head.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(f"refused: {self._head!r}")
            self._head = b""
            self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            self._transport.abort()
            self.finished.set_result(None)
        else:
            self._transport.write(request)


async def send(plan: dict[str, Any], prepared: list[Iterator[bytes]]) -> None:
    """Open every connection and send everything."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=plan["ca"])
    senders = []

    async def connect(url: str, requests: Iterator[bytes]) -> None:
        host, _, port = urlsplit(url).netloc.partition(":")
        _, sender = await loop.create_connection(lambda: Sender(requests), host, int(port), ssl=context)
        senders.append(sender)

    for cluster, requests in zip(plan["clusters"], prepared, strict=True):
        await asyncio.gather(*(connect(cluster["url"], requests) for _ in range(plan["in_flight"])))
    for sender in senders:
        await sender.finished


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    prepared = [
        iter([_request(plan, cluster["url"], *one) for one in cluster["requests"]]) for cluster in plan["clusters"]
    ]

    def work() -> int:
        uvloop.run(send(plan, prepared))
        return 0

    measure(work)


def _request(plan: dict[str, Any], url: str, path: str, body: str) -> bytes:
    content = body.encode()
    head = [
        f"{plan['method']} {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        f"Authorization: Bearer {plan['token']}",
        f"Accept: {ACCEPT}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + content


if __name__ == "__main__":
    main()
