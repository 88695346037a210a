"""What a watch makes of streams: complete, cut, silent, from another history, or not Kubernetes at all."""

import base64
from collections.abc import Awaitable, Callable

import anyio
import msgspec
import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.kube import reflector
from imps_multi.kube.shared import Shared
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    WatchEvent,
)
from imps_multi.ports import (
    Forbidden,
    Gone,
    PortError,
    Reason,
    Resume,
    Throttled,
    Transient,
    WatchNamespaces,
    WatchSecrets,
)
from tests.kube.scripted import MARKER, Handler, answer, client_of, end_of_list, line, refusing, scripted, streamed

pytestmark = pytest.mark.anyio

NAMESPACES = WatchNamespaces()


def record(name: str, version: int, seen_at: float = 0.0) -> NamespaceRecord:
    return NamespaceRecord(NamespaceName(name), version, seen_at=seen_at)


async def told(
    handler: Handler, shared: Shared, resume: Resume | None = None
) -> tuple[list[WatchEvent], Resume | None]:
    """Run one watch over namespaces to its end."""
    events: list[WatchEvent] = []
    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        with anyio.fail_after(10):
            return events, await client.watch(NAMESPACES, resume, events.append)


def sending(*chunks: bytes) -> Handler:
    async def handler(request: BaseRequest) -> web.StreamResponse:
        return await streamed(request, *chunks)

    return handler


def cutting(*chunks: bytes) -> Handler:
    async def handler(request: BaseRequest) -> web.StreamResponse:
        response = await streamed(request, *chunks)
        assert request.transport is not None
        request.transport.abort()
        return response

    return handler


def hanging(*chunks: bytes) -> Handler:
    async def handler(request: BaseRequest) -> web.StreamResponse:
        response = await streamed(request, *chunks)
        await anyio.sleep_forever()
        return response

    return handler


async def test_initial_events_become_one_whole_list(shared: Shared) -> None:
    handler = sending(line("ADDED", 3, "a"), line("ADDED", 7, "b"), end_of_list(9))
    events, resume = await told(handler, shared)
    assert events == [NamespacesReplaced((record("a", 3), record("b", 7)), 9)]
    assert resume == Resume(9)


async def test_changes_follow_the_list_and_move_the_resume_point(shared: Shared) -> None:
    shared = Shared(hub=shared.hub, clock=lambda: 1000.0)
    handler = sending(
        end_of_list(9),
        line("ADDED", 10, "c") + line("MODIFIED", 11, "c"),
        line("DELETED", 12, "c"),
        line("BOOKMARK", 40),
    )
    events, resume = await told(handler, shared)
    assert events == [
        NamespacesReplaced((), 9),
        NamespaceSeen(record("c", 10, seen_at=1000.0)),
        NamespaceSeen(record("c", 11)),
        NamespaceGone(NamespaceName("c"), 12),
    ]
    assert resume == Resume(40)


async def test_chunks_that_cut_lines_anywhere_change_nothing(shared: Shared) -> None:
    whole = line("ADDED", 3, "a") + end_of_list(9) + line("MODIFIED", 10, "a")
    expected = await told(sending(whole), shared)
    assert await told(sending(*(whole[i : i + 7] for i in range(0, len(whole), 7))), shared) == expected


async def test_an_initial_object_that_goes_before_the_end_is_not_in_the_list(shared: Shared) -> None:
    handler = sending(line("ADDED", 3, "a"), line("ADDED", 4, "b"), line("DELETED", 5, "a"), end_of_list(9))
    events, _ = await told(handler, shared)
    assert events == [NamespacesReplaced((record("b", 4),), 9)]


async def test_a_resumed_watch_asks_for_changes_only(shared: Shared) -> None:
    events: list[WatchEvent] = []
    async with scripted(sending(line("ADDED", 12, "a"))) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(NAMESPACES, Resume(11), events.append) == Resume(12)
    (request,) = server.seen
    assert request.query["resourceVersion"] == "11"
    assert request.query["allowWatchBookmarks"] == "true"
    assert 300 <= int(request.query["timeoutSeconds"]) <= 600
    assert "sendInitialEvents" not in request.query


@pytest.mark.parametrize("start", [b"", end_of_list(9)])
async def test_a_cut_stream_is_transient_and_announces_no_half_list(shared: Shared, start: bytes) -> None:
    events: list[WatchEvent] = []
    handler = cutting(start + line("ADDED", 10, "a"), b'{"type":')
    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        with pytest.raises(Transient, match=r"watch namespaces on http://127\.0\.0\.1:\d+: the answer was cut off"):
            await client.watch(NAMESPACES, None, events.append)
    assert [event for event in events if isinstance(event, NamespacesReplaced)] == (
        [NamespacesReplaced((), 9)] if start else []
    )


