"""Reloading: valid changes are taken up, invalid ones keep the last good configuration, no change is lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import structlog

from imps_multi.app.assembly import Assembly
from imps_multi.app.reloading import keep_reloading
from imps_multi.config.load import load
from imps_multi.config.reload import FollowedFiles
from imps_multi.file_changes import FileChanges
from imps_multi.telemetry.logs import configure_logging

pytestmark = pytest.mark.anyio

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{contexts}]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def kubeconfig(*names: str, port: int = 1) -> str:
    contexts = ", ".join(f"{{name: {name}, context: {{cluster: c, user: u}}}}" for name in names)
    return KUBECONFIG.format(port=port, contexts=contexts)


def config(kubeconfig: str = "fleet", more: str = "") -> str:
    return f"hub: {{id: a, directory: hub}}\nclusters:\n  - {{kubeconfig: {kubeconfig}, contexts: ['*']}}\n{more}"


async def write(path: Path, text: str) -> None:
    await anyio.to_thread.run_sync(path.write_text, text)


@asynccontextmanager
async def reloading(root: Path) -> AsyncIterator[Assembly]:
    def assemble() -> Assembly:
        return Assembly(load(root / "c.yaml", {}), observe=True, read_only=True)

    assembly = await anyio.to_thread.run_sync(assemble)
    followed = FollowedFiles(FileChanges(settle=0.01, at_most=0.1, poll=60, retry=0.01))
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_reloading, assembly, followed)
            yield assembly
            tasks.cancel_scope.cancel()


async def until(assembly: Assembly, condition: Callable[[], bool]) -> None:
    outcomes = assembly.ports.configuration.reader()
    while not condition():
        await outcomes.next()


def names(assembly: Assembly) -> list[str]:
    return [member.settings.name for member in assembly.ports.members.value]


def error(assembly: Assembly) -> str:
    """Return what is wrong; for a moment that may be that a file is half written."""
    return assembly.ports.configuration.value.error


async def test_how_it_is_logged_changes_without_a_restart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        configure_logging("json", "info")
        await write(
            tmp_path / "c.yaml", config(more="telemetry: {logLevel: debug, logFormat: json, auditLog: a.log}\n")
        )
        await until(assembly, lambda: assembly.loaded.configuration.telemetry.log_level == "debug")
        assert assembly.reload.successful
        structlog.get_logger().debug("A detail")
    assert '"A detail"' in capsys.readouterr().err


async def test_a_change_that_needs_a_restart_says_so_until_it_is_undone(tmp_path: Path) -> None:
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        for clusters in ("one", "two"):  # a later change does not make it forgotten
            await write(tmp_path / "fleet", kubeconfig(clusters))
            await write(tmp_path / "c.yaml", config().replace("id: a", "id: b"))
            await until(assembly, lambda: names(assembly) == [clusters] and "changes of hub" in error(assembly))  # noqa: B023  # waited for in this turn
            assert not assembly.ports.configuration.value.last_reload_successful
            assert not assembly.reload.successful
        await write(tmp_path / "c.yaml", config())
        await until(assembly, lambda: assembly.reload.successful)
        assert assembly.ports.configuration.value.last_reload_successful


async def test_a_changed_kubeconfig_is_taken_up(tmp_path: Path) -> None:
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        assert names(assembly) == ["one"]
        await write(tmp_path / "fleet", kubeconfig("one", "two"))
        await until(assembly, lambda: names(assembly) == ["one", "two"])


async def test_a_cluster_is_not_up_in_the_metrics_from_the_moment_it_is_configured(tmp_path: Path) -> None:
    """The fleet's actor does not run here: nobody has reported anything yet."""
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        await write(tmp_path / "fleet", kubeconfig("one", "two"))
        await until(assembly, lambda: names(assembly) == ["one", "two"])
        page = assembly.metrics.render()[0].decode().splitlines()
        assert "imps_targets_configured 2.0" in page
        assert {f'imps_target_up{{target_cluster="{name}"}} 0.0' for name in ("one", "two")} <= set(page)


async def test_an_invalid_change_keeps_the_last_good_one_until_it_is_mended(tmp_path: Path) -> None:
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        await write(tmp_path / "c.yaml", config(more="nonsense: 1\n"))
        await until(assembly, lambda: "c.yaml:4:1: nonsense: unknown field" in error(assembly))
        assert names(assembly) == ["one"]
        assert not assembly.reload.successful
        await write(tmp_path / "c.yaml", config())
        await until(assembly, lambda: assembly.reload.successful)


async def test_a_kubeconfig_that_comes_later_than_its_mention_is_taken_up(tmp_path: Path) -> None:
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        await write(tmp_path / "c.yaml", config("later/fleet"))
        await until(assembly, lambda: not assembly.reload.successful)
        await anyio.to_thread.run_sync((tmp_path / "later").mkdir)
        await write(tmp_path / "later" / "fleet", kubeconfig("three"))
        await until(assembly, lambda: names(assembly) == ["three"])
        await write(tmp_path / "later" / "fleet", kubeconfig("four"))
        await until(assembly, lambda: names(assembly) == ["four"])


async def test_what_says_the_same_is_not_taken_up_again(tmp_path: Path) -> None:
    await write(tmp_path / "c.yaml", config())
    await write(tmp_path / "fleet", kubeconfig("one"))
    async with reloading(tmp_path) as assembly:
        first = assembly.loaded
        await write(tmp_path / "c.yaml", config(more="# a remark\n"))
        await write(tmp_path / "fleet", kubeconfig("one", port=2))
        await until(assembly, lambda: assembly.loaded is not first)
        assert assembly.ports.members.value[0].server == "https://127.0.0.1:2"
