import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from imps_multi.runtime.backoff import Backoff
from imps_multi.runtime.restarts import Exhausted, RestartPolicy
from imps_multi.runtime.supervisor import (
    ChildStatus,
    EscalatedError,
    Phase,
    ReturnedError,
    StrayCancellationError,
    Supervisor,
)
from tests.runtime.timing import BOUND, no_jitter, virtual_time

pytestmark = pytest.mark.anyio

POLICY = RestartPolicy(restarts=2, window=60, backoff=Backoff(initial=1, factor=2, cap=30), retry_every=300)


class BugError(Exception):
    """What nobody foresaw."""


@dataclass
class Notes:
    """What the hooks were told."""

    crashes: list[tuple[str, int, type[Exception]]] = field(default_factory=list)
    phases: list[tuple[str, Phase]] = field(default_factory=list)

    def crashed(self, name: str, incarnation: int, error: Exception) -> None:
        assert error.__traceback__ is not None or isinstance(error, ReturnedError | StrayCancellationError)
        self.crashes.append((name, incarnation, type(error)))

    def changed(self, status: ChildStatus) -> None:
        self.phases.append((status.name, status.phase))


def supervisor(notes: Notes, policy: RestartPolicy = POLICY) -> Supervisor:
    return Supervisor(policy=policy, rand=no_jitter, on_crash=notes.crashed, on_change=notes.changed)


def failing(times: int) -> Callable[[], Coroutine[None, None, None]]:
    """Return a child that fails at once, so many times, and then goes on for ever."""
    left = [times]

    async def child() -> None:
        await anyio.lowlevel.checkpoint()
        if left[0]:
            left[0] -= 1
            raise BugError
        await anyio.sleep_forever()

    return child


def phase(running: Supervisor, name: str) -> Phase:
    """Return where a child stands."""
    return running.children[name].phase


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()


@virtual_time
async def test_a_child_that_fails_restarts_with_backoff_and_the_others_do_not_notice() -> None:
    notes = Notes()
    began = anyio.current_time()
    calls: list[float] = []

    async def other() -> None:
        calls.append(anyio.current_time() - began)
        await anyio.sleep_forever()

    with anyio.fail_after(60):
        async with supervisor(notes) as running:
            running.start("other", other)
            running.start("bad", failing(2))
            await anyio.sleep(2.5)
            assert running.children["bad"].until == pytest.approx(began + 3)
            await anyio.sleep(2.5)
            assert running.children["bad"] == ChildStatus(name="bad", phase=Phase.RUNNING, incarnation=3, crashes=2)
            await running.stop("bad")
            await running.stop("other")
    assert notes.crashes == [("bad", 1, BugError), ("bad", 2, BugError)]
    bad = [state for name, state in notes.phases if name == "bad"]
    assert bad == [Phase.RUNNING, Phase.RESTARTING, Phase.RUNNING, Phase.RESTARTING, Phase.RUNNING]
    assert calls == [0]


@virtual_time
async def test_a_child_whose_budget_is_spent_is_quarantined_and_tried_now_and_then() -> None:
    notes = Notes()
    with anyio.fail_after(2000):
        async with supervisor(notes) as running:
            running.start("bad", failing(5))
            await anyio.sleep(100)
            assert (phase(running, "bad"), len(notes.crashes)) == (Phase.QUARANTINED, 3)
            await anyio.sleep(300)
            assert (phase(running, "bad"), len(notes.crashes)) == (Phase.QUARANTINED, 4)
            await anyio.sleep(600)
            assert phase(running, "bad") is Phase.RUNNING
            await running.stop("bad")
    assert len(notes.crashes) == 5


@virtual_time
async def test_a_child_that_is_stopped_in_quarantine_is_told_of_as_finished() -> None:
    notes = Notes()
    with anyio.fail_after(2000):
        async with supervisor(notes) as running:
            running.start("bad", failing(9))
            await anyio.sleep(100)
            assert phase(running, "bad") is Phase.QUARANTINED
            await running.stop("bad")
            assert "bad" not in running.children
    assert notes.phases[-2:] == [("bad", Phase.QUARANTINED), ("bad", Phase.FINISHED)]


