"""The files that a configuration was read from: when any of them says something else than it did.

Compares contents, so that a touched file or a stranger in the same directory is nothing. Keeps digests only, since some
of the files are private keys. Knows nothing of what is in them; app loads again when it says so.
"""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import anyio.to_thread

from imps_multi.file_changes import FileChanges
from imps_multi.file_signature import Signature, signature


class FollowedFiles:
    """Follows a set of files. Nothing that happens between two calls is lost."""

    def __init__(self, changes: FileChanges | None = None) -> None:
        self._changes = changes or FileChanges()
        self._seen: dict[Path, bytes | None] = {}
        self._stamps: dict[Path, Signature | None] = {}

    async def follow(self, files: Iterable[Path]) -> bool:
        """Follow exactly these files; say whether any was not followed before.

        Then what was read of it may be older than what is followed: read again.
        """
        wanted = frozenset(files)
        new = wanted - self._seen.keys()
        looked = await anyio.to_thread.run_sync(self._look, wanted)
        self._seen = {path: self._seen.get(path, digest) for path, digest in looked.items()}
        return bool(new)

    async def changed(self) -> None:
        """Return when any of the files differs from what it was; from now on it is compared with what it is."""
        while True:
            looked = await anyio.to_thread.run_sync(self._look, frozenset(self._seen))
            if looked != self._seen:
                self._seen = looked
                return
            await self._changes.changed()

    async def stood_still(self) -> bool:
        """Say whether no file was written to since the last look: then what was read is what was looked at.

        Else read again. What is there now is what later looks are compared with: a file that was read half written must
        not count as unchanged when the other half makes it what it was.
        """
        stamps, seen = self._stamps, self._seen
        self._seen = await anyio.to_thread.run_sync(self._look, frozenset(seen))
        return (self._stamps, self._seen) == (stamps, seen)

    def close(self) -> None:
        """Stop following."""
        self._changes.close()

    def _look(self, files: frozenset[Path]) -> dict[Path, bytes | None]:
        """Read every file; their directories are followed first, so that no change after is missed."""
        self._changes.follow({path.parent for path in files})
        self._stamps = {path: _stamp(path) for path in files}
        return {path: _digest(path) for path in files}


def _stamp(path: Path) -> Signature | None:
    try:
        return signature(path.stat())
    except OSError:
        return None


def _digest(path: Path) -> bytes | None:
    try:
        return blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        return None
