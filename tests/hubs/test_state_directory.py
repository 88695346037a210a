"""The state store: durable, private, one process at a time, and honest about damage."""

import os
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.hubs.durable import file_name
from imps_multi.hubs.state_directory import (
    ReadOnlyStore,
    StateDirectory,
    StateLock,
    StateLocked,
    StateRefused,
    prepare,
)
from imps_multi.ports import Section, StateStore, Transient


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    prepare(tmp_path / "state")
    return tmp_path / "state"


def store(root: Path, told: list[str] | None = None) -> StateDirectory:
    told = [] if told is None else told
    return StateDirectory(root, lambda path, why: told.append(f"{path.name}: {why}"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.anyio
async def test_what_was_saved_is_loaded_by_another_process(root: Path) -> None:
    state: StateStore = store(root)
    long = "spec:" + "x" * 253
    expected = {key: key.encode() + b"\n\x00" for key in ("ns/name", ".hidden", "..", "ä b", long, long + "y")}
    for key, content in expected.items():
        await state.save(Section.TOKENS, key, content)
    await state.save(Section.TOKENS, "..", b"")
    await state.save(Section.SOURCES, "ns/name", b"other")
    assert dict(await store(root).load(Section.TOKENS)) == expected | {"..": b""}
    assert dict(await store(root).load(Section.SOURCES)) == {"ns/name": b"other"}
    assert dict(await store(root).load(Section.HELD)) == {}


@pytest.mark.anyio
async def test_everything_is_private(root: Path) -> None:
    await store(root).save(Section.TOKENS, "k", b"s3cret")
    modes = await anyio.to_thread.run_sync(
        lambda: {path.name: mode(path) for path in (root, root / "tokens", root / "tokens" / "k")}
    )
    assert modes == {"state": 0o700, "tokens": 0o700, "k": 0o600}


@pytest.mark.anyio
async def test_what_was_deleted_is_gone_and_a_missing_item_is_fine(root: Path) -> None:
    state = store(root)
    await state.save(Section.TOKENS, "k", b"1")
    await state.delete(Section.TOKENS, "k")
    await state.delete(Section.TOKENS, "k")
    await state.delete(Section.HELD, "k")
    assert dict(await state.load(Section.TOKENS)) == {}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}\nx",
        b'{"version":2,"key":"k","sum":"0"}\nx',
        b'{"version":1,"key":"k","sum":"0"}\nx',
        b"\xff\n",
        b"[]\n",
    ],
)
async def test_damage_is_told_and_left_out(root: Path, damage: bytes) -> None:
    told: list[str] = []
    state = store(root, told)
    await state.save(Section.TOKENS, "good", b"1")
    await anyio.to_thread.run_sync((root / "tokens" / "bad").write_bytes, damage)
    assert dict(await state.load(Section.TOKENS)) == {"good": b"1"}
    assert len(told) == 1
    assert told[0].startswith("bad: ")


@pytest.mark.anyio
async def test_a_write_that_fails_leaves_the_old_item_and_nothing_else(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = store(root)
    await state.save(Section.TOKENS, "k", b"old")

    def full(handle: int) -> None:
        del handle
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Transient, match="No space left on device"):
            await state.save(Section.TOKENS, "k", b"new")
    assert dict(await state.load(Section.TOKENS)) == {"k": b"old"}
    assert await anyio.to_thread.run_sync(lambda: [path.name for path in (root / "tokens").iterdir()]) == ["k"]


@pytest.mark.anyio
async def test_a_read_only_store_changes_nothing(root: Path) -> None:
    await store(root).save(Section.TOKENS, "k", b"1")
    state: StateStore = ReadOnlyStore(store(root))
    await state.save(Section.TOKENS, "k", b"2")
    await state.delete(Section.TOKENS, "k")
    assert dict(await state.load(Section.TOKENS)) == {"k": b"1"}


@pytest.mark.anyio
async def test_a_missing_directory_is_an_empty_store(tmp_path: Path) -> None:
    assert dict(await store(tmp_path / "none").load(Section.TOKENS)) == {}


def test_the_second_process_is_told_who_has_the_directory(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from imps_multi.hubs.state_directory import *\n"
        "try: StateLock(Path(sys.argv[1])).acquire()\n"
        "except StateLocked as error: print(error.pid, error)"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(root)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout  # noqa: S603  # our own interpreter

    with StateLock(root):
        assert other().startswith(f"{os.getpid()} {root} is in use by the process {os.getpid()};")
    assert not other()


def test_the_lock_is_within_one_process_too(root: Path) -> None:
    with StateLock(root), pytest.raises(StateLocked):
        StateLock(root).acquire()
    with StateLock(root) as again:
        again.release()


def test_the_lock_sweeps_what_a_crash_left(root: Path) -> None:
    (root / "tokens").mkdir()
    (root / "tokens" / ".tmp-1-1").write_text("half")
    with StateLock(root):
        assert not list((root / "tokens").iterdir())


def test_a_directory_open_to_others_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir(mode=0o755)
    prepare(root)
    assert mode(root) == 0o700


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StateRefused, match="belongs to user"):
        prepare(tmp_path)


def test_a_file_is_no_state_directory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateRefused, match="cannot be used"):
        StateLock(tmp_path / "state").acquire()


@given(st.text(max_size=300), st.text(max_size=300))
def test_file_names_are_unique_short_and_visible(one: str, other: str) -> None:
    name = file_name(one)
    assert len(name) <= 255
    assert "/" not in name
    assert not name.startswith(".")
    assert (one == other) is (name == file_name(other))


def test_a_directory_whose_lock_cannot_be_written_is_refused_with_the_reason(root: Path) -> None:
    (root / "lock").mkdir()
    with pytest.raises(StateRefused, match="cannot be written: Is a directory"):
        StateLock(root).acquire()


def test_a_directory_that_is_everybodys_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(StateRefused, match="is shared by everybody"):
        prepare(tmp_path)
    assert mode(tmp_path) == 0o777
