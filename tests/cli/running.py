"""Running commands: in this process for what they say, in one of their own for what they load."""

import os
import subprocess
import sys
from collections.abc import Mapping

from typer.testing import CliRunner, Result

from imps_multi.cli.main import app

MARK = "-- modules --"


def invoke(*words: str, env: Mapping[str, str] | None = None) -> Result:
    """Run a command in this process; a failure that is no exit of its own is raised."""
    result = CliRunner().invoke(app, list(words), env=env, prog_name="imps-multi")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def modules_of(*words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, frozenset[str]]:
    """Run a command in a process of its own; return its exit code, its output, and the modules that it loaded."""
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: sys.stderr.write({MARK!r} + ' '.join(sys.modules)))\n"
        f"sys.argv = ['imps-multi', *{list(words)!r}]\n"
        "from imps_multi.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code],
        text=True,
        capture_output=True,
        env=os.environ | dict(env or {}),
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, frozenset(done.stderr.partition(MARK)[2].split())
