"""Changes of files: told once settled, never lost between two calls, also for mounted Secrets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from imps_multi.file_changes import FileChanges


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def changes() -> Iterator[FileChanges]:
    watched = FileChanges(settle=0.01, at_most=0.2, poll=60.0, retry=0.01)
    yield watched
    watched.close()


async def do(*steps: Callable[[], object]) -> None:
    """Do blocking steps where they may block."""
    for step in steps:
        await anyio.to_thread.run_sync(step)


def write(file: Path, text: str) -> Callable[[], object]:
    return lambda: file.write_text(text)


async def heard(changes: FileChanges) -> bool:
    with anyio.move_on_after(10) as scope:
        await changes.changed()
    return not scope.cancelled_caught


async def silent(changes: FileChanges) -> bool:
    with anyio.move_on_after(0.1) as scope:
        await changes.changed()
    return scope.cancelled_caught


@pytest.mark.anyio
async def test_a_new_file_is_heard(changes: FileChanges, tmp_path: Path) -> None:
    await do(lambda: changes.follow([tmp_path]))
    await do(write(tmp_path / "a", "1"))
    assert await heard(changes)


@pytest.mark.anyio
async def test_a_change_between_two_calls_is_not_lost(changes: FileChanges, tmp_path: Path) -> None:
    await do(lambda: changes.follow([tmp_path]))
    await do(write(tmp_path / "a", "1"))
    assert await heard(changes)
    await do(write(tmp_path / "a", "2"))
    await anyio.wait_all_tasks_blocked()
    assert await heard(changes)


@pytest.mark.anyio
async def test_a_wait_that_was_given_up_loses_nothing(changes: FileChanges, tmp_path: Path) -> None:
    await do(lambda: changes.follow([tmp_path]))
    assert await silent(changes)
    await do(write(tmp_path / "a", "1"))
    assert await heard(changes)


@pytest.mark.anyio
async def test_the_swap_of_a_mounted_secret_is_heard(changes: FileChanges, tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        await do((tmp_path / version).mkdir, write(tmp_path / version / "a.yaml", version))
    await do(
        lambda: (tmp_path / "..data").symlink_to("v1"),
        lambda: (tmp_path / "a.yaml").symlink_to("..data/a.yaml"),
        lambda: changes.follow([tmp_path]),
        lambda: (tmp_path / "..tmp").symlink_to("v2"),
        lambda: (tmp_path / "..tmp").rename(tmp_path / "..data"),
    )
    assert await heard(changes)


@pytest.mark.anyio
async def test_a_missing_directory_is_looked_for(changes: FileChanges, tmp_path: Path) -> None:
    await do(lambda: changes.follow([tmp_path / "later"]))
    assert await heard(changes)
    await do((tmp_path / "later").mkdir, lambda: changes.follow([tmp_path / "later"]))
    await do(write(tmp_path / "later" / "a", "1"))
    assert await heard(changes)


@pytest.mark.anyio
async def test_a_directory_that_was_replaced_is_followed_anew(changes: FileChanges, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    await do(hub.mkdir, lambda: changes.follow([hub]))
    await do(lambda: hub.rename(tmp_path / "old"), hub.mkdir, lambda: changes.follow([hub]))
    await do(write(tmp_path / "hub" / "a", "1"))
    assert await heard(changes)


@pytest.mark.anyio
async def test_a_deaf_watch_is_looked_at_every_now_and_then(tmp_path: Path) -> None:
    watched = FileChanges(settle=0.01, at_most=0.02, poll=0.02)
    await do(lambda: watched.follow([tmp_path]))
    assert await heard(watched)
    watched.close()
