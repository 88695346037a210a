"""The state store of a directory hub: a private directory, one file per item, one process at a time.

Implements the ``StateStore`` port. It holds tokens and sources, so it belongs to us alone (0700, files 0600), and a
directory that does not is refused. What cannot be read is left out and told.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio.to_thread

from imps_multi.hubs.durable import (
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    delete_item,
    read_items,
    sweep,
    write_item,
)
from imps_multi.ports import Section, StateStore, Transient

LOCK_FILE: Final = "lock"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

Unreadable = Callable[[Path, str], None]
"""Is told the file that was left out, and why."""


class StateRefused(Exception):
    """The directory cannot be used for state; the message says what to do."""


class StateLocked(StateRefused):
    """Another process uses the directory; ``pid`` is None where it has not said which."""

    def __init__(self, root: Path, pid: int | None) -> None:
        who = f"the process {pid}" if pid is not None else "another process"
        super().__init__(f"{root} is in use by {who}; stop it; an installation beside it needs a hub.id of its own")
        self.pid = pid


def prepare(root: Path) -> None:
    """Make the directory, or see to it that it is ours alone; blocking.

    Raises:
        StateRefused: it is somebody else's, no directory, or cannot be made.
    """
    try:
        root.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        status = root.stat()
        if status.st_uid != os.geteuid():
            raise StateRefused(
                f"{root} belongs to user {status.st_uid}, not to {os.geteuid()}; use a directory of ours"
            )
        if status.st_mode & stat.S_ISVTX:
            raise StateRefused(f"{root} is shared by everybody; use a directory of ours, such as {root / 'imps-multi'}")
        if status.st_mode & _OTHERS:
            root.chmod(PRIVATE_DIRECTORY)
    except OSError as error:
        raise StateRefused(f"{root} cannot be used as state directory: {error.strerror or error}") from error


class StateLock:
    """Holds the directory for one process, as long as it lives; a context manager."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._handle: int | None = None

    def acquire(self) -> None:
        """Prepare and take the directory; blocking, without waiting.

        Raises:
            StateLocked: another process has it.
            StateRefused: it cannot be used.
        """
        prepare(self._root)
        try:
            self._take(os.open(self._root / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
            sweep(self._root)
        except OSError as error:
            self.release()
            raise StateRefused(f"{self._root} cannot be written: {error.strerror or error}") from error

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _pid(handle)
            os.close(handle)
            raise StateLocked(self._root, pid) from error
        self._handle = handle
        os.truncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let the directory go; idempotent."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _pid(handle: int) -> int | None:
    text = os.pread(handle, 32, 0).strip()
    return int(text) if text.isdigit() else None


class StateDirectory:
    """The store itself. Whoever writes holds the ``StateLock``; to read needs none, and what is missing is empty."""

    def __init__(self, root: Path, on_unreadable: Unreadable) -> None:
        self._root = root
        self._on_unreadable = on_unreadable

    async def load(self, section: Section) -> Mapping[str, bytes]:
        """Return every readable item of a section by key."""
        return await anyio.to_thread.run_sync(self._load, section)

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Write one item durably. Raises Transient when it could not be written."""
        try:
            await anyio.to_thread.run_sync(write_item, self._root / section.value, key, content)
        except OSError as error:
            raise Transient(f"{self._root} could not be written: {error.strerror or error}") from error

    async def delete(self, section: Section, key: str) -> None:
        """Take one item away. Raises Transient when it could not be."""
        try:
            await anyio.to_thread.run_sync(delete_item, self._root / section.value, key)
        except OSError as error:
            raise Transient(f"{self._root} could not be written: {error.strerror or error}") from error

    def _load(self, section: Section) -> Mapping[str, bytes]:
        items: dict[str, bytes] = {}
        try:
            for path, found in read_items(self._root / section.value):
                match found:
                    case (key, content):
                        items[key] = content
                    case error:
                        self._on_unreadable(path, _why(error))
        except OSError as error:
            self._on_unreadable(self._root / section.value, _why(error))
        return items


class ReadOnlyStore:
    """A store that is read and never written: for ``--observe`` and ``plan``."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def load(self, section: Section) -> Mapping[str, bytes]:
        """Return what the store has."""
        return await self._store.load(section)

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Leave the store as it is."""

    async def delete(self, section: Section, key: str) -> None:
        """Leave the store as it is."""


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
