"""One watched part of a hub, kept going for as long as the hub runs: list, stream, resume, back off, list again.

The same rules as for the watches of a target: a stream that ended properly goes on where it was, every other one starts
with a fresh list, and so does each after an hour. What broke is told to whoever keeps the part's standing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
import structlog

from imps_multi.ports import Gone, PortError, Resume, Throttled
from imps_multi.runtime.backoff import Backoff, Rand, Retries

RELIST_SECONDS: Final = 3600.0
HASTE_SECONDS: Final = 1.0
BROKEN: Final = Backoff(initial=0.5, factor=2.0, cap=5.0, jitter=0.5)

Stream = Callable[[Resume | None], Awaitable[Resume | None]]
"""Runs one stream: a whole list first unless resumed; returns where to go on, None for a fresh list."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A part to keep: its name in the log, its streams, and who is told why one failed."""

    what: str
    stream: Stream
    broke: Callable[[PortError], None]


async def keep(kept: Kept, rand: Rand) -> None:
    """Keep a part up to date for ever."""
    resume: Resume | None = None
    retries = BROKEN.start(rand)
    fresh_at = _fresh_at(rand)
    while True:
        started = anyio.current_time()
        if started >= fresh_at:
            resume, fresh_at = None, _fresh_at(rand)
        try:
            resume = await _until(kept.stream, resume, fresh_at)
        except Gone:
            resume = None
        except PortError as failure:
            resume = None
            log.info("Watch of the hub broke", watched=kept.what, message=str(failure))
            kept.broke(failure)
            await anyio.sleep(_delay(failure, retries, lasted=anyio.current_time() - started))
            continue
        retries.reset()
        if anyio.current_time() - started < HASTE_SECONDS:
            await anyio.sleep(BROKEN.delay(0, rand))


async def _until(stream: Stream, resume: Resume | None, fresh_at: float) -> Resume | None:
    with anyio.CancelScope(deadline=fresh_at):
        return await stream(resume)
    return None


def _fresh_at(rand: Rand) -> float:
    return anyio.current_time() + RELIST_SECONDS * (0.9 + 0.2 * rand())


def _delay(failure: PortError, retries: Retries, *, lasted: float) -> float:
    if lasted > BROKEN.cap:
        retries.reset()
    return failure.retry_after if isinstance(failure, Throttled) else retries.next()
