"""The floor: a bare aiohttp loop that sends requests which were built beforehand, over a number of connections.

``python -m benchmarks.bare_sender`` reads a ``Job`` from standard input, creates every Secret, then replaces every one,
and answers with two ``Phase``s. It decides nothing, watches nothing and looks at no answer while the clock runs.
Started by ``real_floor``.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec
import uvloop
from msgspec import Struct

ACCEPT: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
NAMED: Final = '"resourceVersion":"'


class Job(Struct):
    """What to send where. ``created`` and ``replaced``: the same object's body twice; the second lacks its version."""

    url: str
    ca_pem: str
    token: str
    connections: int
    namespaces: list[str]
    name: str
    created: dict[str, str]
    replaced: dict[str, str]


class Phase(Struct):
    """When sending began, since the epoch, and what CPU it took."""

    began: float
    cpu: float


Request = tuple[str, str, bytes]


def main() -> None:
    """Do one job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_do(job))))


async def _do(job: Job) -> list[Phase]:
    context = ssl.create_default_context(cadata=job.ca_pem)
    connector = aiohttp.TCPConnector(limit=job.connections, ssl=context)
    headers = {"Authorization": f"Bearer {job.token}", "Accept": ACCEPT, "Content-Type": "application/json"}
    async with aiohttp.ClientSession(job.url, connector=connector, headers=headers, trust_env=False) as session:
        created, answers = await _send(session, job.connections, list(_creates(job)))
        versions = [msgspec.json.decode(answer)["metadata"] for answer in answers]
        replaces = list(_replaces(job, {one["namespace"]: one["resourceVersion"] for one in versions}))
        replaced, _ = await _send(session, job.connections, replaces)
    return [created, replaced]


def _creates(job: Job) -> Iterable[Request]:
    for namespace in job.namespaces:
        yield "POST", f"/api/v1/namespaces/{namespace}/secrets?fieldManager=floor", job.created[namespace].encode()


def _replaces(job: Job, versions: dict[str, str]) -> Iterable[Request]:
    for namespace in job.namespaces:
        path = f"/api/v1/namespaces/{namespace}/secrets/{job.name}?fieldManager=floor"
        yield "PUT", path, job.replaced[namespace].replace(NAMED, NAMED + versions[namespace]).encode()


async def _send(
    session: aiohttp.ClientSession, connections: int, requests: Sequence[Request]
) -> tuple[Phase, list[bytes]]:
    answers: list[bytes] = []
    left = iter(requests)

    async def sender() -> None:
        for method, path, body in left:
            async with session.request(method, path, data=body) as answer:
                content = await answer.read()
                assert answer.status in (HTTPStatus.OK, HTTPStatus.CREATED), content
                answers.append(content)

    wall, before = time.time(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(sender())
    return Phase(wall, time.process_time() - before), answers


if __name__ == "__main__":
    main()
