"""A token keeper: one identity at one endpoint, its token minted in time and never lost.

Owns one stored token; publishes a ``KeeperState``. Starts from the stored token, so that a restart mints nothing while
more than half of the life is left. When to ask is ``model.upkeep``'s to say. No lock is held across the call; a failing
or hanging endpoint costs its own keeper.
"""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import structlog
from msgspec import json, structs

from imps_multi.model import upkeep as upkeeps
from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.model.instant import format_optional
from imps_multi.model.refresh import Refused, accept
from imps_multi.model.upkeep import Moment, Upkeep
from imps_multi.ports import Clock, PortError, Provider, Section, Signals, StateStore, Throttled
from imps_multi.runtime.backoff import Rand
from imps_multi.runtime.latest import Latest, Reader
from imps_multi.runtime.monotonic import current_time
from imps_multi.runtime.token_bucket import RateLimiter, TokenBucket

MINT_SECONDS = 60.0
STARTS_PER_SECOND = 50.0
STARTS_AT_ONCE = 100.0

log = structlog.get_logger()


def line() -> RateLimiter:
    """Return where keepers line up for what may fall due for all of them at once: at a start, or when it is forced.

    It is left as soon as the registry is asked, so that one which hangs holds up nobody. Refreshes never stand in it:
    they are spread by their jitter, and must not come late.
    """
    return RateLimiter(TokenBucket(rate=STARTS_PER_SECOND, burst=STARTS_AT_ONCE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """What every keeper shares. ``enabled`` False mints nothing (observe); ``supposing``: as if it had (a plan)."""

    provider: Callable[[str], Provider]
    documented_life: Callable[[str], float]
    store: StateStore
    signals: Signals
    clock: Clock
    rand: Rand
    line: RateLimiter
    enabled: bool = True
    supposing: bool = False

    def now(self) -> Moment:
        """Return this moment."""
        return Moment(self.clock(), current_time())


async def keep_token(
    identity: MintIdentity,
    mint: Mint,
    *,
    stored: MintedToken | None,
    state: Latest[KeeperState],
    forced: Latest[int],
) -> None:
    """Keep one token for ever; a number set on ``forced`` mints once, whatever the token's age."""
    force = forced.reader()
    if force.fresh:
        force.take()
    upkeep = _begin(stored, state, mint)
    if not mint.enabled:
        await _rest(identity, mint, upkeep, state)
    while True:
        upkeep = await turn(identity, mint, upkeep, state, force)
        with anyio.move_on_after(upkeeps.pause(upkeep, mint.now(), mint.rand())):
            await forced.wait_newer(force.seen)


def _begin(stored: MintedToken | None, state: Latest[KeeperState], mint: Mint) -> Upkeep:
    """Start from what this process had, else from what an earlier one stored."""
    now, had = mint.now(), state.get(None)
    if had is not None:
        return upkeeps.resumed(had, now, mint.rand())
    if stored is None:
        return Upkeep()
    upkeep = upkeeps.adopted(stored, now, mint.rand())
    if not (mint.enabled and upkeeps.is_over(stored, now)):  # of one that is over, a new one is waited for
        state.set(upkeeps.shown(upkeep))
    return upkeep


async def turn(
    identity: MintIdentity, mint: Mint, upkeep: Upkeep, state: Latest[KeeperState], force: Reader[int]
) -> Upkeep:
    """Do what is due now; return how things stand then."""
    asked = force.fresh
    if asked or upkeeps.wants(upkeep, mint.now()):
        if asked or not upkeep.tried:
            await mint.line.take()
        if force.fresh:  # all who asked until now are served by this one
            force.take()
        upkeep = await renew(identity, mint, upkeep)
        state.set(upkeeps.shown(upkeep))
    elif not upkeep.stored:
        upkeep = await _store(identity, mint, upkeep)
    return upkeep


async def renew(identity: MintIdentity, mint: Mint, upkeep: Upkeep) -> Upkeep:
    """Ask once; return how things stand then. A token is stored before anybody sees it."""
    began = mint.now()
    try:
        with anyio.fail_after(MINT_SECONDS):
            answer = await mint.provider(identity.provider).mint(identity)
    except TimeoutError:
        return _failed(identity, mint, upkeep, f"no answer within {MINT_SECONDS:.0f} s", began)
    except PortError as failure:
        rest = failure.retry_after if isinstance(failure, Throttled) else 0.0
        return _failed(identity, mint, upkeep, str(failure), began, rest)
    if upkeeps.clock_moved(began, mint.now()):
        return _failed(identity, mint, upkeep, "the clock was set while the token was asked for", began)
    token = accept(answer, mint.clock(), mint.documented_life(identity.provider))
    if isinstance(token, Refused):
        return _failed(identity, mint, upkeep, token.message, began)
    after = upkeeps.minted(upkeep, token, mint.now(), mint.rand())
    mint.signals.refreshed(identity.provider, ok=True)
    ends = format_optional(token.expires_at)
    log.info("Credential was minted", provider=identity.provider, identity=identity.key, expires_at=ends)
    return after if after.stored else await _store(identity, mint, after)


async def _rest(identity: MintIdentity, mint: Mint, upkeep: Upkeep, state: Latest[KeeperState]) -> None:
    """Ask nobody for ever: what is stored is what there is, or, in a plan, what a run would mint."""
    now = mint.now()
    if mint.supposing and upkeeps.wants(upkeep, now):
        token = MintedToken("AWS", "would be minted", now.wall, now.wall + mint.documented_life(identity.provider))
        state.set(KeeperState(token=token, tried=True, supposed=True))
    else:
        why = "" if upkeep.token else "nothing is minted now"
        state.set(structs.replace(upkeeps.shown(upkeep), tried=True, failure=why))
    await anyio.sleep_forever()


def load(items: dict[str, bytes]) -> dict[str, MintedToken]:
    """Read the stored tokens by identity; what cannot be read is minted again."""
    tokens: dict[str, MintedToken] = {}
    for key, content in items.items():
        try:
            tokens[key] = json.decode(content, type=MintedToken)
        except ValueError:
            log.warning("Stored token is unreadable and will be minted again", identity=key)
    return tokens


def _failed(
    identity: MintIdentity, mint: Mint, upkeep: Upkeep, message: str, began: Moment, rest: float = 0.0
) -> Upkeep:
    mint.signals.refreshed(identity.provider, ok=False)
    log.warning("Credential could not be minted", provider=identity.provider, identity=identity.key, message=message)
    said = message or "it failed without a word"
    return upkeeps.failed(upkeep, said, mint.now(), mint.rand(), asked=rest, began=began)


async def _store(identity: MintIdentity, mint: Mint, upkeep: Upkeep) -> Upkeep:
    """Try to store the token. Where that fails it is used all the same, and stored when the store works again."""
    try:
        await mint.store.save(Section.TOKENS, identity.key, json.encode(upkeep.token))
    except PortError as failure:
        log.warning("Token could not be stored", identity=identity.key, message=str(failure))
        return upkeep
    return structs.replace(upkeep, stored=True)