async def test_a_stream_that_ends_inside_an_event_is_transient(shared: Shared) -> None:
    with pytest.raises(Transient, match="ended inside an event"):
        await told(sending(end_of_list(9), line("ADDED", 10, "a")[:-5]), shared)


async def test_a_stream_that_falls_silent_asks_for_a_fresh_list(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "SILENCE", 0.2)
    events, resume = await told(hanging(end_of_list(9), line("ADDED", 10, "a")), shared)
    assert len(events) == 2
    assert resume is None


async def test_a_version_that_goes_back_asks_for_a_fresh_list_which_is_a_reset(shared: Shared) -> None:
    streams = [sending(end_of_list(90), line("ADDED", 8, "a")), sending(line("ADDED", 8, "a"), end_of_list(95))]
    events: list[WatchEvent] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        return await streams.pop(0)(request)

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(NAMESPACES, None, events.append) is None
        await client.watch(NAMESPACES, None, events.append)
    assert events == [NamespacesReplaced((), 90), NamespacesReplaced((record("a", 8),), 95, reset=True)]


async def test_a_list_older_than_the_last_one_is_a_reset_once(shared: Shared) -> None:
    versions = iter([90, 8, 9])
    events: list[WatchEvent] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        return await streamed(request, end_of_list(next(versions)))

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        for _ in range(3):
            await client.watch(NAMESPACES, None, events.append)
    assert events == [
        NamespacesReplaced((), 90),
        NamespacesReplaced((), 8, reset=True),
        NamespacesReplaced((), 9),
    ]


def error_line(code: int, reason: str, **rest: object) -> bytes:
    status = {"kind": "Status", "metadata": {}, "code": code, "reason": reason, "message": "why", **rest}
    return msgspec.json.encode({"type": "ERROR", "object": status}) + b"\n"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (error_line(410, "Expired"), Gone),
        (error_line(410, "Gone"), Gone),
        (error_line(504, "Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}), Gone),
        (error_line(500, "InternalError"), Transient),
        (error_line(429, "TooManyRequests", details={"retryAfterSeconds": 7}), Throttled),
        (error_line(403, "Forbidden"), Forbidden),
    ],
)
async def test_an_error_event_is_the_error_that_it_would_be_as_an_answer(
    shared: Shared, event: bytes, expected: type[PortError]
) -> None:
    with pytest.raises(expected, match=r"watch namespaces on .*: why"):
        await told(sending(event), shared, Resume(5))


async def test_a_version_refused_as_too_old_is_gone(shared: Shared) -> None:
    with pytest.raises(Gone):
        await told(refusing(410, "Expired", "too old resource version"), shared, Resume(5))


async def test_an_event_beyond_aiohttps_limit_is_read(shared: Shared) -> None:
    large = "x" * (5 << 20)
    events, _ = await told(sending(end_of_list(9), line("ADDED", 10, "a", annotations={"large": large})), shared)
    assert isinstance(events[-1], NamespaceSeen)
    assert events[-1].record.annotations == (("large", large),)


async def test_an_event_that_never_ends_is_given_up(shared: Shared) -> None:
    with pytest.raises(Transient, match="larger than any object"):
        await told(sending(end_of_list(9), *[b"x" * (1 << 20)] * 17), shared)


async def test_a_page_of_something_else_is_transient(shared: Shared) -> None:
    with pytest.raises(Transient, match="not a Kubernetes watch") as caught:
        await told(sending(f"<html>{MARKER}</html>\n".encode()), shared)
    assert MARKER not in str(caught.value)


def paging(pages: dict[str, object], *, watch: Handler, off: Handler) -> Handler:
    """Serve pages by their continue token and a plain watch, and say what WatchList gets."""

    async def handler(request: BaseRequest) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return await off(request)
        if "watch" in request.query:
            return await watch(request)
        return answer(pages[request.query.get("continue", "")])

    return handler


PAGES: dict[str, object] = {
    "": {
        "metadata": {"resourceVersion": "20", "continue": "more&"},
        "items": [{"metadata": {"name": "a", "resourceVersion": "3"}}],
    },
    "more&": {"metadata": {"resourceVersion": "20"}, "items": [{"metadata": {"name": "b", "resourceVersion": "4"}}]},
}


