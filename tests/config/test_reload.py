"""Followed files: a change is told once, whatever way it is made, and nothing else is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from imps_multi.config.reload import FollowedFiles
from imps_multi.file_changes import FileChanges

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def followed() -> Iterator[FollowedFiles]:
    files = FollowedFiles(FileChanges(settle=0.01, at_most=0.1, poll=60, retry=0.01))
    yield files
    files.close()


async def do(*steps: Callable[[], object]) -> None:
    for step in steps:
        await anyio.to_thread.run_sync(step)


def write(path: Path, text: str) -> Callable[[], object]:
    return lambda: path.write_text(text)


async def heard(followed: FollowedFiles) -> bool:
    with anyio.move_on_after(10) as scope:
        await followed.changed()
    return not scope.cancelled_caught


async def silent(followed: FollowedFiles) -> bool:
    with anyio.move_on_after(0.15) as scope:
        await followed.changed()
    return scope.cancelled_caught


async def test_a_change_is_told_once(followed: FollowedFiles, tmp_path: Path) -> None:
    file = tmp_path / "a"
    await do(write(file, "1"))
    assert await followed.follow([file])
    await do(write(file, "2"))
    assert await heard(followed)
    assert await silent(followed)


async def test_a_change_between_two_calls_is_told(followed: FollowedFiles, tmp_path: Path) -> None:
    file = tmp_path / "a"
    await do(write(file, "1"))
    await followed.follow([file])
    await do(write(file, "2"))
    assert await heard(followed)
    await do(write(file, "3"))
    assert not await followed.follow([file])
    assert await heard(followed)


async def test_what_says_the_same_is_no_change(followed: FollowedFiles, tmp_path: Path) -> None:
    file = tmp_path / "a"
    await do(write(file, "1"))
    await followed.follow([file])
    await do(write(file, "1"), file.touch, write(tmp_path / "stranger", "x"))
    assert await silent(followed)


async def test_a_file_that_is_written_to_after_the_look_did_not_stand_still(
    followed: FollowedFiles, tmp_path: Path
) -> None:
    """It may have been read half written, and then says again what it said."""
    file = tmp_path / "a"
    await do(write(file, "1"))
    await followed.follow([file])
    assert await followed.stood_still()
    await do(write(file, ""), write(file, "1"))
    assert not await followed.stood_still()
    assert await followed.stood_still()


async def test_the_swap_of_a_mounted_secret_is_told(followed: FollowedFiles, tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        await do((tmp_path / version).mkdir, write(tmp_path / version / "token", version))
    await do(lambda: (tmp_path / "..data").symlink_to("v1"), lambda: (tmp_path / "token").symlink_to("..data/token"))
    await followed.follow([tmp_path / "token"])
    await do(lambda: (tmp_path / "..new").symlink_to("v2"), lambda: (tmp_path / "..new").rename(tmp_path / "..data"))
    assert await heard(followed)


async def test_a_file_that_appears_is_told(followed: FollowedFiles, tmp_path: Path) -> None:
    file = tmp_path / "later" / "a"
    await followed.follow([file])
    await do(file.parent.mkdir, write(file, "1"))
    assert await heard(followed)


async def test_a_file_that_is_followed_anew_is_said_to_be(followed: FollowedFiles, tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    await do(write(one, "1"), write(other, "1"))
    assert await followed.follow([one])
    assert await followed.follow([one, other])
    assert not await followed.follow([other])
    await do(write(one, "2"))
    assert await silent(followed)


async def test_what_was_read_half_written_is_told_when_it_is_what_it_was(
    followed: FollowedFiles, tmp_path: Path
) -> None:
    file = tmp_path / "a"
    await do(write(file, "1"))
    assert await followed.follow([file])
    await do(write(file, ""))  # the beginning of a write of the very same
    assert not await followed.stood_still()
    assert await followed.stood_still()
    await do(write(file, "1"))
    assert await heard(followed)
