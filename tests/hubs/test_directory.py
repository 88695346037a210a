"""The directory hub: what is in it, what makes it not whole, and when it is read again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from imps_multi.file_changes import FileChanges
from imps_multi.hubs import directory as module
from imps_multi.hubs.directory import DirectoryHub
from imps_multi.hubs.manifest_files import manifest_paths, read_directory, stable_content
from imps_multi.model.hub import HubReading
from imps_multi.model.hub_fold import HubState, fold, snapshot
from tests.hubs.test_manifests import POLICY, SECRET

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[DirectoryHub]:
    directory = DirectoryHub(tmp_path / "hub", FileChanges(settle=0.01, at_most=0.1, poll=60, retry=0.01))
    (tmp_path / "hub").mkdir()
    yield directory
    directory.close()


async def write(path: Path, text: str) -> None:
    await anyio.to_thread.run_sync(path.write_text, text)


async def do(step: Callable[[], object]) -> None:
    await anyio.to_thread.run_sync(step)


def problems(reading: HubReading) -> list[str]:
    return [f"{problem.place}: {problem.message}" for problem in reading.problems]


async def test_every_manifest_directly_in_it_is_read(hub: DirectoryHub, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    await write(root / "a.yaml", POLICY)
    await write(root / "b.yml", SECRET)
    await write(root / "c.json", '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"j","namespace":"n"}}')
    await write(root / ".hidden.yaml", "{")
    await write(root / "README.md", "{")
    await do((root / "sub.yaml").mkdir)
    await write(root / "sub.yaml" / "d.yaml", "{")
    reading = await hub.read()
    assert [obj.name for obj in reading.objects] == ["imps", "a", "j"]
    assert (reading.whole, reading.problems) == (True, ())


async def test_an_empty_directory_is_whole(hub: DirectoryHub) -> None:
    assert await hub.read() == HubReading(())


async def test_a_mounted_configmap_works(hub: DirectoryHub, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    await do((root / "..v1").mkdir)
    await write(root / "..v1" / "a.yaml", POLICY)
    await do(lambda: (root / "..data").symlink_to("..v1"))
    await do(lambda: (root / "a.yaml").symlink_to("..data/a.yaml"))
    assert [obj.name for obj in (await hub.read()).objects] == ["imps"]


async def test_a_broken_file_makes_the_hub_not_whole_and_the_others_count(hub: DirectoryHub, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    await write(root / "a.yaml", POLICY)
    await write(root / "b.yaml", f"{SECRET}---\na: b: c\n")
    reading = await hub.read()
    assert not reading.whole
    assert [obj.name for obj in reading.objects] == ["imps"]
    assert problems(reading) == [f"{root}/b.yaml:6:5: mapping values are not allowed in this context"]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.write_text(""),
        os.mkfifo,
    ],
    ids=["a link to nothing", "an empty file", "a pipe"],
)
async def test_a_file_that_gives_nothing_makes_the_hub_not_whole(
    hub: DirectoryHub, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    await do(lambda: make(tmp_path / "hub" / "a.yaml"))
    with anyio.fail_after(10):
        reading = await hub.read()
    assert not reading.whole
    assert len(reading.problems) == 1


async def test_a_missing_directory_is_not_whole_and_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "later"
    hub = DirectoryHub(root, FileChanges(settle=0.01, at_most=0.1, poll=60, retry=0.01))
    reading = await hub.read()
    assert (reading.whole, reading.objects) == (False, ())
    assert problems(reading) == [f"{root}: cannot be read: No such file or directory"]
    await do(root.mkdir)
    with anyio.fail_after(10):
        await hub.changed()
    assert (await hub.read()).whole
    await do(hub.close)


async def test_a_change_is_heard_and_read(hub: DirectoryHub, tmp_path: Path) -> None:
    assert (await hub.read()).objects == ()
    await write(tmp_path / "hub" / "a.yaml", POLICY)
    with anyio.fail_after(10):
        await hub.changed()
    assert len((await hub.read()).objects) == 1


async def test_an_unchanged_file_is_not_parsed_again(
    hub: DirectoryHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(tmp_path / "hub" / "a.yaml", POLICY)
    first = await hub.read()
    monkeypatch.setattr(module, "read_manifests", None)
    assert await hub.read() == first


async def test_the_same_object_in_two_files_keeps_the_last_good_one(hub: DirectoryHub, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    await write(root / "a.yaml", POLICY)
    state = fold(HubState(), await hub.read(), 0.0)
    await write(root / "b.yaml", POLICY.replace("name: s\n", "name: t\n"))
    seen = snapshot(fold(state, await hub.read(), 1.0))
    assert not seen.whole
    assert [record.in_force.secret.name for record in seen.policies.values() if record.in_force] == ["s"]
    assert f"{root}/b.yaml:1:1" in str(seen.problems[0].place)
    assert f"{root}/a.yaml:1:1" in seen.problems[0].message


def test_a_file_that_changes_while_it_is_read_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(POLICY)
    assert stable_content(path) == POLICY.encode()
    monkeypatch.setattr(os, "fstat", lambda handle: _grown(path, handle))
    with pytest.raises(OSError, match="changed while it was read"):
        stable_content(path)


def _grown(path: Path, handle: int) -> os.stat_result:
    """Grow the file right after its first look."""
    status = os.stat(handle)
    with path.open("a") as file:
        file.write("# more\n")
    return status


def test_validate_reads_a_directory_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(POLICY)
    (tmp_path / "b.yaml").write_text("a: [")
    assert manifest_paths(tmp_path) == [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    assert [file.whole for file in read_directory(tmp_path)] == [True, False]
