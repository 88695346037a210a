"""Answers that come whole, in pieces, or not at all; and what a kept connection is worth when the server ends it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from imps_multi.kube.connection import BearerToken, Connection
from imps_multi.kube.handler import Whole, whole_answer
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.names import Uid
from imps_multi.ports import Throttled, Transient, Written
from tests.kube.scripted import client_of
from tests.kube.servers import PULL, A, listening

pytestmark = pytest.mark.anyio

BODY = b'{"metadata":{"uid":"u-1","resourceVersion":"7"}}'
HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"

Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD + BODY, Whole(201, BODY)),
        (b"HTTP/1.1 200 \r\ncontent-length:0\r\n\r\n", Whole(200, b"")),
        (HEAD + BODY[:-1], None),
        (HEAD + BODY + b"H", None),
        (HEAD[:-2], None),
        (HEAD.replace(b"201", b"409") + BODY, None),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + BODY, None),
        (HEAD.replace(b"Content-Type", b"Connection") + BODY, None),
        (HEAD.replace(b"Content-Type: application/json", b"Content-Length: 48") + BODY, None),
        (HEAD.replace(b"Content-Length: ", b"Content-Length: +") + BODY, None),
        (CHUNKED, None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + BODY, None),
        (b"not HTTP", None),
    ],
)
def test_only_a_plain_answer_that_came_whole_is_read_at_once(data: bytes, expected: Whole | None) -> None:
    assert whole_answer(data) == expected


def test_an_answer_shows_no_body() -> None:
    assert repr(Whole(200, b"secret")) == "Whole(200)"


async def request(reader: asyncio.StreamReader) -> bytes:
    """Read a request; its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
    await reader.readexactly(int(length.split()[1]))
    return head


def answering(*answers: tuple[bytes, ...], seen: list[bytes]) -> Serving:
    """Answer one request after the other with these pieces; with no piece at all, hang up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(seen) < len(answers):
            try:
                seen.append(await request(reader))
            except asyncio.IncompleteReadError:
                return
            pieces = answers[len(seen) - 1]
            if not pieces:
                writer.transport.abort()
                return
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                for _ in range(5):
                    await asyncio.sleep(0)

    return serve


@asynccontextmanager
async def served(shared: Shared, serve: Serving) -> AsyncIterator[TargetClient]:
    """Give a client whose server does this."""
    async with (
        listening(serve) as address,
        client_of(Connection(server=f"http://{address}"), shared) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + BODY,),
        (HEAD, BODY),
        (HEAD[:20], HEAD[20:] + BODY[:10], BODY[10:]),
        (CHUNKED,),
        (CHUNKED[:60], CHUNKED[60:]),
        (b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + BODY),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + HEAD + BODY,),
    ],
)
async def test_an_answer_is_the_same_in_whatever_pieces_it_comes(shared: Shared, pieces: tuple[bytes, ...]) -> None:
    seen: list[bytes] = []
    async with served(shared, answering(pieces, pieces, seen=seen)) as client:
        assert await client.create_secret(A, b"{}") == Written(Uid("u-1"), 7)
        assert await client.create_secret(A, b"{}") == Written(Uid("u-1"), 7)
    assert len(seen) == 2


async def test_a_refusal_is_read_with_its_headers(shared: Shared) -> None:
    async with served(shared, answering((BUSY,), seen=[])) as client:
        with pytest.raises(Throttled) as caught:
            await client.create_secret(A, b"{}")
    assert caught.value.retry_after == 7.0


async def test_a_change_is_sent_once_more_where_the_server_ended_a_kept_connection(shared: Shared) -> None:
    seen: list[bytes] = []
    async with served(shared, answering((HEAD + BODY,), (), (HEAD + BODY,), seen=seen)) as client:
        await client.create_secret(A, b"{}")
        await client.replace_secret(A, PULL, b"{}")
    assert [head.split()[0] for head in seen] == [b"POST", b"PUT", b"PUT"]


async def test_a_creation_is_not_sent_twice(shared: Shared) -> None:
    seen: list[bytes] = []
    async with served(shared, answering((HEAD + BODY,), (), (HEAD + BODY,), seen=seen)) as client:
        await client.create_secret(A, b"{}")
        with pytest.raises(Transient):
            await client.create_secret(A, b"{}")
    assert len(seen) == 2


async def test_what_nobody_asked_for_is_no_answer(shared: Shared) -> None:
    forged = HEAD + BODY.replace(b"u-1", b"u-9")
    seen: list[bytes] = []
    async with served(shared, answering((HEAD + BODY, forged), (HEAD + BODY,), seen=seen)) as client:
        await client.replace_secret(A, PULL, b"{}")
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await client.replace_secret(A, PULL, b"{}")).uid == "u-1"


async def test_a_header_cannot_become_two(shared: Shared) -> None:
    connection = Connection(server="http://127.0.0.1:1", credential=BearerToken("token\r\nImpersonate-User: admin"))
    async with client_of(connection, shared) as client:
        with pytest.raises(ValueError, match="line break") as caught:
            await client.create_secret(A, b"{}")
    assert "admin" not in str(caught.value)
