"""What the switches do: each failure strikes what it should, and ends without a trace."""

import itertools

import aiohttp
import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from anyio.abc import TaskGroup

from imps_multi.sandbox.cluster import SandboxCluster
from tests.contract.client import WITHIN, Answer, Api
from tests.contract.manifests import opaque, secret

pytestmark = pytest.mark.anyio

SECRETS = "/api/v1/namespaces/team-a/secrets"
BROKEN = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


class Pending:
    """A request that is under way in a task of its own."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.broken = False

    async def send(self, api: Api, method: str, path: str, body: object = None) -> None:
        try:
            self.answer = await api.send(method, path, body)
        except BROKEN:
            self.broken = True


def start(tasks: TaskGroup, api: Api, method: str = "GET", path: str = SECRETS, body: object = None) -> Pending:
    pending = Pending()
    tasks.start_soon(pending.send, api, method, path, body)
    return pending


async def arrived(cluster: SandboxCluster, number: int) -> None:
    """Wait until that many requests have reached the server."""
    with anyio.fail_after(WITHIN):
        for _ in itertools.count():
            if sum(cluster.requests.counts.values()) >= number:
                return
            await anyio.lowlevel.checkpoint()


async def turns() -> None:
    """Let everything happen that could happen now."""
    for _ in range(200):
        await anyio.lowlevel.checkpoint()


async def test_a_failure_strikes_the_next_so_many(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.fail(503, times=2)
    assert [(await api.get(SECRETS)).status for _ in range(3)] == [503, 503, 200]


async def test_a_throttle_says_when_to_come_back(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.fail(429, retry_after=7)
    answer = await api.get(SECRETS)
    assert answer.refusal == (429, "TooManyRequests")
    assert answer.headers["Retry-After"] == "7"
    assert answer.body["details"]["retryAfterSeconds"] == 7


async def test_a_failure_is_of_what_it_names_and_until_it_is_lifted(cluster: SandboxCluster, api: Api) -> None:
    rule = cluster.faults.fail(500, verb="create", resource="secrets", namespace="team-a")
    assert (await api.get(SECRETS)).status == 200
    assert (await api.post(SECRETS, secret())).refusal == (500, "InternalError")
    assert (await api.post("/api/v1/namespaces/team-b/secrets", secret())).status == 201
    cluster.faults.lift(rule)
    assert (await api.post(SECRETS, secret())).status == 201


async def test_a_failure_of_a_name_strikes_a_list_by_that_name(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.fail(500, name="pull")
    assert (await api.get("/api/v1/secrets", fieldSelector="metadata.name=pull")).status == 500
    assert (await api.get("/api/v1/secrets", fieldSelector="metadata.name=other")).status == 200


async def test_a_hanging_request_is_never_answered_and_others_are(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.hang(verb="create")
    async with anyio.create_task_group() as tasks:
        pending = start(tasks, api, "POST", body=secret())
        await arrived(cluster, 1)
        assert (await api.get(SECRETS)).status == 200
        assert (pending.answer, pending.broken) == (None, False)
        await cluster.faults.heal()
    assert pending.broken
    assert (await api.get(f"{SECRETS}/pull")).status == 404


async def test_a_frozen_server_answers_when_it_thaws(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.freeze()
    async with anyio.create_task_group() as tasks:
        pending = start(tasks, api, "POST", body=secret())
        await arrived(cluster, 1)
        await turns()
        assert pending.answer is None
        assert cluster.store.get("Secret", "pull", "team-a") is None
        cluster.faults.thaw()
    assert pending.answer is not None
    assert pending.answer.status == 201


@pytest.mark.parametrize(("close", "open_"), [("freeze", "thaw"), ("silence", "speak")])
async def test_a_quiet_watch_tells_later_what_it_kept(
    cluster: SandboxCluster, api: Api, close: str, open_: str
) -> None:
    async with api.watch(SECRETS, resourceVersion=str(cluster.store.version)) as stream:
        cluster.store.put(opaque("before") | {"metadata": {"name": "before", "namespace": "team-a"}})
        assert await stream.change() == ("ADDED", "before")
        getattr(cluster.faults, close)()
        cluster.store.put({"kind": "Secret", "metadata": {"name": "after", "namespace": "team-a"}})
        heard: list[tuple[str, str]] = []

        async def listen() -> None:
            heard.append(await stream.change())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await turns()
            assert (heard, cluster.watches) == ([], 1)
            if close == "silence":
                assert (await api.get(f"{SECRETS}/after")).status == 200
            getattr(cluster.faults, open_)()
        assert heard == [("ADDED", "after")]


async def test_a_cut_breaks_open_watches_and_the_port_stays_open(cluster: SandboxCluster, api: Api) -> None:
    async with api.watch(SECRETS, resourceVersion=str(cluster.store.version)) as stream:
        assert cluster.faults.cut() == 1
        with pytest.raises(BROKEN):
            await stream.event()
    assert (await api.get(SECRETS)).status == 200
    assert cluster.watches == 0


async def test_a_client_that_leaves_within_an_event_is_no_error(
    cluster: SandboxCluster, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection may be closing when the next event is written, before the server hears of it."""

    async def write(_: web.StreamResponse, __: bytes) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    async with api.watch(SECRETS, resourceVersion=str(cluster.store.version)) as stream:
        monkeypatch.setattr(web.StreamResponse, "write", write)
        await api.post(SECRETS, secret("seen-by-nobody"))
        assert await stream.event() is None
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert cluster.watches == 0


