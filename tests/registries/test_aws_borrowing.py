"""The process's own keys: a lookup that hangs costs those who wait for it, and nobody else."""

import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest

from imps_multi.model.credential import MintedToken, MintSource
from imps_multi.ports import Transient, Unauthorized
from imps_multi.registries.aws_borrowing import Borrowing, Keys
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr

from .secrets import ecr, listed

THREADS = 40
"""So many has the process for everything else that blocks."""

pytestmark = pytest.mark.anyio


def lookups() -> int:
    return sum(thread.name == "AWS keys" for thread in threading.enumerate())


async def gone() -> None:
    """Wait until no lookup runs."""
    with anyio.fail_after(10):
        while lookups():  # noqa: ASYNC110  # threads tell nobody that they end
            await anyio.sleep(0.01)


async def hang() -> Keys | None:
    await anyio.sleep_forever()
    return None


async def test_those_who_want_the_same_share_a_lookup_and_the_next_one_looks_anew() -> None:
    borrowing, calls = Borrowing(), []

    async def find() -> Keys:
        calls.append(threading.current_thread().name)
        await anyio.sleep(0.05)
        return Keys("key", f"secret-{len(calls)}")

    found: list[Keys | None] = []

    async def want() -> None:
        found.append(await borrowing.keys("one", find))

    for _ in range(2):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(want)
    assert found == [Keys("key", "secret-1")] * 20 + [Keys("key", "secret-2")] * 20
    assert calls == ["AWS keys"] * 2


async def test_who_leaves_leaves_alone() -> None:
    borrowing, finding = Borrowing(), threading.Event()

    async def find() -> Keys:
        while not finding.is_set():  # noqa: ASYNC110  # set in another thread
            await anyio.sleep(0.005)
        return Keys("key", "secret")

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.05):
            await borrowing.keys("one", find)
        group.start_soon(borrowing.keys, "one", find)
        await anyio.sleep(0.01)
        assert lookups() == 1
        finding.set()
    await gone()


async def test_hanging_lookups_end_by_themselves_and_hold_up_nobody() -> None:
    borrowing = Borrowing(0.5)
    ended: list[int] = []

    async def want(number: int) -> None:
        with pytest.raises(TimeoutError):
            await borrowing.keys(number, hang)
        ended.append(number)

    async def find() -> Keys:
        return Keys("key", "secret")

    async with anyio.create_task_group() as group:
        for number in range(THREADS + 10):
            group.start_soon(want, number)
        await anyio.sleep(0.01)
        assert await borrowing.keys("other", find) == Keys("key", "secret")
        assert await anyio.to_thread.run_sync(lambda: 1) == 1
        assert ended == []
    assert len(ended) == THREADS + 10
    await gone()


async def test_what_a_lookup_raises_is_raised_to_all() -> None:
    async def fail() -> Keys:
        raise LookupError("no such profile")

    borrowing = Borrowing()
    for _ in range(2):
        with pytest.raises(LookupError, match="no such profile"):
            await borrowing.keys("one", fail)


async def test_a_profile_s_command_that_hangs_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"
    script = tmp_path / "hang.py"
    script.write_text(
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    (tmp_path / "config").write_text(f"[profile slow]\ncredential_process={sys.executable} {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    provider = EcrProvider(lambda: 0.0, listed, lookup_seconds=1.0)
    with pytest.raises(Transient, match="timed out"):
        await mint(provider, profile="slow")
    command, child = map(int, (await anyio.Path(note).read_text()).split())
    with pytest.raises(ProcessLookupError):
        os.kill(command, 0)
    with anyio.fail_after(10):
        while runs(child):  # noqa: ASYNC110  # nobody tells of a process that is not our child
            await anyio.sleep(0.01)


def runs(pid: int) -> bool:
    """Say whether a process is there that its new parent has not yet to bury."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def silence() -> Iterator[socket.socket]:
    """An endpoint that accepts and never answers, until it is closed."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[SandboxEcr]:
    assert anyio_backend == "asyncio"
    async with SandboxEcr() as endpoint:
        yield endpoint


async def mint(provider: EcrProvider, **data: str) -> MintedToken:
    source = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1",))(ecr(**data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(20):
        return await provider.mint(source.identity)


@pytest.mark.parametrize("kind", ["STS", "metadata"])
async def test_an_own_identity_that_hangs_costs_neither_other_keys_nor_a_profile(
    sandbox: SandboxEcr, silence: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "token").write_text("service-account-token")
    given, url = sandbox.credential, f"http://127.0.0.1:{silence.getsockname()[1]}"
    (tmp_path / "credentials").write_text(
        f"[one]\naws_access_key_id={given.access_key}\naws_secret_access_key={given.secret_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    if kind == "STS":
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::555555555555:role/imps-multi")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    else:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "8")
    provider = EcrProvider(lambda: sandbox._now().timestamp(), listed)
    failures: list[str] = []

    async def borrow(role: int) -> None:
        with pytest.raises((Transient, Unauthorized)) as caught:
            await mint(provider, ecrEndpointURL=sandbox.url, roleArn=f"arn:aws:iam::{'1' * 12}:role/r{role}")
        failures.append(str(caught.value))

    async with anyio.create_task_group() as group:
        for role in range(THREADS + 5):
            group.start_soon(borrow, role)
        with anyio.fail_after(10):
            while not lookups():  # noqa: ASYNC110  # threads tell nobody that they begin
                await anyio.sleep(0.01)
            own = {"accessKeyID": given.access_key, "secretKey": given.secret_key}
            await mint(provider, ecrEndpointURL=sandbox.url, **own)
            await mint(provider, ecrEndpointURL=sandbox.url, profile="one")
        assert (sandbox.mints, failures) == (2, [])
        assert lookups() <= 2  # that of the profile may be about to end
        silence.close()
    assert len(failures) == THREADS + 5
    await gone()
