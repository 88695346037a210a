"""The hub as a directory of manifests.

Reads every ``*.yaml``, ``*.yml``, ``*.json`` directly in it, links followed, dot names skipped, so that a mounted
ConfigMap works. Makes a ``HubReading`` of it and decides nothing: what was wrong makes the reading not whole, and the
fold keeps what was there. All blocking is done in a thread; a file is parsed again only when its bytes changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import anyio
import anyio.to_thread

from imps_multi.file_changes import FileChanges
from imps_multi.hubs.manifest_files import manifest_paths, stable_content, unreadable, why
from imps_multi.hubs.manifests import ManifestFile, read_manifests
from imps_multi.model.hub import HubProblem, HubReading, Place
from imps_multi.model.policy import SourceRef


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

    async def run(self) -> None:
        """Wait for ever: a directory is read when it is looked at."""
        await anyio.sleep_forever()

    def need(self, sources: frozenset[SourceRef]) -> None:
        """Every manifest is read anyway."""

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
            problem = HubProblem(Place(str(self._directory)), f"cannot be read: {why(error)}")
            return HubReading((), (problem,), whole=False)
        self._parsed = {str(path): _parse(path, self._parsed.get(str(path))) for path in paths}
        return _together([parsed.reading for parsed in self._parsed.values()])


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
        return _Parsed(b"", _reading(unreadable(path, error)))
    digest = blake2b(content, digest_size=32).digest()
    if before is not None and before.digest == digest:
        return before
    return _Parsed(digest, _reading(read_manifests(content, str(path))))


def _reading(file: ManifestFile) -> HubReading:
    objects = tuple(manifest.object for manifest in file.manifests) if file.whole else ()
    return HubReading(objects, file.problems, whole=file.whole)
