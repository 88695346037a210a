"""A byte stream cut into lines, whatever way the chunks fall.

A reader's own ``readline`` has a limit (512 KiB in aiohttp) that one big object exceeds; the limit here only guards the
memory against a server that never ends a line. Pure; used by ``reflector``.
"""

from typing import Final

LONGEST: Final = 16 << 20


class LineTooLongError(Exception):
    """A line beyond the limit."""


class Lines:
    """Keeps what no line end has come for."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def unfinished(self) -> bool:
        """Tell whether a line has begun and not ended."""
        return bool(self._size)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without line ends, empty ones left out."""
        head, *rest = chunk.split(b"\n")
        self._keep(head)
        if not rest:
            return []
        complete = [b"".join(self._parts), *rest[:-1]]
        self._parts, self._size = [], 0
        self._keep(rest[-1])
        return [line for line in complete if line]

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._size += len(part)
            if self._size > self._longest:
                raise LineTooLongError
