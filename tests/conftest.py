"""What holds for every test: no blocking call on the loop, nothing of the user's account, repeatable examples.

The fixtures of the real clusters come along as a plugin.
"""

import logging
import os
import uuid
from collections.abc import Iterator

import blockbuster
import hypothesis
import pytest
import structlog

from imps_multi.telemetry.logs import LibraryHandler

pytest_plugins = ["tests.realcluster.fixtures"]

ACCOUNT = ("AWS_", "KUBECONFIG", "IMPS_", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR", "FORCE_COLOR")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

hypothesis.settings.register_profile("dev", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "ci", deadline=None, print_blob=True, derandomize=True
)  # a red run is the change's
hypothesis.settings.register_profile("soak", deadline=None, print_blob=True, max_examples=5000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have the workers of a parallel run begin with the files that need real servers: long ones, which wait a lot."""
    if hasattr(config, "workerinput"):  # what pytest-xdist gives its workers; alone, the quick tests come as they stand
        real = {item.path for item in items if item.get_closest_marker("real")}
        items.sort(key=lambda item: item.path not in real)


@pytest.fixture(autouse=True)
def _no_blocking_calls() -> Iterator[None]:
    """Fail a test in which imps_multi blocks asyncio's loop: a file, a lock, a sleep, a socket without a thread."""
    with blockbuster.blockbuster_ctx("imps_multi") as guard:
        for function in guard.functions.values():  # a loop in a thread of its own, where nothing else waits
            function.can_block_in("registries/aws_borrowing.py", "_look_up")
        yield


@pytest.fixture(autouse=True)
def _logs_end_with_the_test() -> Iterator[None]:
    """Take back what a command set up for the process: the next test's standard error is another one."""
    yield
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LibraryHandler)]:
        root.removeHandler(handler)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(scope="session", autouse=True)
def _nobodys_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session an empty home and no credentials, proxies or settings of whoever runs it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.upper().startswith(ACCOUNT) or name.upper() in PROXIES:
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # no cloud machine's identity either
        patch.setenv("AWS_CONFIG_FILE", str(home / "no-aws-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "no-aws-credentials"))
        yield


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each test a state directory of its own, made only by whatever uses it."""
    unique = tmp_path_factory.getbasetemp() / "state" / uuid.uuid4().hex
    monkeypatch.setenv("XDG_STATE_HOME", str(unique))
