"""Certificates, keys and tokens as a kubeconfig gives them: in the file as base64, or in a file beside it.

Blocks. Paths resolve against the kubeconfig's own directory. What is wrong is said with the file, the entry and the
field, never with a value. Used by ``kubeconfig`` and ``kubeconfig_user``.
"""

import base64
import binascii
from pathlib import Path
from typing import Final, NoReturn

LARGEST_FILE: Final = 1 << 20


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used, or an entry of one."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class UnreadableFileError(Exception):
    """A file that cannot be read, or not to its end; it says why in words that follow the file's name."""


def read_bounded(path: Path, largest: int) -> bytes:
    """Read a file of no more than so many bytes; a device would be read without an end. Raises UnreadableFileError."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else "not a path"
        raise UnreadableFileError(f"cannot be read: {words}") from error
    if len(content) > largest:
        raise UnreadableFileError(f"is larger than {largest} bytes")
    return content


class Materials:
    """What one entry of a kubeconfig refers to; ``entry`` is how messages name it (``user "admin"``)."""

    def __init__(self, path: Path, entry: str) -> None:
        self._path = path
        self._entry = entry

    def fail(self, words: str) -> NoReturn:
        """Raise KubeconfigError about this entry."""
        raise KubeconfigError(self._path, f"{self._entry}: {words}")

    def resolved(self, name: str) -> Path:
        """Return a path that the entry names, relative to the kubeconfig."""
        return self._path.parent / name

    def content(self, field: str, *, data: str, file: str) -> bytes | None:
        """Return what ``FIELD-data`` or ``FIELD`` gives, the data first as client-go has it; None for neither."""
        if data:
            return self._decoded(f"{field}-data", data)
        return self._read(field, file) if file else None

    def _decoded(self, field: str, data: str) -> bytes:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            self.fail(f"{field} is not base64")

    def _read(self, field: str, name: str) -> bytes:
        path = self.resolved(name)
        try:
            return read_bounded(path, LARGEST_FILE)
        except UnreadableFileError as error:
            self.fail(f"{field}: {path} {error}")
