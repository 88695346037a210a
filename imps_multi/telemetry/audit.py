"""The audit log: one JSON line for each write to a target cluster, to a file or to standard output.

Fed by ``signals``. A line is put into memory at once; a task of its own writes them in a thread, so a slow disk delays
nobody. A disk that fails is reported once and does not stop the service. Never holds a credential.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec
import structlog
from msgspec import Struct

from imps_multi.model.instant import format_instant, format_optional
from imps_multi.ports import WriteRecord

WAITING: Final = 100_000
"""So many lines may wait for the disk; what comes on top is lost, and said to be."""
LAST_CHANCE: Final = 2.0

log = structlog.get_logger()


class _Line(Struct, frozen=True, rename="camel"):
    time: str
    cluster: str
    namespace: str
    name: str
    uid: str
    operation: str
    policy: str
    why: str
    expires_at: str | None
    result: str


def audit_line(record: WriteRecord) -> bytes:
    """Write a record as one line of JSON, with its line feed."""
    line = _Line(
        time=f"{format_instant(record.time)[:-1]}.{int(record.time % 1 * 1000):03}Z",
        cluster=record.cluster,
        namespace=record.namespace,
        name=record.name,
        uid=record.uid,
        operation=record.operation,
        policy=record.policy,
        why=record.why,
        expires_at=format_optional(record.expires_at),
        result=record.result,
    )
    return msgspec.json.encode(line) + b"\n"


class AuditLog:
    """One audit log; ``destination`` is empty for none, ``stdout``, or the path of a file.

    ``write`` works from any task of the loop; ``run`` is a task that must live as long as anybody writes.
    """

    def __init__(self, destination: str = "", *, write_out: Callable[[bytes], None] | None = None) -> None:
        self._write_out = write_out if write_out is not None else _sink(destination)
        self._waiting: list[bytes] = []
        self._lost = 0
        self._broken = False
        self._news = anyio.Event()

    def go_on_in(self, destination: str) -> None:
        """Write what comes, and what waits, to another place."""
        self._write_out = _sink(destination)

    def write(self, record: WriteRecord) -> None:
        """Take one record; never blocks and never raises."""
        if self._write_out is None:
            return
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        self._waiting.append(audit_line(record))
        self._news.set()

    async def run(self) -> None:
        """Write what comes until cancelled, and then what is left, within two seconds."""
        try:
            while True:
                await self._news.wait()
                await self.flush()
        finally:
            with anyio.move_on_after(LAST_CHANCE, shield=True):
                await self.flush()

    async def flush(self) -> None:
        """Write everything that waits. What the disk refuses is lost."""
        self._news = anyio.Event()
        lines, self._waiting = self._waiting, []
        if not lines or self._write_out is None:
            return
        try:
            await anyio.to_thread.run_sync(self._write_out, b"".join(lines), abandon_on_cancel=True)
        except OSError as error:
            self._lost += len(lines)
            self._report(error)
        else:
            self._recovered()

    def _report(self, error: OSError) -> None:
        if not self._broken:
            log.error("Audit log cannot be written", message=error.strerror or str(error), file=error.filename)
        self._broken = True

    def _recovered(self) -> None:
        if self._lost:
            log.warning("Audit log is written again", lines_lost=self._lost)
        self._lost = 0
        self._broken = False


def _sink(destination: str) -> Callable[[bytes], None] | None:
    if not destination:
        return None
    return _to_stdout if destination == "stdout" else AuditFile(Path(destination)).write


def _to_stdout(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


class AuditFile:
    """A file that is appended to, 0600, and opened again when somebody moved it away. Blocks: for threads only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._lock = threading.Lock()  # a write that was given up may still be at it

    def write(self, lines: bytes) -> None:
        """Append; on failure the file is closed, so that the next call starts anew.

        Raises:
            OSError: it could not be opened or written.
        """
        with self._lock:
            try:
                _write_all(self._open(), lines)
            except OSError:
                self._close()
                raise

    def _open(self) -> int:
        if self._descriptor is not None and self._moved(self._descriptor):
            self._close()
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor

    def _moved(self, descriptor: int) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _write_all(descriptor: int, lines: bytes) -> None:
    left = memoryview(lines)
    while left:
        left = left[os.write(descriptor, left) :]
