"""Free TCP ports of this machine, below the range that the kernel gives to outgoing connections.

So a killed server finds its port free again. A port is given out once as long as this process lives, also beside other
test processes: each holds the UDP port of the same number, which nothing else here wants and which the kernel takes
back when the process is gone. A stranger may still take one between the look and the use: whoever starts a server tries
again with another.
"""

import contextlib
import random
import socket

FIRST, LAST = 18000, 32000  # Linux hands out 32768 and above by itself
TRIES = 200


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens just now, and which no test process has had."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret, just apart from other test runs
        with contextlib.suppress(OSError):
            _look(port)
            _hold(port)
            return port
    raise OSError(f"found no free port between {FIRST} and {LAST} in {TRIES} tries")


def _look(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def _hold(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", port))
        held.detach()  # open until the process ends