@virtual_time
async def test_a_child_that_may_not_be_lost_ends_its_supervisor() -> None:
    notes = Notes()
    policy = RestartPolicy(restarts=1, exhausted=Exhausted.ESCALATE)
    ended: list[str] = []

    async def other() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("other")

    async def run() -> None:
        async with supervisor(notes, policy) as running:
            running.start("other", other)
            running.start("vital", failing(9))
            await anyio.sleep_forever()

    with anyio.fail_after(60), pytest.RaisesGroup(EscalatedError) as raised:
        await run()
    assert isinstance(raised.value.exceptions[0].__cause__, BugError)
    assert ended == ["other"]
    assert notes.phases[-1] == ("vital", Phase.ESCALATED)


async def test_a_child_that_returns_has_finished_and_its_name_is_free() -> None:
    notes = Notes()
    with anyio.fail_after(BOUND):
        async with supervisor(notes) as running:
            running.start("brief", nothing)
            await wait_all_tasks_blocked()
            assert phase(running, "brief") is Phase.FINISHED
            running.start("brief", nothing)
    assert running.children["brief"] == ChildStatus(name="brief", phase=Phase.FINISHED, incarnation=1)
    assert notes.crashes == []


async def test_a_return_is_a_failure_where_a_child_may_not_return() -> None:
    notes = Notes()
    policy = RestartPolicy(may_return=False)
    with anyio.fail_after(BOUND):
        async with supervisor(notes) as running:
            running.start("eternal", nothing, policy=policy)
            await wait_all_tasks_blocked()
            assert phase(running, "eternal") is Phase.RESTARTING
            await running.stop("eternal")
    assert notes.crashes == [("eternal", 1, ReturnedError)]


async def test_a_name_is_given_to_one_living_child_only() -> None:
    with anyio.fail_after(BOUND):
        async with supervisor(Notes()) as running:
            running.start("a", anyio.sleep_forever)
            with pytest.raises(ValueError, match="'a' is there already"):
                running.start("a", anyio.sleep_forever)
            await running.stop("a")
            running.start("a", nothing)


async def test_stopping_waits_until_the_child_has_cleaned_up_and_then_forgets_it() -> None:
    cleaned: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
            cleaned.append("child")

    with anyio.fail_after(BOUND):
        async with supervisor(Notes()) as running:
            running.start("child", child)
            await wait_all_tasks_blocked()
            await running.stop("child")
            assert cleaned == ["child"]
            assert running.children == {}
            await running.stop("child")


async def test_a_child_stopped_before_it_ran_ends_too() -> None:
    with anyio.fail_after(BOUND):
        async with supervisor(Notes()) as running:
            running.start("child", anyio.sleep_forever)
            await running.stop("child")
    assert running.children == {}


async def test_a_quarantined_child_can_be_stopped() -> None:
    with anyio.fail_after(BOUND):
        async with supervisor(Notes(), RestartPolicy(restarts=0)) as running:
            running.start("bad", failing(9))
            await wait_all_tasks_blocked()
            assert phase(running, "bad") is Phase.QUARANTINED
            await running.stop("bad")


async def test_cancelling_the_block_cancels_the_children_and_is_no_crash() -> None:
    notes = Notes()
    ended: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("child")

    with anyio.fail_after(BOUND), anyio.CancelScope() as scope:
        async with supervisor(notes) as running:
            running.start("child", child)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert ended == ["child"]
    assert notes.crashes == []


async def test_a_failure_in_the_block_itself_cancels_the_children_and_comes_out() -> None:
    notes = Notes()

    async def run() -> None:
        async with supervisor(notes) as running:
            running.start("child", anyio.sleep_forever)
            await wait_all_tasks_blocked()
            raise BugError

    with anyio.fail_after(BOUND), pytest.RaisesGroup(BugError):
        await run()
    assert notes.crashes == []


