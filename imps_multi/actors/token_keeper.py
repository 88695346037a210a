"""A token keeper: one identity at one endpoint, its token minted in time and never lost.

Owns one stored token; publishes a ``KeeperState``. Starts from the stored token, so that a restart mints nothing while
more than half of the life is left. No lock is held across the call; a failing or hanging endpoint costs its own keeper.
"""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import structlog
from msgspec import json, structs

from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.model.instant import format_optional
from imps_multi.model.refresh import RECHECK, Refused, accept, fresh_enough, needs_refresh, next_refresh, retry_delay
from imps_multi.ports import Clock, PortError, Provider, Section, Signals, StateStore
from imps_multi.runtime.backoff import Rand
from imps_multi.runtime.latest import Latest

MINT_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """What every keeper shares. ``enabled`` False mints nothing (observe); ``supposing``: as if it had (a plan)."""

    provider: Callable[[str], Provider]
    documented_life: Callable[[str], float]
    store: StateStore
    signals: Signals
    clock: Clock
    rand: Rand
    enabled: bool = True
    supposing: bool = False


async def keep_token(
    identity: MintIdentity,
    mint: Mint,
    *,
    stored: MintedToken | None,
    state: Latest[KeeperState],
    forced: Latest[int],
) -> None:
    """Keep one token for ever; each number set on ``forced`` mints once, whatever the token's age."""
    force = forced.reader()
    if force.fresh:
        force.take()
    current = state.get(KeeperState())
    if current.token is None and stored is not None:
        current = _adopt(stored, mint)
        if not (mint.enabled and _over(stored, mint)):  # of one that is over, a new one is waited for
            state.set(current)
    failures = 0
    while True:
        asked = force.fresh
        if asked:
            force.take()
        if mint.enabled and (asked or failures or _due(current, mint)):
            current = await renew(identity, mint, current)
            failures = failures + 1 if current.failure else 0
            state.set(current)
        elif mint.supposing and not current.supposed and _due(current, mint):
            current = _supposed(identity, mint)
            state.set(current)
        elif not current.tried:
            current = structs.replace(current, tried=True, failure="" if current.token else "nothing is minted now")
            state.set(current)
        with anyio.move_on_after(_pause(current, failures, mint)):
            await forced.wait_newer(force.seen)


async def renew(identity: MintIdentity, mint: Mint, current: KeeperState) -> KeeperState:
    """Ask once; return what there is afterwards. The token is stored before it is published."""
    try:
        with anyio.fail_after(MINT_SECONDS):
            answer = await mint.provider(identity.provider).mint(identity)
        now = mint.clock()
        token = accept(answer, now, mint.documented_life(identity.provider))
    except (PortError, TimeoutError) as failure:
        message = str(failure) or f"no answer within {MINT_SECONDS:.0f} s"
        return _failing(identity, mint, current, message)
    if isinstance(token, Refused):
        return _failing(identity, mint, current, token.message)
    mint.signals.refreshed(identity.provider, ok=True)
    ends = format_optional(token.expires_at)
    log.info("Credential was minted", provider=identity.provider, identity=identity.key, expires_at=ends)
    await _store(identity, mint, token)
    return KeeperState(token=token, next_refresh=_next(token, 2 * mint.rand() - 1), tried=True)


def _supposed(identity: MintIdentity, mint: Mint) -> KeeperState:
    """Return what stands for a token that a run would mint now; nothing is written or stored in a plan."""
    now = mint.clock()
    token = MintedToken("AWS", "would be minted", now, now + mint.documented_life(identity.provider))
    return KeeperState(token=token, next_refresh=None, tried=True, supposed=True)


def load(items: dict[str, bytes]) -> dict[str, MintedToken]:
    """Read the stored tokens by identity; what cannot be read is minted again."""
    tokens: dict[str, MintedToken] = {}
    for key, content in items.items():
        try:
            tokens[key] = json.decode(content, type=MintedToken)
        except ValueError:
            log.warning("Stored token is unreadable and will be minted again", identity=key)
    return tokens


def _adopt(stored: MintedToken, mint: Mint) -> KeeperState:
    """Start from a token of an earlier process."""
    refresh = _next(stored, mint.rand()) if fresh_enough(stored, mint.clock()) else mint.clock()
    return KeeperState(token=stored, next_refresh=refresh, tried=True)


def _over(token: MintedToken, mint: Mint) -> bool:
    return token.expires_at is not None and token.expires_at <= mint.clock()


def _due(current: KeeperState, mint: Mint) -> bool:
    token, due = current.token, current.next_refresh
    return token is None or due is None or needs_refresh(mint.clock(), due=due, issued_at=token.issued_at)


def _next(token: MintedToken, jitter: float) -> float | None:
    return None if token.expires_at is None else next_refresh(token.issued_at, token.expires_at, jitter)


def _pause(current: KeeperState, failures: int, mint: Mint) -> float:
    now = mint.clock()
    if not mint.enabled:
        return RECHECK
    if failures:
        token = current.token
        remaining = None if token is None or token.expires_at is None else token.expires_at - now
        return retry_delay(failures, remaining, 2 * mint.rand() - 1)
    if current.next_refresh is None:
        return RECHECK
    return min(RECHECK, max(0.0, current.next_refresh - now))


def _failing(identity: MintIdentity, mint: Mint, current: KeeperState, message: str) -> KeeperState:
    mint.signals.refreshed(identity.provider, ok=False)
    log.warning("Credential could not be minted", provider=identity.provider, identity=identity.key, message=message)
    return structs.replace(current, failure=message, tried=True)


async def _store(identity: MintIdentity, mint: Mint, token: MintedToken) -> None:
    try:
        await mint.store.save(Section.TOKENS, identity.key, json.encode(token))
    except PortError as failure:
        log.warning("Token could not be stored", identity=identity.key, message=str(failure))
