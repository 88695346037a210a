"""The files of a directory of manifests: which they are, and what each of them holds.

Blocking, and light to import: ``validate`` reads with it what the directory hub reads. What is wrong with a file is in
the result and not raised.
"""

import os
import stat
from pathlib import Path
from typing import Final

from imps_multi.file_signature import signature
from imps_multi.hubs.manifests import ManifestFile, read_manifests
from imps_multi.model.hub import HubProblem, Place

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
MAX_FILE_SIZE: Final = 16 * 1024 * 1024


def read_directory(directory: Path) -> tuple[ManifestFile, ...]:
    """Read a directory once, file by file, for ``validate``; a directory that cannot be read raises OSError."""
    return tuple(read_file(path) for path in manifest_paths(directory))


def read_file(path: Path) -> ManifestFile:
    """Read one file; what is wrong with it is in the result."""
    try:
        content = stable_content(path)
    except OSError as error:
        return unreadable(path, error)
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


def unreadable(path: Path, error: OSError) -> ManifestFile:
    """Return the content of a file that could not be read."""
    return ManifestFile((), (HubProblem(Place(str(path), 1, 1), f"cannot be read: {why(error)}"),))


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
    if signature(before) != signature(after) or len(content) != before.st_size:
        raise OSError("it changed while it was read")
    return content


def why(error: OSError) -> str:
    """Say why a file could not be read."""
    return error.strerror or str(error)
