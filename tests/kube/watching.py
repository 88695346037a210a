"""A watch that runs beside a test, and what it told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from imps_multi.model.observed import WatchEvent
from imps_multi.ports import ClusterClient, Resume, Watched


class Told:
    """The events of a watch, in order."""

    def __init__(self) -> None:
        self.events: list[WatchEvent] = []
        self.ended = False
        self.result: Resume | None = None
        self._changed = anyio.Event()

    def __call__(self, event: WatchEvent) -> None:
        self.events.append(event)
        self._changed.set()
        self._changed = anyio.Event()

    async def next(self, fits: Callable[[WatchEvent], bool]) -> WatchEvent:
        """Wait for an event that fits, also one that came before, and take all up to it away."""
        with anyio.fail_after(10):
            while True:
                for index, event in enumerate(self.events):
                    if fits(event):
                        del self.events[: index + 1]
                        return event
                await self._changed.wait()

    async def kind(self, *kinds: type) -> WatchEvent:
        """Wait for an event of one of these kinds."""
        return await self.next(lambda event: isinstance(event, kinds))


@asynccontextmanager
async def watching(client: ClusterClient, watched: Watched, resume: Resume | None = None) -> AsyncIterator[Told]:
    """Run a watch until the end of the block."""
    told = Told()

    async def run() -> None:
        told.result = await client.watch(watched, resume, told)
        told.ended = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield told
        tasks.cancel_scope.cancel()
