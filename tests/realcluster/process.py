"""One server process of the bed: start, readiness within a bound, freeze and thaw, stop and kill by its own process id.

It knows nothing of what the server serves. The bed feeds it command lines; tests call ``freeze``, ``kill`` and the like
through the cluster.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

READY_WITHIN = 90.0
STOP_WITHIN = 15.0
POLL = 0.05


class ServerFailedError(Exception):
    """A server ended while it was starting, or was not ready in time; carries the end of its log."""


class Guardian:
    """The other end of ``guard.py``: it outlives this process just long enough to kill what was left running."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("guard.py")
        # A session of its own, so that a Ctrl-C at the terminal does not end it before its time.
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-S", str(script)], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def watch(self, pid: int) -> None:
        """Have a process killed if this one dies first."""
        self._say(f"+{pid}")

    def forget(self, pid: int) -> None:
        """Take a process away that has ended and been reaped: its id may soon be someone else's."""
        self._say(f"-{pid}")

    def close(self) -> None:
        """End the guard; what it still watches is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=STOP_WITHIN)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


class Server:
    """One server: a command line, a log file, and the process of the moment."""

    def __init__(self, name: str, *, log: Path, guardian: Guardian) -> None:
        self.name = name
        self._log = log
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    @property
    def pid(self) -> int:
        """The process id; only while it runs."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        """Whether the process was stopped by ``freeze``."""
        return self._frozen

    def start(self, command: Sequence[str]) -> None:
        """Start the process; whether it is ready is ``await_ready``'s business."""
        assert not self.running, f"{self.name} runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the bed's own command line
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._guardian.watch(self._process.pid)

    def await_ready(self, ready: Callable[[], bool], *, within: float = READY_WITHIN) -> None:
        """Return once ``ready`` says so.

        Raises:
            ServerFailedError: the process ended, or the time was up.

        """
        deadline = time.monotonic() + within
        while not ready():
            if self._ended_within(POLL):
                raise ServerFailedError(f"{self.name} ended while it was starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerFailedError(f"{self.name} was not ready within {within:.0f} s:\n{self.log_tail()}")

    def freeze(self) -> None:
        """Stop the process where it stands: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)
        self._frozen = False

    def kill(self) -> None:
        """End the process at once, as a crash does; frozen or not."""
        if self.running:
            self._signal(signal.SIGKILL)
        self._reap(None)

    def stop(self) -> None:
        """End the process in order, by force after a bound."""
        if self.running and not self.frozen:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._reap(STOP_WITHIN)
        self.kill()

    def log_tail(self, lines: int = 25) -> str:
        """Return the end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} is not running"
        self._process.send_signal(number)

    def _ended_within(self, seconds: float) -> bool:
        assert self._process is not None, f"{self.name} was not started"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
        return not self.running

    def _reap(self, within: float | None) -> None:
        if self._process is None:
            return
        self._process.wait(timeout=within)
        self._guardian.forget(self._process.pid)
        self._process, self._frozen = None, False
