"""The sandbox's ECR on a thread of its own, for tests that stand still while another process talks to it.

Feeds the tests; must not know what the program does with a token.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.from_thread
from anyio.from_thread import BlockingPortal

from imps_multi.sandbox.ecr import SandboxEcr

R = TypeVar("R")

ACCOUNT = "123456789012"
REGION = "eu-west-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


class Registry:
    """An ECR endpoint that gives another token at every call; a context manager."""

    def __init__(self, *, lifetime: float = 12 * 3600.0) -> None:
        self._lifetime = lifetime
        self._portal: BlockingPortal | None = None
        self._ecr: SandboxEcr | None = None
        self._thread = anyio.from_thread.start_blocking_portal("asyncio")

    def __enter__(self) -> Self:
        self._portal = self._thread.__enter__()
        self._ecr = self._portal.call(partial(SandboxEcr, account=ACCOUNT, lifetime=self._lifetime))
        self.wait_for(self._ecr.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait_for(self.ecr.stop)
        self._thread.__exit__(kind, error, trace)

    @property
    def ecr(self) -> SandboxEcr:
        """The endpoint; what changes it goes through ``call`` or ``wait_for``."""
        assert self._ecr is not None
        return self._ecr

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.ecr.url

    @property
    def mints(self) -> int:
        """How often a token was asked for; looked at on the loop, so that what was asked for is given out, too."""
        return self.call(lambda: self.ecr.mints)

    @property
    def newest(self) -> str:
        """The password that was given out last; empty before the first."""
        return self.ecr.issued[-1].password if self.ecr.issued else ""

    @property
    def passwords(self) -> list[str]:
        """Every password that was given out."""
        return [issued.password for issued in self.ecr.issued]

    def live(self, seconds: float) -> None:
        """Let the next tokens live as long as this."""
        self.ecr.lifetime = seconds

    def wait_for(self, function: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run something that awaits on the endpoint's own loop."""
        assert self._portal is not None
        self._portal.call(function)

    def call(self, function: Callable[..., R], *arguments: object) -> R:
        """Run something on the endpoint's own loop."""
        assert self._portal is not None
        result: R = self._portal.call(function, *arguments)
        return result
