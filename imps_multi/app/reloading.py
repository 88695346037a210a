"""Takes up changes of the configuration, the kubeconfigs and what they point to, while the service runs.

An invalid change keeps the last good configuration in force and ends nothing. Files are parsed in a thread.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import anyio.to_thread

from imps_multi.app.assembly import Assembly
from imps_multi.app.members import Members, members
from imps_multi.config.load import InvalidConfiguration, Loaded, load
from imps_multi.file_changes import FileChanges

Contents = Mapping[Path, bytes | None]


async def keep_reloading(assembly: Assembly) -> None:
    """Reload whenever one of the files changed, for ever."""
    changes = FileChanges()
    files = assembly.files
    seen: Contents = {}
    try:
        while True:
            seen = await anyio.to_thread.run_sync(_look, changes, files)
            while (now := await anyio.to_thread.run_sync(_look, changes, files)) == seen:
                await changes.changed()
            seen = now
            files = await _reload(assembly, files)
    finally:
        changes.close()


async def _reload(assembly: Assembly, files: tuple[Path, ...]) -> tuple[Path, ...]:
    try:
        loaded, fleet = await anyio.to_thread.run_sync(_read, assembly)
    except InvalidConfiguration as error:
        assembly.refuse(error)
        return files
    assembly.adopt(loaded, fleet)
    return assembly.files


def _read(assembly: Assembly) -> tuple[Loaded, Members]:
    loaded = load(assembly.loaded.path, os.environ)
    return loaded, members(loaded, assembly.shared)


def _look(changes: FileChanges, files: Iterable[Path]) -> Contents:
    """Read every file; directories are followed first, so that no change after is missed."""
    changes.follow({path.parent for path in files})
    return {path: _content(path) for path in files}


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
