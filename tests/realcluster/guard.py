"""Kills the bed's servers when the test process is gone, however it went; started by path, imports nothing of ours.

Its standard input is a pipe from the test process. A line ``+PID`` gives it a process to watch over, ``-PID`` takes one
away; the end of the pipe means that the test process ended, by SIGKILL perhaps, and what is left is killed.
"""

import os
import signal
import sys


def main() -> None:
    """Follow the pipe to its end, then kill what is left."""
    watched: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line.startswith("+"):
            watched.add(pid)
        else:
            watched.discard(pid)
    for pid in watched:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
