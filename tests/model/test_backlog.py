"""What is due in a namespace: whether one write ends it, and where something is to be read first."""

from collections.abc import Callable

import pytest

from imps_multi.model.backlog import Backlog
from imps_multi.model.names import NamespaceName
from tests.model.scenes import NOW, resolved
from tests.model.test_book import PULL, A, listed, the_plan


def due(backlog: Backlog, *, writes: int = 1, more: bool = False) -> None:
    book = listed(resolved())
    book.look(A, now=NOW)
    plan = the_plan(book)
    assert plan.name == PULL
    backlog.add(A, [plan] * writes, now=NOW, more=more)


@pytest.mark.parametrize(
    ("writes", "more", "one"), [(1, False, True), (2, False, False), (1, True, False)], ids=["one", "two", "and-later"]
)
def test_one_write_is_the_end_where_nothing_else_is_due(writes: int, *, more: bool, one: bool) -> None:
    backlog = Backlog()
    assert not backlog.ends_with_one(A)
    due(backlog, writes=2)
    due(backlog, writes=writes, more=more)
    assert backlog.ends_with_one(A) is one


def test_what_is_to_be_read_first_is_awaited_until_it_is_planned_or_settled() -> None:
    backlog = Backlog()
    backlog.namespaces.add(NamespaceName("elsewhere"))
    ends: tuple[Callable[[], None], ...] = (lambda: due(backlog), lambda: backlog.settle(A))
    for end in ends:
        due(backlog)
        backlog.expect(A)
        assert (backlog.awaiting, backlog.ends_with_one(A), backlog.take(A, now=NOW)) == ({A}, False, None)
        end()
        assert backlog.awaiting == set()
