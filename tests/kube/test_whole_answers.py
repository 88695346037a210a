"""An answer that is asked for whole says what was stored: what was sent, or what admission made of it."""

import pytest

from imps_multi.kube.decode import PARTIAL, WHOLE
from imps_multi.kube.secret_calls import create, patch, replace
from imps_multi.kube.target_client import TargetClient
from imps_multi.model.book import Book
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.observed import SeenSecret
from imps_multi.model.observed_fold import same_secret
from imps_multi.model.target_plan import Create, State, Update
from imps_multi.model.writing import after_create, after_update, patch_body
from imps_multi.ports import Written
from tests.kube.manifests import PULL, A, config
from tests.kube.world import World
from tests.model.scenes import HUB_REGISTRY, NOW, resolved, seen_from, source
from tests.model.scenes import world as world_of
from tests.model.test_book import line_of, listed, the_plan

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def put_in_place(client: TargetClient, book: Book) -> tuple[Written, SeenSecret | None]:
    """Make the write that is due; return its answer, and what would be there had it been stored as sent."""
    plan = the_plan(book)
    book.sending(plan)
    match plan.write:
        case Create(wanted=wanted) as write:
            answer = await client.create_secret(A, wanted.body(A, PULL), whole=True)
            sent = after_create(write, answer.uid, answer.resource_version)
        case Update(wanted=wanted, put=True) as write if wanted is not None:
            body = wanted.body(A, PULL, write.resource_version)
            answer = await client.replace_secret(A, PULL, body, whole=True)
            sent = after_update(known(book), write, answer.uid, answer.resource_version)
        case Update() as write:
            answer = await client.patch_secret(A, PULL, patch_body(write), whole=True)
            sent = after_update(known(book), write, answer.uid, answer.resource_version)
        case _:
            pytest.fail("nothing is to be put there")
    book.written(plan, answer.uid, answer.resource_version, now=NOW, stored=answer.stored)
    return answer, sent


def known(book: Book) -> SeenSecret:
    found = book.observed.secret(PULL, A)
    assert found is not None
    return found


def renew(book: Book, password: str, version: int) -> None:
    newer = resolved(None, source(HUB_REGISTRY, password=password))
    book.adopt(seen_from(world_of(newer, version=version)))
    book.look(A, now=NOW)


def a_book() -> Book:
    book = listed(resolved())
    book.look(A, now=NOW)
    return book


async def test_what_a_server_took_as_it_was_sent_is_answered_so(world: World, client: TargetClient) -> None:
    book = a_book()
    for step in ("create", "replace", "patch"):
        if step == "patch":
            await world.edit(A, PULL, {"metadata": {"labels": {"note": "theirs"}}})
            stored = await client.read_secret(A, PULL)
            book.observed.answer(PULL, A, stored)
        if step != "create":
            renew(book, step, 1 + len(step))
        answer, sent = await put_in_place(client, book)
        assert sent is not None
        assert answer.stored == await client.read_secret(A, PULL)
        assert answer.stored is not None
        assert same_secret(sent, answer.stored)
        assert (line_of(book), book.answers.altered, book.writing) == ((State.IN_SYNC, ""), {}, set())


async def test_what_admission_made_of_it_is_answered_and_counts_as_what_is_there(
    world: World, client: TargetClient
) -> None:
    book = a_book()
    async with world.alter(config("theirs")):
        first, _ = await put_in_place(client, book)
        assert (line_of(book), book.answers.altered) == ((State.PENDING, "Contested"), {PULL: A})
        assert known(book).content == fingerprint(config("theirs"))[0]
        renew(book, "newer", 2)
        second, _ = await put_in_place(client, book)
        assert second.resource_version == first.resource_version, "all of it was undone"
        assert line_of(book) == (State.PENDING, "Contested")
    renew(book, "newest", 3)
    await put_in_place(client, book)
    assert (line_of(book)[0], book.writing) == (State.IN_SYNC, set())


def test_writes_are_asked_for_as_metadata_unless_somebody_wants_more() -> None:
    for call in (create(A, b""), replace(A, PULL, b""), patch(A, PULL, b"")):
        assert call.accept == PARTIAL
    for call in (create(A, b"", whole=True), replace(A, PULL, b"", whole=True), patch(A, PULL, b"", whole=True)):
        assert call.accept == WHOLE
