"""Tokens, token files and plugins, and what a 401 does."""

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from imps_multi.kube.connection import BearerToken, ExecSpec, TokenFile
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.names import HubId
from imps_multi.ports import (
    Forbidden,
    Reason,
    Transient,
    Unauthorized,
)
from tests.kube.scripted import MARKER, client_of, refusing, scripted
from tests.kube.servers import CALLS, letting_in, plugin, troubled, well

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("call", CALLS, ids=["read", "probe", "write", "watch"])
async def test_a_401_reads_the_token_file_again_and_repeats_once(
    shared: Shared, tmp_path: Path, call: Callable[[TargetClient], Awaitable[object]]
) -> None:
    file = anyio.Path(tmp_path / "token")
    await file.write_text(f"{MARKER}-old\n")
    async with scripted(letting_in("new")) as server:
        connection = server.connection(TokenFile(str(file)))
        assert isinstance(await troubled(connection, shared, call=call), Unauthorized)
        assert len(server.seen) == 1
        async with client_of(connection, shared) as client:
            with pytest.raises(Unauthorized):
                await call(client)
            await file.write_text("new\n")
            await call(client)
        assert len(server.seen) == 4


async def test_a_fixed_token_is_not_tried_twice(shared: Shared) -> None:
    async with scripted(letting_in("other")) as server:
        assert isinstance(await troubled(server.connection(), shared), Unauthorized)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ('{"exp": 1767323045, "sub": "x"}', "; the token ended at 2026-01-02T03:04:05Z"),
        ('{"exp": 4102444800}', ""),
        ('{"exp": "soon"}', ""),
        ('{"exp": 1e999}', ""),
        ("[]", ""),
    ],
)
async def test_a_refused_web_token_that_is_out_of_date_is_told_as_such(claims: str, told: str) -> None:
    payload = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
    shared = Shared(hub=HubId("mgmt"), clock=lambda: 1800000000.0)
    async with scripted(letting_in("other")) as server:
        error = await troubled(server.connection(BearerToken(f"{MARKER}.{payload}.{MARKER}")), shared)
    assert str(error) == f"read namespace kube-system on {server.url}: 401 Unauthorized{told}"


async def test_renewing_reads_the_file_now(shared: Shared, tmp_path: Path) -> None:
    file = anyio.Path(tmp_path / "token")
    await file.write_text("old")
    async with (
        scripted(letting_in("old", "new")) as server,
        client_of(server.connection(TokenFile(str(file))), shared) as client,
    ):
        await client.identity()
        await file.write_text("new")
        await client.identity()
        await client.renew_credentials()
        await client.identity()
    tokens = [request.headers["Authorization"] for request in server.seen]
    assert tokens == ["Bearer old", "Bearer old", "Bearer new"]


async def test_a_token_file_is_looked_at_each_minute_and_a_lost_one_leaves_the_last_token(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imps_multi.kube.credentials.REREAD", 0.0)
    file = anyio.Path(tmp_path / "token")
    await file.write_text("one")
    async with (
        scripted(letting_in("one", "two")) as server,
        client_of(server.connection(TokenFile(str(file))), shared) as client,
    ):
        await client.identity()
        await file.write_text("two")
        await client.identity()
        await file.unlink()
        await client.identity()
    tokens = [request.headers["Authorization"] for request in server.seen]
    assert tokens == ["Bearer one", "Bearer two", "Bearer two"]


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"", "no token"), (b"\xff", "not text")])
async def test_a_token_file_that_never_was_of_use_is_said(
    shared: Shared, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = anyio.Path(tmp_path / "token")
    if content is not None:
        await file.write_bytes(content)
    async with scripted(well) as server:
        error = await troubled(server.connection(TokenFile(str(file))), shared)
        assert server.seen == []
    assert (type(error), error.reason) == (Transient, Reason.UNAUTHORIZED)
    assert str(file) in str(error)
    assert words in str(error)


async def test_the_token_beside_a_token_file_serves_until_it_is_there(shared: Shared, tmp_path: Path) -> None:
    connection_to = TokenFile(str(tmp_path / "token"), "beside")
    async with (
        scripted(letting_in("beside")) as server,
        client_of(server.connection(connection_to), shared) as client,
    ):
        await client.identity()


@pytest.mark.parametrize("call", CALLS, ids=["read", "probe", "write", "watch"])
async def test_a_401_runs_the_plugin_again_and_repeats_once(
    shared: Shared, tmp_path: Path, call: Callable[[TargetClient], Awaitable[object]]
) -> None:
    spec = plugin(tmp_path, {"token": f"{MARKER}-old"}, {"token": "new"})
    async with scripted(letting_in("new")) as server, client_of(server.connection(spec), shared) as client:
        with anyio.fail_after(10):
            await call(client)
            await client.identity()
    tokens = [request.headers["Authorization"] for request in server.seen]
    assert tokens == [f"Bearer {MARKER}-old", "Bearer new", "Bearer new"]


async def test_many_401s_at_once_run_the_plugin_once(shared: Shared, tmp_path: Path) -> None:
    spec = plugin(tmp_path, {"token": "old"}, {"token": "new"}, {"token": "newer"})
    async with scripted(letting_in("new")) as server, client_of(server.connection(spec), shared) as client:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(client.identity)
    assert len(server.seen) <= 16
    assert {request.headers["Authorization"] for request in server.seen} == {"Bearer old", "Bearer new"}


async def test_a_plugin_that_fails_is_its_own_reason_and_nothing_is_sent(shared: Shared) -> None:
    spec = ExecSpec(api_version="client.authentication.k8s.io/v1", command="/no/such/plugin", args=(MARKER,))
    async with scripted(well) as server:
        for call in CALLS:
            error = await troubled(server.connection(spec), shared, call=call)
            assert (type(error), error.reason) == (Transient, Reason.EXEC_PLUGIN)
        assert server.seen == []


async def test_who_may_not_is_forbidden_with_the_servers_words(shared: Shared) -> None:
    words = 'User "x" cannot get resource "namespaces"'
    async with scripted(refusing(403, "Forbidden", words)) as server:
        error = await troubled(server.connection(), shared)
    assert isinstance(error, Forbidden)
    assert words in str(error)
