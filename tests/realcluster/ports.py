"""Free TCP ports of this machine, below the range that the kernel gives to outgoing connections.

So a killed server finds its port free again. Another process may still take one between the look and the use: whoever
starts a server tries again with another.
"""

import random
import socket

FIRST, LAST = 18000, 32000  # Linux hands out 32768 and above by itself
TRIES = 200


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens just now."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret, just apart from other test runs
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"found no free port between {FIRST} and {LAST} in {TRIES} tries")
