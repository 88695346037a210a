"""Single flight: callers that ask for the same thing at the same time share one running call.

For calls that are dear and whose answer serves all who wait (a log-in after many 401s at once). Nothing is kept once
the call has ended: the next caller starts a new one. It starts no task, so it needs no owner; the call runs in the
first caller's task, and must itself be bounded in time.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class _Flight(Generic[T]):
    """One running call: those who wait for it, and how it ended."""

    __slots__ = ("answer", "ended", "error", "followers", "scope")

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.followers = 0
        self.answer: tuple[T] | None = None
        self.error: Exception | None = None

    async def follow(self) -> None:
        """Wait for the end. While anybody waits here, the call is shielded from its own caller's cancellation."""
        self.followers += 1
        self.scope.shield = True
        try:
            await self.ended.wait()
        finally:
            self.followers -= 1
            if not self.followers and not self.ended.is_set():
                self.scope.shield = False


class SingleFlight(Generic[T]):
    """Call it instead of `call`: one call at a time, its answer or its exception for all who came meanwhile.

    A waiter that is cancelled leaves alone. The caller in whose task the call runs, when cancelled, stays until the
    call has ended if others wait for it, and leaves at once if not. Should the call be cancelled nevertheless, one of
    those who came meanwhile makes it anew.
    """

    __slots__ = ("_call", "_flight")

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._flight: _Flight[T] | None = None

    async def __call__(self) -> T:
        """Return the answer of the running call, or of a new one. Raises whatever the call raises."""
        while (flight := self._flight) is not None:
            await flight.follow()
            if flight.answer is not None:
                return flight.answer[0]
            if flight.error is not None:
                raise flight.error
        return await self._lead()

    async def _lead(self) -> T:
        flight = self._flight = _Flight[T]()
        try:
            with flight.scope:
                answer = await self._call()
                flight.answer = (answer,)
        except Exception as error:
            flight.error = error
            raise
        finally:
            self._flight = None
            flight.ended.set()
        return answer
