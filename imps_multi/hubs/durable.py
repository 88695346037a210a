"""Files that outlive the process: written whole or not at all, readable by us alone, damage noticed.

Blocking; called from a thread. Knows bytes and files, and not what they mean.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import quote

VERSION: Final = 1
PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600
LONGEST_NAME: Final = 200
"""Bytes of a file's name; a longer key is cut and told apart by a digest."""
_TEMPORARY: Final = ".tmp-"
_numbers: Final = count()


class Damaged(Exception):
    """A file that is not what was written."""


def file_name(key: str) -> str:
    """Encode a key as a file's name: unique, never hidden, of bounded length."""
    name = quote(key, safe="").replace(".", "%2E") if key.startswith(".") else quote(key, safe="")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME // 2]}~{blake2b(key.encode(), digest_size=16).hexdigest()}"


def write_item(directory: Path, key: str, content: bytes) -> None:
    """Write one item so that a crash at any moment leaves the old one or the new one. Raises OSError."""
    directory.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    temporary = directory / f"{_TEMPORARY}{os.getpid()}-{next(_numbers)}"
    try:
        _write_new(temporary, _enveloped(key, content))
        temporary.replace(directory / file_name(key))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(directory)


def read_items(directory: Path) -> Iterator[tuple[Path, tuple[str, bytes] | OSError | Damaged]]:
    """Read every item: its key and content, or why it cannot be read. A missing directory has none."""
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is needed
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith("."):
            path = directory / name
            try:
                yield path, _opened(path.read_bytes())
            except (OSError, Damaged) as error:
                yield path, error


def delete_item(directory: Path, key: str) -> None:
    """Take an item away; a missing one is fine. Raises OSError."""
    with suppress(FileNotFoundError):
        (directory / file_name(key)).unlink()
        _sync_directory(directory)


def sweep(directory: Path) -> None:
    """Take away what a crash left half-written; only while nobody else writes."""
    for path in directory.glob(f"**/{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _enveloped(key: str, content: bytes) -> bytes:
    head = {"version": VERSION, "key": key, "sum": _checksum(key, content)}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + content


def _opened(envelope: bytes) -> tuple[str, bytes]:
    head, newline, content = envelope.partition(b"\n")
    try:
        fields = json.loads(head)
        version, key, checksum = fields["version"], fields["key"], fields["sum"]
    except (ValueError, KeyError, TypeError):
        raise Damaged("its head cannot be read") from None
    if version != VERSION:
        raise Damaged(f"it is of version {version}; this program reads version {VERSION}")
    if not newline or checksum != _checksum(key, content):
        raise Damaged("its checksum is wrong")
    return key, content


def _checksum(key: str, content: bytes) -> str:
    return blake2b(content, key=blake2b(key.encode(), digest_size=32).digest(), digest_size=16).hexdigest()


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
