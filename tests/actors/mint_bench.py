"""One token keeper's world, for the tests of keepers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from imps_multi.actors.token_keeper import Mint, keep_token, line
from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Provider
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.token_bucket import RateLimiter
from tests.actors.fakes import LIFE, FakeProvider, FakeStore, RecordingSignals, WallClock

ONE = MintIdentity("fake", "one", {"secret": "cloud key"})
TWO = MintIdentity("fake", "two", {})


@dataclass
class Bench:
    """One keeper's world."""

    clock: WallClock = field(default_factory=WallClock)
    store: FakeStore = field(default_factory=FakeStore)
    signals: RecordingSignals = field(default_factory=RecordingSignals)
    state: Latest[KeeperState] = field(default_factory=Latest)
    forced: Latest[int] = field(default_factory=lambda: Latest(0))
    line: RateLimiter = field(default_factory=line)
    provider: FakeProvider = field(init=False)
    instead: Provider | None = None
    """Asked in the place of that one."""
    draw: float = 0.5
    enabled: bool = True
    supposing: bool = False

    def __post_init__(self) -> None:
        self.provider = FakeProvider(self.clock)

    @property
    def mint(self) -> Mint:
        return Mint(
            provider=lambda _: self.instead or self.provider,
            documented_life=lambda _: LIFE,
            store=self.store,
            signals=self.signals,
            clock=self.clock,
            rand=lambda: self.draw,
            line=self.line,
            enabled=self.enabled,
            supposing=self.supposing,
        )

    @property
    def token(self) -> MintedToken | None:
        return self.state.get(KeeperState()).token

    @property
    def password(self) -> str:
        return self.token.password if self.token is not None else ""

    def force(self) -> None:
        self.forced.set(self.forced.value + 1)

    @asynccontextmanager
    async def keeping(self, stored: MintedToken | None = None) -> AsyncIterator[None]:
        """Run the keeper for a while."""
        async with anyio.create_task_group() as group:

            async def keep() -> None:
                await keep_token(ONE, self.mint, stored=stored, state=self.state, forced=self.forced)

            group.start_soon(keep)
            yield
            group.cancel_scope.cancel()


def issued(bench: Bench, ago: float, life: float = LIFE) -> MintedToken:
    now = bench.clock()
    return MintedToken("AWS", "old", now - ago, now - ago + life)
