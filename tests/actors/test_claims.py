"""Claims: one identity has one holder, the first to prove it; at a tie the earlier in the file."""

import anyio
import pytest
import trio.testing

from imps_multi.actors.claims import TIE_SECONDS, Claims
from imps_multi.model.names import ClusterName, Uid

pytestmark = pytest.mark.anyio

A, B, C = ClusterName("a"), ClusterName("b"), ClusterName("c")
ONE, TWO = Uid("one"), Uid("two")

both = pytest.mark.parametrize(
    "anyio_backend",
    ["asyncio", ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})],
    ids=["asyncio", "trio"],
)


@pytest.fixture
def claims() -> Claims:
    """Three entries of which nothing is known."""
    made = Claims()
    made.configure([A, B, C])
    return made


async def gather(claims: Claims, *order: ClusterName) -> dict[ClusterName, ClusterName | None]:
    """Let several claim the same identity at once, in the order given."""
    answers: dict[ClusterName, ClusterName | None] = {}

    async def ask(name: ClusterName) -> None:
        answers[name] = await claims.claim(ONE, name)

    with anyio.fail_after(5.0):
        async with anyio.create_task_group() as group:
            for name in order:
                group.start_soon(ask, name)
    return answers


@both
async def test_the_first_to_prove_an_identity_holds_it(claims: Claims) -> None:
    claims.tried(A)
    assert await claims.claim(ONE, B) is None
    assert await claims.claim(ONE, B) is None
    assert await claims.claim(ONE, A) == B
    assert await claims.claim(TWO, A) is None


@both
@pytest.mark.parametrize("order", [(A, B, C), (C, B, A), (B, C, A), (B, A, C)])
async def test_at_a_tie_the_earlier_in_the_file_wins_whoever_asks_first(
    claims: Claims, order: tuple[ClusterName, ...]
) -> None:
    assert await gather(claims, *order) == {A: None, B: A, C: A}


async def test_a_later_entry_waits_for_an_earlier_one_a_moment_only(claims: Claims) -> None:
    began = anyio.current_time()
    assert await claims.claim(ONE, C) is None
    assert anyio.current_time() - began == TIE_SECONDS
    assert await claims.claim(ONE, A) == C


async def test_an_earlier_entry_that_failed_is_not_waited_for(claims: Claims) -> None:
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(claims.claim, ONE, C)
        await anyio.wait_all_tasks_blocked()
        claims.tried(A)
        claims.tried(B)
    assert anyio.current_time() == began
    assert await claims.claim(ONE, A) == C


@both
async def test_what_left_the_configuration_holds_nothing(claims: Claims) -> None:
    assert await claims.claim(ONE, A) is None
    assert await claims.claim(ONE, B) == A
    claims.configure([B, C])
    assert await claims.claim(ONE, B) is None


@both
async def test_a_name_that_is_another_cluster_now_frees_what_it_held(claims: Claims) -> None:
    assert await claims.claim(ONE, A) is None
    assert await claims.claim(TWO, A) is None
    assert await claims.claim(ONE, B) is None


@both
async def test_one_who_is_cancelled_while_waiting_holds_nothing(claims: Claims) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(claims.claim, ONE, C)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert await claims.claim(ONE, A) is None