@pytest.mark.parametrize(
    "off",
    [
        refusing(422, "Invalid", "sendInitialEvents is forbidden"),
        refusing(400, "BadRequest"),
        sending(line("ADDED", 3, "a"), line("BOOKMARK", 5)),
    ],
    ids=["422", "400", "no end marker"],
)
async def test_without_watch_list_it_lists_in_pages_and_remembers(shared: Shared, off: Handler) -> None:
    events: list[WatchEvent] = []
    handler = paging(PAGES, watch=sending(line("ADDED", 21, "c")), off=off)
    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(NAMESPACES, None, events.append) == Resume(21)
        assert len(server.seen) == 4
        assert server.seen[1].query["limit"] == "500"
        assert server.seen[3].query["resourceVersion"] == "20"
        await client.watch(NAMESPACES, None, events.append)
        assert len(server.seen) == 7
    assert events[0] == NamespacesReplaced((record("a", 3), record("b", 4)), 20)


async def test_a_watch_list_that_stays_silent_before_its_end_marker_falls_back(shared: Shared) -> None:
    events: list[WatchEvent] = []
    handler = paging(PAGES, watch=sending(b""), off=hanging(line("ADDED", 3, "a")))
    async with (
        scripted(handler) as server,
        client_of(server.connection(), shared, request_timeout=1.5) as client,  # what follows the silence has as long
    ):
        await client.watch(NAMESPACES, None, events.append)
    assert events == [NamespacesReplaced((record("a", 3), record("b", 4)), 20)]


async def test_a_server_that_hangs_is_not_taken_for_one_without_watch_list(shared: Shared) -> None:
    async def forever(_: BaseRequest) -> web.StreamResponse:
        await anyio.sleep_forever()
        raise AssertionError

    handlers = [hanging(line("ADDED", 3, "a")), forever, sending(end_of_list(9))]

    async def handler(request: BaseRequest) -> web.StreamResponse:
        return await handlers.pop(0)(request)

    async with (
        scripted(handler) as server,
        client_of(server.connection(), shared, request_timeout=1.0) as client,  # the last watch has as long to work
    ):
        with pytest.raises(Transient):
            await client.watch(NAMESPACES, None, lambda _: None)
        assert await client.watch(NAMESPACES, None, lambda _: None) == Resume(9)
    assert ["sendInitialEvents" in request.query for request in server.seen] == [True, False, True]


async def test_a_list_whose_second_page_fails_announces_nothing(shared: Shared) -> None:
    events: list[WatchEvent] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return answer({"code": 422}, status=422)
        if "continue" in request.query:
            return answer({"reason": "Expired"}, status=410)
        return answer(PAGES[""])

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        with pytest.raises(Gone):
            await client.watch(NAMESPACES, None, events.append)
    assert events == []


async def test_pages_become_smaller_when_one_is_too_large(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "LARGEST_PAGE", 1000)
    small = {"metadata": {"resourceVersion": "20"}, "items": []}
    events: list[WatchEvent] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        if "watch" in request.query:
            return (
                answer({"code": 422}, status=422) if "sendInitialEvents" in request.query else await streamed(request)
            )
        large = {**small, "padding": "x" * 2000}
        return answer(large if request.query["limit"] == "500" else small)

    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(NAMESPACES, None, events.append) == Resume(20)
    assert events == [NamespacesReplaced((), 20)]


