"""The standard streams: always there, and a full disk behind them is said in a sentence.

Used by ``main`` alone, before and around every command. A stream that whoever started us has closed is stood in for by
/dev/null: its number would go to the next socket or file else, and what is printed would go there.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
_STANDARD: Final = 3
FAILED: Final = 1


@contextmanager
def standard_streams() -> Iterator[None]:
    """Stand in for streams that are closed, and end the program where one cannot be written."""
    _stand_in()
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        _give_up(f"the output cannot be written: {error.strerror}")
    finally:
        _let_go()


def _let_go() -> None:
    """Leave behind what a log could not write, which would be tried once more, and fail, at the very end."""
    try:
        sys.stderr.flush()
    except OSError:
        _to_nowhere(2)


def _stand_in() -> None:
    while (number := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - by its number, for good
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above


def _give_up(message: str) -> None:
    """Say it, and leave behind what could not be written: else it is tried once more at the very end."""
    with suppress(OSError):
        os.write(2, f"{message}\n".encode())
    _to_nowhere(1)
    _to_nowhere(2)
    sys.exit(FAILED)


def _to_nowhere(stream: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)
