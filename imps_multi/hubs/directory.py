"""The hub as a directory of manifests.

Reads every ``*.yaml``, ``*.yml``, ``*.json`` directly in it, links followed, dot names skipped, so that a mounted
ConfigMap works. Makes a ``HubReading`` of it and decides nothing: what was wrong makes the reading not whole, and the
fold keeps what was there. All blocking is done in a thread; a file is parsed again only when its bytes changed.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import anyio.to_thread

from imps_multi.file_changes import FileChanges
from imps_multi.hubs.manifests import ManifestFile, read_manifests
from imps_multi.model.hub import HubProblem, HubReading, Place

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
MAX_FILE_SIZE: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A file's content, without the places of everything in it, which are many times as large."""

    digest: bytes
    reading: HubReading


class DirectoryHub:
    """Implements the ``Hub`` port on a directory; the hub watcher alone calls it."""

    def __init__(self, directory: Path, changes: FileChanges | None = None) -> None:
        self._directory = directory
        self._changes = changes or FileChanges()
        self._parsed: Mapping[str, _Parsed] = {}

    async def read(self) -> HubReading:
        """Look at every file once; what is wrong is in the reading."""
        return await anyio.to_thread.run_sync(self._read)

    async def changed(self) -> None:
        """Return when something in the directory changed and settled, or it is time for a look."""
        await self._changes.changed()

    def close(self) -> None:
        """Stop watching."""
        self._changes.close()

    def _read(self) -> HubReading:
        self._changes.follow([self._directory])
        try:
            paths = manifest_paths(self._directory)
        except OSError as error:
            problem = HubProblem(Place(str(self._directory)), f"cannot be read: {_why(error)}")
            return HubReading((), (problem,), whole=False)
        self._parsed = {str(path): _parse(path, self._parsed.get(str(path))) for path in paths}
        return _together([parsed.reading for parsed in self._parsed.values()])


def read_directory(directory: Path) -> tuple[ManifestFile, ...]:
    """Read a directory once, file by file, for ``validate``; a directory that cannot be read raises OSError."""
    return tuple(read_file(path) for path in manifest_paths(directory))


def read_file(path: Path) -> ManifestFile:
    """Read one file; what is wrong with it is in the result."""
    try:
        content = stable_content(path)
    except OSError as error:
        return _unreadable(path, error)
    return read_manifests(content, str(path))


def manifest_paths(directory: Path) -> list[Path]:
    """List the files that count as manifests, sorted by name."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if not (entry.name.startswith(".") or _is_directory(entry))]
    return [directory / name for name in sorted(names) if Path(name).suffix in SUFFIXES]


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _together(readings: list[HubReading]) -> HubReading:
    return HubReading(
        tuple(obj for reading in readings for obj in reading.objects),
        tuple(sorted(problem for reading in readings for problem in reading.problems)),
        whole=all(reading.whole for reading in readings),
    )


def _parse(path: Path, before: _Parsed | None) -> _Parsed:
    try:
        content = stable_content(path)
    except OSError as error:
        return _Parsed(b"", _reading(_unreadable(path, error)))
    digest = blake2b(content, digest_size=32).digest()
    if before is not None and before.digest == digest:
        return before
    return _Parsed(digest, _reading(read_manifests(content, str(path))))


def _reading(file: ManifestFile) -> HubReading:
    objects = tuple(manifest.object for manifest in file.manifests) if file.whole else ()
    return HubReading(objects, file.problems, whole=file.whole)


def _unreadable(path: Path, error: OSError) -> ManifestFile:
    return ManifestFile((), (HubProblem(Place(str(path)), f"cannot be read: {_why(error)}"),))


def stable_content(path: Path) -> bytes:
    """Read a file that stands still.

    Raises:
        OSError: it cannot be read, is no ordinary file, is too large, or changed while it was read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would block here
    with os.fdopen(handle, "rb") as file:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise OSError("it is no ordinary file")
        if before.st_size > MAX_FILE_SIZE:
            raise OSError(f"it has more than {MAX_FILE_SIZE} bytes; split it")
        content = file.read(MAX_FILE_SIZE + 1)
        after = path.stat()
    if _signature(before) != _signature(after) or len(content) != before.st_size:
        raise OSError("it changed while it was read")
    return content


def _signature(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _why(error: OSError) -> str:
    return error.strerror or str(error)