async def test_a_child_that_fails_while_it_is_stopped_is_reported_and_hurts_nobody() -> None:
    notes = Notes()

    async def sour() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise BugError

    async def child() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(sour)
            await anyio.sleep_forever()

    with anyio.fail_after(BOUND):
        async with supervisor(notes) as running:
            running.start("child", child)
            running.start("bare", sour)
            running.start("other", anyio.sleep_forever)
            await wait_all_tasks_blocked()
            await running.stop("child")
            await running.stop("bare")
            assert phase(running, "other") is Phase.RUNNING
            await running.stop("other")
    assert notes.crashes == [("child", 1, ExceptionGroup), ("bare", 1, BugError)]


async def test_a_vital_child_that_fails_while_it_is_stopped_does_not_escalate() -> None:
    notes = Notes()

    async def sour() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise BugError

    with anyio.fail_after(BOUND):
        async with supervisor(notes, RestartPolicy(restarts=0, exhausted=Exhausted.ESCALATE)) as running:
            running.start("vital", sour)
            await wait_all_tasks_blocked()
            await running.stop("vital")
    assert notes.crashes == [("vital", 1, BugError)]
    assert notes.phases == [("vital", Phase.RUNNING)]


async def test_a_failure_inside_the_childs_own_group_is_a_failure_of_the_child() -> None:
    notes = Notes()

    async def child() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(failing(1))
            await anyio.sleep_forever()

    with anyio.fail_after(BOUND):
        async with supervisor(notes) as running:
            running.start("child", child)
            await wait_all_tasks_blocked()
            await running.stop("child")
    assert notes.crashes == [("child", 1, ExceptionGroup)]


class HaltError(BaseException):
    """Like KeyboardInterrupt: not for a supervisor to handle."""


@pytest.mark.parametrize("in_group", [False, True])
async def test_what_is_no_exception_passes_through(in_group: bool) -> None:  # noqa: FBT001  # a parameter of the test
    notes = Notes()

    async def halting() -> None:
        await anyio.lowlevel.checkpoint()
        if in_group:
            raise BaseExceptionGroup("both", [HaltError(), BugError()])
        raise HaltError

    async def run() -> None:
        async with supervisor(notes) as running:
            running.start("halting", halting)
            await anyio.sleep_forever()

    with anyio.fail_after(BOUND), pytest.RaisesGroup(HaltError, flatten_subgroups=True):
        await run()
    assert notes.crashes == ([("halting", 1, ExceptionGroup)] if in_group else [])


@pytest.mark.parametrize("anyio_backend", ["asyncio", "uvloop"], indirect=True)
async def test_a_cancellation_that_nobody_ordered_is_a_failure_of_the_child_alone() -> None:
    notes = Notes()

    async def child() -> None:
        given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        given_up.cancel()
        await given_up

    with anyio.fail_after(BOUND):
        async with supervisor(notes) as running:
            running.start("child", child)
            running.start("other", anyio.sleep_forever)
            await wait_all_tasks_blocked()
            assert phase(running, "child") is Phase.RESTARTING
            assert phase(running, "other") is Phase.RUNNING
            await running.stop("child")
            await running.stop("other")
    assert notes.crashes == [("child", 1, StrayCancellationError)]


async def test_supervisors_nest_and_an_inner_escalation_is_one_failure_outside() -> None:
    outer_notes, inner_notes = Notes(), Notes()

    async def inner() -> None:
        async with supervisor(inner_notes, RestartPolicy(restarts=0, exhausted=Exhausted.ESCALATE)) as running:
            running.start("bad", failing(1))

    with anyio.fail_after(BOUND):
        async with supervisor(outer_notes) as running:
            running.start("inner", inner)
            await wait_all_tasks_blocked()
            assert phase(running, "inner") is Phase.RESTARTING
            await running.stop("inner")
    assert outer_notes.crashes == [("inner", 1, ExceptionGroup)]
    assert inner_notes.crashes == [("bad", 1, BugError)]


async def test_nothing_is_started_outside_the_block() -> None:
    running = supervisor(Notes())
    with pytest.raises(RuntimeError, match="not entered"):
        running.start("a", nothing)
    with anyio.fail_after(BOUND):
        async with running:
            pass
    with pytest.raises(RuntimeError, match="not entered, or has ended"):
        running.start("a", nothing)
