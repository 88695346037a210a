"""No server outlives the test process, not even one that is killed."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.realcluster.process import Guardian, Server

PROGRAM = """
import os, pathlib, sys
from tests.realcluster.process import Guardian, Server
server = Server("sleeper", log=pathlib.Path(sys.argv[1]), guardian=Guardian())
server.start([sys.executable, "-c", "import time; time.sleep(60)"])
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_servers_die_with_a_killed_test_process(tmp_path: Path) -> None:
    """The guardian sees the end of its pipe and kills what the dead process left running."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:  # noqa: S603 - our own program
        assert session.stdout is not None
        server = psutil.Process(int(session.stdout.readline()))
        session.send_signal(signal.SIGKILL)
        gone, left = psutil.wait_procs([server], timeout=10)
    assert (gone, left) == ([server], [])


@pytest.mark.parametrize("stop", ["kill", "stop"])
def test_a_frozen_server_can_be_ended(tmp_path: Path, stop: str) -> None:
    guardian = Guardian()
    server = Server("sleeper", log=tmp_path / "log", guardian=guardian)
    server.start([sys.executable, "-c", "import time; time.sleep(60)"])
    server.freeze()
    getattr(server, stop)()
    assert not server.running
    guardian.close()
