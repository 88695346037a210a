"""The control socket: private, patient, and silent about nothing."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from imps_multi.hubs.control import (
    Answer,
    Request,
    ask,
    drop_request,
    serve_control,
    store_request,
    stored_requests,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def sync(argument: str) -> Answer:
    return Answer(ok=argument == "team-a", message=f"told about {argument}")


@asynccontextmanager
async def instance(root: Path) -> AsyncIterator[None]:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve_control, root, {"sync": sync})
            yield
            tasks.cancel_scope.cancel()


async def test_a_request_is_answered_by_its_handler(tmp_path: Path) -> None:
    async with instance(tmp_path):
        assert await ask(tmp_path, Request("sync", "team-a")) == Answer(ok=True, message="told about team-a")
        assert await ask(tmp_path, Request("sync", "x")) == Answer(ok=False, message="told about x")


async def test_a_command_that_is_not_known_says_so(tmp_path: Path) -> None:
    async with instance(tmp_path):
        answer = await ask(tmp_path, Request("dance", ""))
    assert answer is not None
    assert not answer.ok
    assert "knows no dance" in answer.message


async def test_no_instance_gives_no_answer(tmp_path: Path) -> None:
    assert await ask(tmp_path, Request("sync", "a")) is None
    assert await ask(tmp_path / "none", Request("sync", "a")) is None
    async with instance(tmp_path):
        pass
    assert await ask(tmp_path, Request("sync", "a")) is None


async def test_the_socket_of_a_crashed_instance_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        await anyio.to_thread.run_sync(left.bind, str(tmp_path / "control.sock"))
    assert await ask(tmp_path, Request("sync", "a")) is None
    async with instance(tmp_path):
        assert await ask(tmp_path, Request("sync", "team-a")) is not None


async def test_a_long_path_works(tmp_path: Path) -> None:
    root = tmp_path / ("d" * 120)
    await anyio.to_thread.run_sync(root.mkdir)
    assert await ask(root, Request("sync", "a")) is None
    async with instance(root):
        assert await ask(root, Request("sync", "team-a")) is not None


async def test_the_socket_is_private(tmp_path: Path) -> None:
    async with instance(tmp_path):
        status = await anyio.Path(tmp_path / "control.sock").stat()
    assert status.st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b"\xff\n", b'{"command":1}\n'])
async def test_nonsense_gets_an_answer(tmp_path: Path, line: bytes) -> None:
    async with instance(tmp_path):
        async with await anyio.connect_unix(tmp_path / "control.sock") as stream:
            await stream.send(line)
            assert b"cannot be read" in await stream.receive()
        assert await ask(tmp_path, Request("sync", "team-a")) is not None


async def test_one_who_hangs_up_harms_nobody(tmp_path: Path) -> None:
    async with instance(tmp_path):
        async with await anyio.connect_unix(tmp_path / "control.sock") as stream:
            await stream.send(b"half a li")
        async with await anyio.connect_unix(tmp_path / "control.sock") as stream:
            await stream.send(b"x" * 70_000)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        assert await ask(tmp_path, Request("sync", "team-a")) is not None


async def test_requests_are_stored_until_they_are_dropped(tmp_path: Path) -> None:
    def steps() -> None:
        first, second = Request("sync", "team-a"), Request("approve", "h-1")
        assert stored_requests(tmp_path / "none") == ()
        store_request(tmp_path, first)
        store_request(tmp_path, first)
        store_request(tmp_path, second)
        assert set(stored_requests(tmp_path)) == {first, second}
        assert len(stored_requests(tmp_path)) == 2
        drop_request(tmp_path, first)
        (tmp_path / "requests" / "junk").write_text("{")
        assert stored_requests(tmp_path) == (second,)

    await anyio.to_thread.run_sync(steps)
