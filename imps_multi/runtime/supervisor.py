"""Runs named children, and starts again, one for one, those that failed in a way nobody foresaw.

Expected failures never get here: a child handles them itself. What does is a bug; it is handed to a hook with its
traceback, the child restarts after a delay within its budget, and the others do not notice. It never swallows a
cancellation, and whatever is no `Exception` passes through. Fed by those who start and stop children; feeds hooks
(logs, metrics) and whoever looks at `children`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from types import TracebackType
from typing import Self, TypeAlias, assert_never

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from imps_multi.runtime.backoff import Rand
from imps_multi.runtime.restarts import Escalate, Quarantine, Restart, RestartPolicy, Restarts, Verdict

ChildFn: TypeAlias = Callable[[], Awaitable[None]]
"""One call is one incarnation; it owns whatever tasks it starts."""
OnCrash: TypeAlias = Callable[[str, int, Exception], None]
"""Told of the child's name, its incarnation (from 1), and what it raised."""
OnChange: TypeAlias = Callable[["ChildStatus"], None]
"""Told of every new status of a child."""


class EscalatedError(Exception):
    """A child's restart budget is spent, and its supervisor was told to fail then. The cause is its last failure."""


class ReturnedError(Exception):
    """A child returned that never should."""


class StrayCancellationError(Exception):
    """A child ended with a cancellation, though nobody had cancelled it: of a future that someone else gave up, say.

    Let through, it would end all children, without a word.
    """


class Phase(Enum):
    """Where a child stands."""

    RUNNING = "running"
    RESTARTING = "restarting"  # it failed, and waits out its backoff
    QUARANTINED = "quarantined"  # it failed too often, and waits for its next trial
    FINISHED = "finished"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStatus:
    """One child as of now: `until` is when the next incarnation starts, on anyio's clock, while it waits for that."""

    name: str
    phase: Phase
    incarnation: int
    crashes: int = 0
    until: float | None = None


@dataclass(slots=True)
class _Child:
    """What the supervisor holds for one child."""

    fn: ChildFn
    policy: RestartPolicy
    restarts: Restarts
    status: ChildStatus
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)


def _cancelled() -> bool:
    """Whether this task, on asyncio, is being cancelled, by a scope around it or by asyncio itself."""
    task = asyncio.current_task()
    return anyio.current_effective_deadline() == -math.inf or task is None or task.cancelling() > 0


def _nothing(*_: object) -> None:
    """Stand in for a hook that was not given."""


class Supervisor:
    """Use as `async with Supervisor(...) as supervisor`: children live within the block.

    Leaving the block waits for them to finish; cancelling it cancels them. Hooks run in the children's tasks and must
    not raise. When a child escalates, the block is cancelled and an ExceptionGroup with an `EscalatedError` comes out.
    """

    def __init__(
        self,
        *,
        policy: RestartPolicy,
        rand: Rand,
        on_crash: OnCrash = _nothing,
        on_change: OnChange = _nothing,
    ) -> None:
        self._policy = policy
        self._rand = rand
        self._on_crash = on_crash
        self._on_change = on_change
        self._children: dict[str, _Child] = {}
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._group is None:
            raise RuntimeError("the supervisor was not entered")
        try:
            return await self._group.__aexit__(kind, exc, trace)  # noqa: ASYNC102  # a group ends by waiting
        finally:
            self._group = None

    @property
    def children(self) -> dict[str, ChildStatus]:
        """Every child that was started and not stopped, by name."""
        return {name: child.status for name, child in self._children.items()}

    def start(self, name: str, fn: ChildFn, *, policy: RestartPolicy | None = None) -> None:
        """Start a child, under its own policy if one is given.

        Raises:
            ValueError: a child of that name is there and has not finished.
            RuntimeError: the supervisor is not entered.
        """
        if self._group is None:
            raise RuntimeError("the supervisor was not entered, or has ended")
        old = self._children.get(name)
        if old is not None and not old.ended.is_set():
            raise ValueError(f"child {name!r} is there already")
        chosen = policy or self._policy
        status = ChildStatus(name=name, phase=Phase.RUNNING, incarnation=0)
        child = _Child(fn, chosen, Restarts(chosen, self._rand), status)
        self._children[name] = child
        self._group.start_soon(self._run, child, name=f"child {name}")

    async def stop(self, name: str) -> None:
        """Cancel a child and wait until it has ended; it is forgotten. No such child: nothing to do.

        One that was in quarantine is told of once more, as finished: it waits for no trial any more.
        """
        child = self._children.get(name)
        if child is None:
            return
        child.scope.cancel()
        await child.ended.wait()
        if self._children.get(name) is child:
            del self._children[name]
            if child.status.phase is Phase.QUARANTINED:
                self._move(child, Phase.FINISHED)

    async def _run(self, child: _Child) -> None:
        try:
            with child.scope:
                while await self._turn(child):
                    pass
        finally:
            child.ended.set()

    async def _turn(self, child: _Child) -> bool:
        """Run one incarnation and what follows from its end; tell whether there is to be another."""
        started = anyio.current_time()
        child.status = replace(child.status, incarnation=child.status.incarnation + 1)
        self._move(child, Phase.RUNNING)
        failure = await self._incarnation(child)
        if failure is None:
            self._move(child, Phase.FINISHED)
            return False
        await checkpoint_if_cancelled()  # one that fails while it is stopped neither restarts nor escalates
        now = anyio.current_time()
        await self._obey(child, child.restarts.failed(started=started, now=now), failure, now)
        return True

    async def _incarnation(self, child: _Child) -> Exception | None:
        """Call the child once; return how it failed, if it did."""
        try:
            await child.fn()
        except Exception as failure:  # noqa: BLE001  # here is where bugs end
            return self._crashed(child, failure)
        except asyncio.CancelledError as stray:  # noqa: ASYNC103  # one that nobody ordered is a bug
            if _cancelled():
                raise
            bug = StrayCancellationError(f"child {child.status.name!r} met a cancellation that was not its own")
            bug.__cause__ = stray
            return self._crashed(child, bug)  # noqa: ASYNC104  # as above
        except BaseExceptionGroup as group:
            failures, rest = group.split(Exception)
            if failures is None or rest is None:
                raise
            self._crashed(child, failures)  # it failed while it was cancelled: the others need not suffer for it
            raise rest from None
        if child.policy.may_return:
            return None
        return self._crashed(child, ReturnedError(f"child {child.status.name!r} returned, which it never should"))

    def _crashed(self, child: _Child, failure: Exception) -> Exception:
        child.status = replace(child.status, crashes=child.status.crashes + 1)
        self._on_crash(child.status.name, child.status.incarnation, failure)
        return failure

    async def _obey(self, child: _Child, verdict: Verdict, failure: Exception, now: float) -> None:
        match verdict:
            case Restart(after):
                self._move(child, Phase.RESTARTING, until=now + after)
            case Quarantine(after):
                self._move(child, Phase.QUARANTINED, until=now + after)
            case Escalate():
                self._move(child, Phase.ESCALATED)
                raise EscalatedError(f"child {child.status.name!r} failed too often") from failure
            case _:
                assert_never(verdict)
        await anyio.sleep_until(now + after)

    def _move(self, child: _Child, phase: Phase, *, until: float | None = None) -> None:
        child.status = replace(child.status, phase=phase, until=until)
        self._on_change(child.status)