async def test_a_cut_request_is_not_done_and_a_lost_answer_is(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.cut_requests(times=1, verb="create")
    with pytest.raises(BROKEN):
        await api.post(SECRETS, secret("cut"))
    cluster.faults.lose_answers(times=1, verb="create")
    with pytest.raises(BROKEN):
        await api.post(SECRETS, secret("lost"))
    assert (await api.get(SECRETS)).names == ["lost"]


async def test_a_slow_server_answers_all_the_same(cluster: SandboxCluster, api: Api) -> None:
    cluster.faults.slow(0.02, times=1)
    before = anyio.current_time()
    assert (await api.get(SECRETS)).status == 200
    assert anyio.current_time() - before >= 0.02


async def test_a_refusing_server_comes_back_on_its_port(cluster: SandboxCluster, api: Api) -> None:
    url = cluster.url
    assert (await api.post(SECRETS, secret())).status == 201
    await cluster.faults.refuse()
    with pytest.raises(aiohttp.ClientConnectorError):
        await api.get(SECRETS)
    await cluster.faults.heal()
    assert cluster.url == url
    assert (await api.get(SECRETS)).names == ["pull"]


async def test_a_mute_server_accepts_and_says_nothing(cluster: SandboxCluster, api: Api) -> None:
    await cluster.faults.mute()
    heard: list[bytes | None] = []

    async def listen(stream: anyio.abc.SocketStream) -> None:
        try:
            heard.append(await stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            heard.append(None)

    with anyio.fail_after(WITHIN):
        stream = await anyio.connect_tcp("127.0.0.1", int(cluster.url.rpartition(":")[2]))
        async with stream, anyio.create_task_group() as tasks:
            tasks.start_soon(listen, stream)
            await stream.send(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            await turns()
            assert heard == []
            await cluster.faults.heal()
    assert heard == [None]
    assert sum(cluster.requests.counts.values()) == 0
    assert (await api.get(SECRETS)).status == 200


async def test_refused_tokens_are_unauthorized_until_they_are_accepted(cluster: SandboxCluster, api: Api) -> None:
    cluster.access.refuse()
    assert (await api.get(SECRETS)).refusal == (401, "Unauthorized")
    cluster.access.accept()
    assert (await api.get(SECRETS)).status == 200


async def test_one_token_can_be_refused_alone(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(tokens={"old": "imps", "new": "imps"}) as cluster:
        cluster.access.refuse("old")
        statuses = [
            (await Api(session, url=cluster.url, token=token, tls=None).get("/api/v1/namespaces")).status
            for token in ("old", "new")
        ]
    assert statuses == [401, 200]


async def test_a_denial_forbids_what_it_names(cluster: SandboxCluster, api: Api) -> None:
    denial = cluster.access.deny(verb="create", resource="secrets", namespace="team-a")
    assert (await api.post(SECRETS, secret())).refusal == (403, "Forbidden")
    cluster.access.allow(denial)
    assert (await api.post(SECRETS, secret())).status == 201


async def test_a_stopped_cluster_leaves_nothing_open(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster() as cluster:
        api = Api(session, url=cluster.url, token="", tls=None)
        cluster.faults.hang(verb="list")
        async with anyio.create_task_group() as tasks:
            pending = start(tasks, api)
            await arrived(cluster, 1)
            await cluster.stop()
        assert pending.broken
        assert cluster.requests.in_flight == 0
