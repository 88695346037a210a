"""The token keepers: one for each identity in use, started and stopped as sources come and go.

Owns the keepers' cells; runs each keeper as a child of its own supervisor, so that one that fails in a way nobody
foresaw is restarted or quarantined alone. Feeds the composer.
"""

from collections.abc import Iterable, Mapping

import anyio
import structlog

from imps_multi.actors.token_keeper import Mint, keep_token
from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import PortError, Section
from imps_multi.runtime.latest import Latest, Reader, wait_any
from imps_multi.runtime.supervisor import Supervisor

log = structlog.get_logger()


class Keepers:
    """Keepers by the key of their identity. Use within a running supervisor."""

    def __init__(self, mint: Mint, stored: Mapping[str, MintedToken], supervisor: Supervisor) -> None:
        self._mint = mint
        self._stored = dict(stored)
        self._supervisor = supervisor
        self._states: dict[str, Latest[KeeperState]] = {}
        self._forced: dict[str, Latest[int]] = {}
        self._since: dict[str, float] = {}
        self.changed: Latest[int] = Latest(0)
        """Set when a keeper came, went, or has a new state."""

    def states(self) -> dict[str, KeeperState]:
        """Return what every keeper has now."""
        return {key: cell.get(KeeperState()) for key, cell in self._states.items()}

    def since(self, key: str) -> float:
        """Return from when on an identity has been in use, as ``anyio.current_time`` counts."""
        return self._since.get(key, anyio.current_time())

    def knows(self, key: str) -> bool:
        """Say whether an identity is kept, or has a token that an earlier process stored."""
        return key in self._states or key in self._stored

    async def keep(self, identities: Iterable[MintIdentity]) -> None:
        """Keep exactly these. Who is new begins before anybody is waited for."""
        wanted = {identity.key: identity for identity in identities}
        for key in wanted.keys() - self._states.keys():
            self._start(wanted[key])
        for key in self._states.keys() - wanted.keys():
            await self._supervisor.stop(_name(key))
            for memory in (self._states, self._forced, self._since):
                memory.pop(key, None)
            await self._drop(key)

    async def forget_stored(self) -> None:
        """Take away what an earlier process stored of identities that nobody uses now."""
        while self._stored:
            await self._drop(self._stored.popitem()[0])

    async def _drop(self, key: str) -> None:
        """Take away the stored token of an identity that is not used any more."""
        try:
            await self._mint.store.delete(Section.TOKENS, key)
        except PortError as failure:
            log.warning("Stored token could not be deleted", identity=key, message=str(failure))

    def force(self, keys: Iterable[str]) -> None:
        """Mint these anew, once; for one that waits for its first token, that is the one."""
        for key in keys:
            cell, state = self._forced.get(key), self._states.get(key)
            if cell is not None and state is not None and state.get(None) is not None:
                cell.set(cell.value + 1)

    def _start(self, identity: MintIdentity) -> None:
        key = identity.key
        state = self._states[key] = Latest[KeeperState]()
        forced = self._forced[key] = Latest(0)
        self._since[key] = anyio.current_time()
        stored = self._stored.pop(key, None)

        async def child() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(self._relay, state.reader())
                await keep_token(identity, self._mint, stored=stored, state=state, forced=forced)

        self._supervisor.start(_name(key), child)

    async def _relay(self, reader: Reader[KeeperState]) -> None:
        while True:
            await wait_any(reader)
            reader.take()
            self.changed.set(self.changed.value + 1)


def _name(key: str) -> str:
    return f"credential {key}"