@pytest.mark.parametrize("watch_list", [True, False])
async def test_changes_after_a_large_list_come_over_another_connection(shared: Shared, *, watch_list: bool) -> None:
    """The buffers that a list fills live as long as its connection."""
    large = {"note": "x" * 100_000}
    used: list[object] = []

    async def handler(request: BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        used.append(request.transport.get_extra_info("peername"))
        if "resourceVersion" in request.query:
            return await streamed(request, line("ADDED", 10, "b"))
        if "watch" not in request.query:
            items = [{"metadata": {"name": "a", "resourceVersion": "3", "annotations": large}}]
            return answer({"metadata": {"resourceVersion": "9"}, "items": items})
        if not watch_list:
            return answer({"code": 422}, status=422)
        return await hanging(line("ADDED", 3, "a", annotations=large), end_of_list(9))(request)

    events, resume = await told(handler, shared)
    assert [type(event) for event in events] == [NamespacesReplaced, NamespaceSeen]
    assert resume == Resume(10)
    assert used[-1] != used[-2]


async def test_secrets_of_a_name_are_digested(shared: Shared) -> None:
    config = b'{"auths":{"r.example":{"username":"u","password":"%s"}}}' % MARKER.encode()
    encoded = base64.b64encode(config).decode()
    secret = {
        "metadata": {"name": "pull", "namespace": "a", "uid": "u-1", "resourceVersion": "5"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": encoded, "extra": encoded, "empty": None},
    }
    other = {"metadata": {"name": "other", "namespace": "a", "resourceVersion": "6"}}
    chunks = [msgspec.json.encode({"type": "ADDED", "object": each}) + b"\n" for each in (secret, other)]
    events: list[WatchEvent] = []
    async with (
        scripted(sending(chunks[0], end_of_list(6), *chunks)) as server,
        client_of(server.connection(), shared) as client,
    ):
        assert await client.watch(WatchSecrets(SecretName("pull")), None, events.append) is None
    assert server.seen[0].query["fieldSelector"] == "metadata.name=pull"
    (replaced,) = events
    assert isinstance(replaced, SecretsReplaced)
    ((namespace, seen),) = replaced.secrets
    assert (namespace, seen.uid, seen.resource_version) == ("a", "u-1", 5)
    assert (seen.content, seen.registries) == fingerprint(config)
    assert seen.foreign_keys == frozenset({"extra", "empty"})
    assert MARKER not in repr(events)
    assert encoded not in repr(events)


async def test_a_secret_of_another_name_only_moves_the_version_on(shared: Shared) -> None:
    other = {"metadata": {"name": "other", "namespace": "a", "resourceVersion": "8"}}
    chunk = msgspec.json.encode({"type": "ADDED", "object": other}) + b"\n"
    events: list[WatchEvent] = []
    handler = listing_then([end_of_list(6)], [chunk])
    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(WatchSecrets(SecretName("pull")), None, events.append) == Resume(8)
    assert [type(event) for event in events] == [SecretsReplaced]


def secret_line(version: int, *, kind: str = "Secret", data: str = "e30=") -> bytes:
    metadata = {"name": "pull", "namespace": "a", "uid": "u-1", "resourceVersion": str(version)}
    there: dict[str, object] = {"kind": kind, "metadata": metadata}
    if kind == "Secret":
        there |= {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data}}
    return msgspec.json.encode({"type": "MODIFIED", "object": there}) + b"\n"


def listing_then(initial: list[bytes], changes: list[bytes]) -> Handler:
    """Answer a WatchList, and then a watch from there."""

    async def handler(request: BaseRequest) -> web.StreamResponse:
        return await streamed(request, *(changes if "resourceVersion" in request.query else initial))

    return handler


async def test_secrets_are_listed_whole_and_watched_as_metadata(shared: Shared) -> None:
    handler = listing_then(
        [secret_line(5), end_of_list(6), secret_line(7), secret_line(8)[:40]],
        [secret_line(8, kind="PartialObjectMetadata"), secret_line(9, kind="PartialObjectMetadata")],
    )
    events: list[WatchEvent] = []
    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(WatchSecrets(SecretName("pull")), None, events.append) == Resume(9)
    whole, metadata = (request.headers["Accept"] for request in server.seen)
    assert whole == "application/json"
    assert metadata.startswith("application/json;as=PartialObjectMetadata;")
    versions = [event.resource_version for event in events if isinstance(event, (SecretsReplaced, SecretMoved))]
    assert versions[0] == 6
    assert versions[-2:] == [8, 9]  # what had come half is not lost


async def test_a_server_that_tells_changes_whole_is_understood(shared: Shared) -> None:
    handler = listing_then([end_of_list(6)], [secret_line(8)])
    events: list[WatchEvent] = []
    async with scripted(handler) as server, client_of(server.connection(), shared) as client:
        assert await client.watch(WatchSecrets(SecretName("pull")), None, events.append) == Resume(8)
    assert [type(event) for event in events] == [SecretsReplaced, SecretSeen]


async def test_a_long_batch_lets_others_run(shared: Shared) -> None:
    batch = b"".join(line("ADDED", 10 + index, f"n{index}") for index in range(20_000))
    seen_by_others: set[int] = set()
    events: list[WatchEvent] = []

    async def look(stop: Callable[[], bool]) -> None:
        while not stop():
            seen_by_others.add(len(events))
            await anyio.lowlevel.checkpoint()

    done = False

    async def run(call: Awaitable[Resume | None]) -> None:
        nonlocal done
        await call
        done = True

    async with scripted(sending(end_of_list(9), batch)) as server, client_of(server.connection(), shared) as client:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(look, lambda: done)
                tasks.start_soon(run, client.watch(NAMESPACES, None, events.append))
    assert len(events) == 20_001
    assert len(seen_by_others) > 10


async def test_a_server_that_never_answers_is_a_timeout(shared: Shared) -> None:
    async def handler(_: BaseRequest) -> web.StreamResponse:
        await anyio.sleep_forever()
        raise AssertionError

    async with (
        scripted(handler) as server,
        client_of(server.connection(), shared, request_timeout=0.2) as client,
    ):
        with pytest.raises(Transient) as caught:
            await client.watch(NAMESPACES, None, lambda _: None)
    assert caught.value.reason is Reason.TIMEOUT
    assert not caught.value.answered
