"""Where servers differ: old ones, ones with a controller-manager, and what only the inside can show."""

from datetime import UTC, datetime

import aiohttp
import pytest

from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.server import Manners
from imps_multi.sandbox.store import Store
from tests.contract.client import Api
from tests.contract.manifests import lease, secret

pytestmark = pytest.mark.anyio

SECRETS = "/api/v1/namespaces/team-a/secrets"
STREAMED = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
POLICIES = "/apis/images.banzaicloud.io/v1alpha1/imagepullsecrets"


def of(cluster: SandboxCluster, session: aiohttp.ClientSession) -> Api:
    return Api(session, url=cluster.url, token="", tls=None)


async def test_an_old_server_does_not_know_initial_events(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(manners=Manners(watch_list=False)) as cluster:
        answer = await of(cluster, session).get("/api/v1/namespaces", watch="1", **STREAMED)
    assert answer.refusal == (422, "Invalid")
    assert "sendInitialEvents is forbidden for watch unless the WatchList feature gate" in answer.body["message"]


async def test_a_forgotten_version_can_be_refused_with_410_at_once(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(manners=Manners(gone_as_status=True)) as cluster:
        answer = await of(cluster, session).get("/api/v1/namespaces", watch="1", resourceVersion="1")
    assert answer.refusal == (410, "Expired")


async def test_an_ancient_version_is_expired_from_the_start(cluster: SandboxCluster, api: Api) -> None:
    async with api.watch(SECRETS, resourceVersion="1") as stream:
        event = await stream.event()
    assert event is not None
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert cluster.watches == 0


async def test_a_full_history_forgets_its_oldest_events(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(namespaces=["team-a"], history=2) as cluster:
        api = of(cluster, session)
        version = str(cluster.store.version)
        for name in "abc":
            await api.made(SECRETS, secret(name))
        async with api.watch(SECRETS, resourceVersion=version) as stream:
            event = await stream.event()
            assert event is not None
            assert event["type"] == "ERROR"
        async with api.watch(SECRETS, resourceVersion=str(int(version) + 1)) as stream:
            assert await stream.change() == ("ADDED", "b")


async def test_bookmarks_carry_the_newest_version_of_the_cluster(cluster: SandboxCluster, api: Api) -> None:
    query = {"resourceVersion": str(cluster.store.version)}
    async with (
        api.watch(SECRETS, allowWatchBookmarks="1", **query) as taking,
        api.watch(SECRETS, **query) as declining,
    ):
        cluster.store.add_namespace("elsewhere")
        cluster.send_bookmarks()
        await api.made(SECRETS, secret())
        mark = await taking.event()
        assert mark is not None
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["resourceVersion"] == str(cluster.store.version - 1)
        assert (await taking.change(), await declining.change()) == (("ADDED", "pull"), ("ADDED", "pull"))


async def test_bookmarks_come_by_themselves(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(manners=Manners(bookmark_seconds=0.01)) as cluster:
        version = str(cluster.store.version)
        query = {"resourceVersion": version, "allowWatchBookmarks": "1"}
        async with of(cluster, session).watch("/api/v1/namespaces", **query) as stream:
            marks = [await stream.event() for _ in range(2)]
    assert [mark["type"] for mark in marks if mark] == ["BOOKMARK", "BOOKMARK"]


async def test_a_deleted_namespace_goes_with_all_that_is_in_it(cluster: SandboxCluster, api: Api) -> None:
    await api.made(SECRETS, secret())
    version = str(cluster.store.version)
    async with (
        api.watch("/api/v1/namespaces", resourceVersion=version) as namespaces,
        api.watch("/api/v1/secrets", resourceVersion=version) as secrets,
    ):
        answer = await api.delete("/api/v1/namespaces/team-a")
        assert answer.body["status"]["phase"] == "Terminating"
        assert [await namespaces.change() for _ in range(2)] == [("MODIFIED", "team-a"), ("DELETED", "team-a")]
        assert await secrets.change() == ("DELETED", "pull")
    assert (await api.get("/api/v1/namespaces/team-a")).status == 404


async def test_a_held_namespace_goes_when_the_test_lets_it(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(namespaces=["team-a"], manners=Manners(hold_namespaces=True)) as cluster:
        api = of(cluster, session)
        await api.delete("/api/v1/namespaces/team-a")
        assert (await api.post(SECRETS, secret())).status == 403
        cluster.finish_namespace("team-a")
        assert (await api.get("/api/v1/namespaces/team-a")).status == 404


async def test_ages_come_from_the_clock_that_is_given(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(namespaces=["team-a"], now=lambda: datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)) as cluster:
        made = await of(cluster, session).made(SECRETS, secret())
    assert made["metadata"]["creationTimestamp"] == "2031-02-03T04:05:06Z"


async def test_what_is_put_past_http_is_watched_and_keeps_its_identity(cluster: SandboxCluster, api: Api) -> None:
    made = await api.made(SECRETS, secret())
    async with api.watch(SECRETS, resourceVersion=made["metadata"]["resourceVersion"]) as stream:
        cluster.store.put(secret(password="tampered", namespace="team-a"))
        event = await stream.event()
    assert event is not None
    assert event["type"] == "MODIFIED"
    assert event["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert cluster.requests.write_count == 1


def test_the_store_shows_documents() -> None:
    store = Store()
    store.put(secret(namespace="team-a"))
    found = store.get("Secret", "pull", "team-a")
    assert found is not None
    assert found["data"] == secret()["data"]
    assert len(store.all("Secret")) == 1
    store.delete("Secret", "pull", "team-a")
    assert store.get("Secret", "pull", "team-a") is None


async def test_requests_are_counted_by_verb_and_resource_and_remembered(cluster: SandboxCluster, api: Api) -> None:
    await api.get("/version")
    await api.get("/api/v1/secrets", fieldSelector="metadata.name=pull")
    await api.post(SECRETS, secret())
    await api.post(SECRETS, secret())
    log = cluster.requests
    assert (log.count("list", "secrets"), log.count("create"), log.write_count) == (1, 2, 2)
    assert [(seen.verb, seen.namespace, seen.status) for seen in log.writes] == [
        ("create", "team-a", 201),
        ("create", "team-a", 409),
    ]
    assert log.recent[1].name == "pull"
    assert log.statuses == {200: 2, 201: 1, 409: 1}
    log.clear()
    assert (log.count(), log.recent) == (0, ())


async def test_two_clusters_share_nothing(session: aiohttp.ClientSession) -> None:
    async with SandboxCluster(name="a", namespaces=["team-a"]) as one, SandboxCluster(name="b") as other:
        assert one.url != other.url
        assert one.identity != other.identity
        assert (await of(one, session).get("/api/v1/namespaces/team-a")).status == 200
        assert (await of(other, session).get("/api/v1/namespaces/team-a")).status == 404


async def test_a_kubeconfig_names_the_cluster_and_its_token() -> None:
    async with SandboxCluster(name="east", tokens={"t1": "admin", "t2": "imps"}, ca=b"PEM") as cluster:
        found = cluster.kubeconfig(user="imps")
        assert found["current-context"] == "east"
        assert found["users"] == [{"name": "east", "user": {"token": "t2"}}]
        named = {"server": cluster.url, "certificate-authority-data": "UEVN"}
        assert found["clusters"] == [{"name": "east", "cluster": named}]


async def test_a_policy_counts_its_generation_and_its_status_has_its_own_door(api: Api) -> None:
    policy = {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": "ecr"},
        "spec": {"a": 1},
        "status": {"dropped": True},
    }
    made = await api.made(POLICIES, policy)
    assert (made["metadata"]["generation"], "status" in made) == (1, False)
    status = await api.merge(f"{POLICIES}/ecr/status", {"status": {"state": "Ready"}, "spec": {"a": 2}})
    assert (status.body["spec"], status.body["status"]) == ({"a": 1}, {"state": "Ready"})
    assert status.body["metadata"]["generation"] == 1
    main = await api.merge(f"{POLICIES}/ecr", {"spec": {"a": 2}, "status": {"state": "Lost"}})
    assert (main.body["spec"], main.body["status"]) == ({"a": 2}, {"state": "Ready"})
    assert main.body["metadata"]["generation"] == 2
    assert (await api.get(POLICIES)).body["items"][0]["kind"] == "ImagePullSecret"
    unversioned = {**policy, "spec": {"a": 3}}
    assert (await api.put(f"{POLICIES}/ecr", unversioned)).refusal == (422, "Invalid")


@pytest.mark.parametrize(
    "content_type",
    ["application/apply-patch+yaml", "application/strategic-merge-patch+json", "application/json-patch+json"],
)
async def test_other_patches_are_refused_to_be_noticed(api: Api, content_type: str) -> None:
    await api.made(SECRETS, secret())
    answer = await api.send("PATCH", f"{SECRETS}/pull", {}, content_type=content_type)
    assert answer.refusal == (415, "UnsupportedMediaType")


async def test_leases_live_in_their_group(api: Api) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/team-a/leases"
    made = await api.made(path, lease("leader", "one"))
    assert made["spec"]["holderIdentity"] == "one"


async def test_many_initial_events_all_come_before_what_happens_meanwhile(cluster: SandboxCluster, api: Api) -> None:
    names = [f"n{number:04}" for number in range(500)]
    for name in names:
        cluster.store.put(secret(name, password="x" * 1000, namespace="team-a"))
    async with api.watch(SECRETS, **STREAMED) as stream:
        cluster.store.put(secret("meanwhile", namespace="team-a"))
        found, _mark = await stream.initial()
        assert found == names
        assert await stream.change() == ("ADDED", "meanwhile")
