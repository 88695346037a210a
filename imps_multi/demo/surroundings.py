"""What the demonstration borrows from the machine, given back afterwards: environment, directory, log, ports.

Nothing of whoever runs it is used: no cloud account, no proxy, no kubeconfig, no settings.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from imps_multi.telemetry.logs import configure_logging

_FOREIGN = ("AWS_", "KUBE", "IMPS_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
LOG = "imps-multi.log"


@contextmanager
def own_environment(root: Path) -> Iterator[None]:
    """Hide the account of whoever runs this from every library of this process."""
    before = dict(os.environ)
    try:
        for name in before:
            if name.upper().startswith(_FOREIGN):
                del os.environ[name]
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        os.environ["AWS_CONFIG_FILE"] = str(root / "no-aws-config")
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(root / "no-aws-credentials")
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class OwnDirectory:
    """A private temporary directory, removed at the end unless `kept` is set."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="imps-multi-demo-"))
        self.kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def logging_into(path: Path) -> Iterator[None]:
    """Send everything that is logged into a file, so that it does not run into the story."""
    with path.open("w", encoding="utf-8") as stream:
        configure_logging("console", "info", stream=stream)
        try:
            yield
        finally:
            configure_logging()


def free_addresses(count: int) -> list[str]:
    """Return addresses on loopback that nobody listens on, each with another port."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
