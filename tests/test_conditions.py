"""The conditions that conftest.py promises to every test hold."""

import os
import time
from pathlib import Path

import anyio
import blockbuster
import pytest

import imps_multi


def as_the_package(source: str) -> None:
    exec(compile(source, f"{imps_multi.__path__[0]}/imagined.py", "exec"))  # noqa: S102 - a module of ours that blocks


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_blocking_call_of_the_package_on_the_loop_fails_the_test() -> None:
    with pytest.raises(blockbuster.BlockingError):
        as_the_package("import time; time.sleep(0)")
    await anyio.to_thread.run_sync(as_the_package, "import time; time.sleep(0)")
    time.sleep(0)  # noqa: ASYNC251 - the test's own calls are its own business


def test_no_account_of_the_user_is_in_reach() -> None:
    assert not [name for name in os.environ if name.startswith("AWS_") and "KEY" in name]
    assert not list(Path.home().iterdir())
    assert not Path(os.environ["XDG_STATE_HOME"]).exists()
