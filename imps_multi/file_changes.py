"""When files may have changed: directories are watched, and looked at every now and then in case a watch is deaf.

Used by the directory hub and by the configuration's reload. It says that something happened and not what: who reads
decides whether anything differs. Directories are watched and not files, because the swap of a mounted Secret's
``..data`` link is seen there alone. Nothing that happens between two calls is lost.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

import anyio
import anyio.to_thread
from watchfiles._rust_notify import (  # its public generators lose events between two calls
    RustNotify,
    WatchfilesRustInternalError,
)

SETTLE_SECONDS = 0.3
AT_MOST_SECONDS = 2.0
POLL_SECONDS = 30.0
RETRY_SECONDS = 2.0


class FileChanges:
    """Follows a set of directories, each by itself and not what is under it."""

    def __init__(
        self,
        *,
        settle: float = SETTLE_SECONDS,
        at_most: float = AT_MOST_SECONDS,
        poll: float = POLL_SECONDS,
        retry: float = RETRY_SECONDS,
    ) -> None:
        """Seconds: without a change before it counts, at most until then, between looks, and while one is missing."""
        self._settle, self._at_most, self._poll, self._retry = settle, at_most, poll, retry
        self._followed: frozenset[tuple[str, int, int]] = frozenset()
        self._deaf = True
        self._notify: RustNotify | None = None
        self._lost = False
        """A wait was given up, and what it had gathered went with it."""
        self._busy = threading.Lock()

    def follow(self, directories: Iterable[Path]) -> None:
        """Watch exactly these directories from now on; blocking, and nothing where they are the same ones still.

        To be called before the directories are read, so that a change after that is told.
        """
        wanted = {str(path): _identity(path) for path in directories}
        there = frozenset((path, *identity) for path, identity in wanted.items() if identity is not None)
        self._deaf = len(there) < len(wanted) or not there
        if there == self._followed and self._notify is not None:
            return
        with self._busy:
            self._close()
            self._notify = _notify(sorted(path for path, *_ in there))
        self._followed = there
        self._deaf = self._deaf or self._notify is None

    async def changed(self) -> None:
        """Return when something happened and has settled, or when it is time for a look."""
        if self._notify is None:
            await anyio.sleep(self._retry)
            return
        stop = threading.Event()
        try:
            await anyio.to_thread.run_sync(self._wait, self._notify, stop, abandon_on_cancel=True)
        finally:
            stop.set()

    def close(self) -> None:
        """Stop watching."""
        with self._busy:
            self._close()

    def _close(self) -> None:
        if self._notify is not None:
            self._notify.close()
        self._notify = None

    def _wait(self, notify: RustNotify, stop: threading.Event) -> None:
        """Wait in a thread; one that was given up ends within ``settle``, and the next one waits for that."""
        with self._busy:
            if self._lost or notify is not self._notify:
                self._lost = False
                return
            timeout = self._retry if self._deaf else self._poll
            heard = notify.watch(_ms(self._at_most), _ms(self._settle), _ms(timeout), stop)
            self._lost = heard == "stop"


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = directory.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _notify(directories: list[str]) -> RustNotify | None:
    """Watch; None where the system does not let us (none is there, no more watches): then only looks tell."""
    if not directories:
        return None
    try:
        return RustNotify(directories, False, False, 0, False, True)
    except (OSError, WatchfilesRustInternalError):
        return None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
