"""Asking the running instance: a socket in the state directory, one line of JSON each way.

The socket is 0600 in a 0700 directory: who can reach it may read the state as well. It knows no commands; handlers are
passed in. With no instance running a request is stored, for the next pass to take up.
"""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import ByteStream, SocketListener, SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec import Struct

from imps_multi.hubs.durable import PRIVATE_FILE, delete_item, read_items, write_item

SOCKET_FILE: Final = "control.sock"
REQUESTS: Final = "requests"
MAX_LINE: Final = 64 * 1024
PATIENCE_SECONDS: Final = 10.0
LONGEST_SOCKET_PATH: Final = 100
"""Bytes; the system's own limit is 108, its end included."""


class Request(Struct, frozen=True):
    """What is asked: ``sync`` with a policy's name, ``approve`` with a held set's id."""

    command: str
    argument: str


class Answer(Struct, frozen=True):
    """What came of it; ``message`` is for the user."""

    ok: bool
    message: str


Handler = Callable[[str], Awaitable[Answer]]


async def serve_control(
    root: Path, handlers: Mapping[str, Handler], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Answer requests until cancelled; whoever calls it holds the directory's lock."""
    async with AsyncExitStack() as stack:
        bound = await anyio.to_thread.run_sync(_bound, root, stack)
        listener = await stack.enter_async_context(await SocketListener.from_socket(bound))
        stack.push_async_callback(_remove, root / SOCKET_FILE)
        task_status.started()
        await listener.serve(partial(_serve_one, handlers))


async def ask(root: Path, request: Request) -> Answer | None:
    """Ask the running instance; None where none is running.

    Raises:
        TimeoutError: it does not answer.
        OSError: the socket may not be used.
    """
    async with AsyncExitStack() as stack:
        path = await anyio.to_thread.run_sync(_reachable, root, stack)
        try:
            stream = await stack.enter_async_context(await anyio.connect_unix(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        with anyio.fail_after(PATIENCE_SECONDS):
            await stream.send(msgspec.json.encode(request) + b"\n")
            return msgspec.json.decode(await _line(stream), type=Answer)


def store_request(root: Path, request: Request) -> None:
    """Keep a request for the next pass; the same one twice is kept once. Blocking; raises OSError."""
    content = msgspec.json.encode(request)
    write_item(root / REQUESTS, content.decode(), content)


def stored_requests(root: Path) -> tuple[Request, ...]:
    """Return what was stored; what cannot be read is left out. Blocking."""
    found = [content for _, content in read_items(root / REQUESTS)]
    decoded = [_decoded(item[1]) for item in found if isinstance(item, tuple)]
    return tuple(request for request in decoded if request is not None)


def drop_request(root: Path, request: Request) -> None:
    """Take a stored request away once it was handed on. Blocking; raises OSError."""
    delete_item(root / REQUESTS, msgspec.json.encode(request).decode())


def _bound(root: Path, stack: AsyncExitStack) -> socket.socket:
    """Bind the socket, over one that a crash left; anyio's own way to do it would block the loop."""
    path = _reachable(root, stack)
    Path(path).unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stack.callback(bound.close)
    bound.setblocking(False)
    bound.bind(path)
    Path(path).chmod(PRIVATE_FILE)
    bound.listen()
    return bound


def _reachable(root: Path, stack: AsyncExitStack) -> str:
    """Return a path of the socket that is short enough, through the directory's handle where need be."""
    path = root / SOCKET_FILE
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH or not root.is_dir():
        return str(path)
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    return f"/proc/self/fd/{handle}/{SOCKET_FILE}"


async def _remove(path: Path) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.Path(path).unlink(missing_ok=True)


async def _serve_one(handlers: Mapping[str, Handler], stream: SocketStream) -> None:
    async with stream:
        try:
            with anyio.fail_after(PATIENCE_SECONDS):
                answer = await _answer(handlers, await _line(stream))
                await stream.send(msgspec.json.encode(answer) + b"\n")
        except (TimeoutError, anyio.BrokenResourceError, anyio.IncompleteRead, anyio.DelimiterNotFound):
            return  # whoever asked is gone, or said nothing


async def _answer(handlers: Mapping[str, Handler], line: bytes) -> Answer:
    request = _decoded(line)
    if request is None:
        return Answer(ok=False, message="the request cannot be read")
    handler = handlers.get(request.command)
    if handler is None:
        return Answer(ok=False, message=f"the running instance knows no {request.command}; is it of another version?")
    return await handler(request.argument)


async def _line(stream: ByteStream) -> bytes:
    return await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_LINE)


def _decoded(content: bytes) -> Request | None:
    try:
        return msgspec.json.decode(content, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
