from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.abc import TaskGroup

from imps_multi.runtime.single_flight import SingleFlight
from tests.runtime.timing import BOUND

pytestmark = pytest.mark.anyio


class LoginError(Exception):
    """What the shared call raises."""


class Login:
    """A call that ends when the test says so; its answer is its number."""

    def __init__(self) -> None:
        self.calls = 0
        self.running = 0
        self.go = anyio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.calls += 1
        self.running += 1
        number = self.calls
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return number


class Callers:
    """Tasks that call, each in a scope of its own, and note what came of it."""

    def __init__(self, shared: SingleFlight[int]) -> None:
        self.shared = shared
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.answers: dict[str, int | Exception | None] = {}

    async def call(self, name: str) -> None:
        self.answers[name] = None
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.answers[name] = await self.shared()
            except LoginError as error:
                self.answers[name] = error

    @asynccontextmanager
    async def calling(self, names: str) -> AsyncIterator[TaskGroup]:
        """Have these call one after the other, and wait for their answers at the end."""
        with anyio.fail_after(BOUND):
            async with anyio.create_task_group() as group:
                for name in names:
                    group.start_soon(self.call, name)
                    await wait_all_tasks_blocked()
                yield group


async def test_callers_at_the_same_time_share_one_call_and_later_ones_start_anew() -> None:
    login = Login()
    callers = Callers(SingleFlight(login))
    async with callers.calling("abc"):
        assert login.calls == 1
        login.go.set()
    await callers.call("later")
    assert callers.answers == {"a": 1, "b": 1, "c": 1, "later": 2}


async def test_an_exception_is_shared_and_not_kept() -> None:
    login = Login()
    login.error = LoginError()
    callers = Callers(SingleFlight(login))
    async with callers.calling("abc"):
        login.go.set()
    assert callers.answers == dict.fromkeys("abc", login.error)
    login.error = None
    await callers.call("later")
    assert callers.answers["later"] == 2


async def test_a_cancelled_waiter_leaves_alone_and_at_once() -> None:
    login = Login()
    callers = Callers(SingleFlight(login))
    async with callers.calling("abc"):
        callers.scopes["b"].cancel()
        await wait_all_tasks_blocked()
        assert callers.scopes["b"].cancelled_caught
        assert login.running == 1
        login.go.set()
    assert callers.answers == {"a": 1, "b": None, "c": 1}


async def test_the_first_caller_cancelled_still_brings_the_answer_to_the_others() -> None:
    login = Login()
    callers = Callers(SingleFlight(login))
    async with callers.calling("abc"):
        callers.scopes["a"].cancel()
        await wait_all_tasks_blocked()
        assert login.running == 1
        login.go.set()
    assert (callers.answers["b"], callers.answers["c"], login.calls) == (1, 1, 1)


async def test_the_call_is_cancelled_when_nobody_waits_for_it_any_more() -> None:
    login = Login()
    callers = Callers(SingleFlight(login))
    async with callers.calling("ab"):
        callers.scopes["a"].cancel()
        await wait_all_tasks_blocked()
        assert login.running == 1
        callers.scopes["b"].cancel()
        await wait_all_tasks_blocked()
        assert login.running == 0
    assert callers.answers == {"a": None, "b": None}
    login.go.set()
    await callers.call("later")
    assert callers.answers["later"] == 2


async def test_a_single_caller_can_be_cancelled_at_once() -> None:
    login = Login()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(SingleFlight(login))
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert login.running == 0


async def test_one_who_comes_while_the_call_is_being_cancelled_makes_it_anew() -> None:
    cleaning, cleaned = anyio.Event(), anyio.Event()
    calls: list[int] = []

    async def login() -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            try:
                await anyio.sleep_forever()
            finally:
                cleaning.set()
                with anyio.CancelScope(shield=True):
                    await cleaned.wait()
        await wait_all_tasks_blocked()
        return len(calls)

    callers = Callers(SingleFlight(login))
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(callers.call, "a")
            await wait_all_tasks_blocked()
            callers.scopes["a"].cancel()
            await cleaning.wait()
            group.start_soon(callers.call, "b")
            group.start_soon(callers.call, "c")
            await wait_all_tasks_blocked()
            cleaned.set()
    assert callers.answers == {"a": None, "b": 2, "c": 2}


async def test_everybody_cancelled_at_once_leaves_nothing_running() -> None:
    login = Login()
    callers = Callers(SingleFlight(login))
    async with callers.calling("abc") as group:
        group.cancel_scope.cancel()
    assert login.running == 0
