"""What tells whether a file is still the one that was read: shared by whoever keeps what was made of it.

Light to import. It opens nothing: who asks has the status of a path or of an open file.
"""

import os

Signature = tuple[int, int, int, int]


def signature(status: os.stat_result) -> Signature:
    """Return what differs when a file was replaced or written to."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
