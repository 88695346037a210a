"""Namespaces that are selected by their pods: watched only where asked for, changed without a gap, cheap."""

from typing import Any

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.model.book import Book
from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.model.names import LINGER_ANNOTATION, UNWANTED_SINCE_ANNOTATION, ClusterName, NamespaceName
from imps_multi.ports import Transient
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import policy, static
from tests.actors.stage import HOUR, Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio

OPEN = Safety(per_cluster=BrakeLimits(100.0, 1000), fleet=BrakeLimits(100.0, 1000))
WEB = {"matchLabels": {"app": "web"}}
NOTED = {"matchAnnotations": {"note": "x"}}
A, B = spaces(2)


def by_pods(*labels: Any, **given: Any) -> dict[str, Any]:
    """Return a policy's part that selects by pods alone."""
    pods = {"labels": list(labels or (WEB,)), "annotations": given.pop("annotated", [])}
    return {"namespaces": {}, "pods": pods, **given}


def marks(cluster: FakeCluster) -> dict[str, str]:
    """Return how long each marked target lingers, by namespace."""
    annotations = {space: secret["metadata"]["annotations"] for (space, _), secret in cluster.secrets.items()}
    return {space: one[LINGER_ANNOTATION] for space, one in annotations.items() if UNWANTED_SINCE_ANNOTATION in one}


def places(cluster: FakeCluster) -> set[str]:
    return {space for space, _ in cluster.secrets}


def book(service: Service, name: str = "a") -> Book:
    return service.setting.stations[ClusterName(name)].book


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """Four namespaces, and a brake that holds nothing."""
    stage.safety.set(OPEN)
    return stage.cluster("a", *spaces(4))


async def test_a_pod_brings_its_namespace_a_target_and_the_last_one_takes_it_away_after_a_day(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(**by_pods()), static())
    async with stage.running() as service:
        await settled(service)
        assert cluster.secrets == {}
        cluster.run_pod(A, "web-1", {"app": "web"})
        cluster.run_pod(B, "db-1", {"app": "db"})
        assert await until(lambda: places(cluster) == {A}) < 0.25
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
        cluster.run_pod(A, "web-2", {"app": "web"})
        cluster.end_pod(A, "web-1")
        await settled(service)
        assert marks(cluster) == {}
        cluster.end_pod(A, "web-2")
        await until(lambda: marks(cluster) == {A: "24h"})
        await anyio.sleep(24 * HOUR - 60)
        assert places(cluster) == {A}
        await until(lambda: not cluster.secrets, within=120.0)


async def test_pods_are_watched_only_where_a_policy_that_applies_asks_for_them(stage: Stage) -> None:
    asked, other = stage.cluster("a", A), stage.cluster("b", A)
    for one in (asked, other):
        one.run_pod(A, labels={"app": "web"})
    stage.hub.put(policy(**by_pods(clusters={"names": ["a"]})), static())
    async with stage.running() as service:
        await settled(service)
        assert (len(asked.watched_pods()), len(other.watched_pods())) == (1, 0)
        assert (places(asked), places(other)) == ({A}, set())
        stage.hub.put(policy(clusters={"names": ["a"]}))
        await until(lambda: not asked.watched_pods())
        assert asked.lists("pods") == 1
    assert asked.streams == []


async def test_a_label_is_looked_for_by_the_server_and_an_annotation_by_us(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(**by_pods(WEB, {"matchLabels": {"app": "db"}})), static())
    async with stage.running() as service:
        await settled(service)
        assert all(one.selector is not None for one in cluster.watched_pods())
        assert len(cluster.watched_pods()) == 2
        cluster.run_pod(A, labels={"app": "x"}, annotations={"note": "x"})
        stage.hub.put(policy(**by_pods(annotated=[NOTED])))
        await until(lambda: places(cluster) == {A})
        await until(lambda: [one.selector for one in cluster.watched_pods()] == [None])


async def test_another_selector_leaves_no_gap(stage: Stage, cluster: FakeCluster) -> None:
    """While the new list is under way, what the old watch shows counts, and nothing becomes unwanted."""
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}
    for space in (A, B):
        cluster.run_pod(space, "web-1", {"app": "web"}, {"note": "x"})
    stage.hub.put(policy(**by_pods(**spec)), static())
    async with stage.running() as service:
        await settled(service)
        cluster.watch_error = lambda name: Transient("500", answered=True) if name == "pods" else None
        stage.hub.put(policy(**by_pods(annotated=[NOTED], **spec)))
        await anyio.sleep(30.0)
        assert [one.selector is not None for one in cluster.watched_pods()] == [True]
        cluster.run_pod("team-0002", "web-1", {"app": "web"})
        await until(lambda: "team-0002" in places(cluster))
        cluster.end_pod(A, "web-1")
        await anyio.sleep(30.0)
        assert places(cluster) == {A, B, "team-0002"}, "not the whole picture"
        cluster.watch_error = lambda _: None
        await until(lambda: places(cluster) == {B, "team-0002"}, within=60.0)
        assert [one.selector for one in cluster.watched_pods()] == [None]
        assert [one.verb for one in cluster.writes].count("delete") == 1


async def test_a_selector_that_is_replaced_takes_nothing_away_before_the_new_one_is_known(
    stage: Stage, cluster: FakeCluster
) -> None:
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}
    cluster.run_pod(A, "web-1", {"app": "web", "tier": "front"})
    cluster.run_pod(B, "web-1", {"app": "web"})
    stage.hub.put(policy(**by_pods(**spec)), static())
    async with stage.running() as service:
        await settled(service)
        cluster.watch_error = lambda name: Transient("500", answered=True) if name == "pods" else None
        stage.hub.put(policy(**by_pods({"matchLabels": {"tier": "front"}}, **spec)))
        await anyio.sleep(60.0)
        assert places(cluster) == {A, B}
        assert status_of(service).targets.desired == 2
        cluster.watch_error = lambda _: None
        await until(lambda: places(cluster) == {A}, within=60.0)


async def test_nothing_goes_while_the_pods_were_not_listed_after_a_start(stage: Stage, cluster: FakeCluster) -> None:
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}
    cluster.run_pod(A, labels={"app": "web"})
    stage.hub.put(policy(**by_pods(**spec)), policy("second", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        cluster.remove("team-0002", "other")
    cluster.watch_error = lambda name: Transient("500", answered=True) if name == "pods" else None
    cluster.end_pod(A)
    async with stage.running() as service:
        await until(lambda: service.reporter.reports and status_of(service).targets.in_sync == 1)
        await anyio.sleep(60.0)
        assert (A, "pull") in cluster.secrets
        assert status_of(service).targets.desired == 1
        assert ready(service) == ("Unknown", "Starting")
        assert ready(service, "second") == ("True", "AllSynced"), "a policy that asks for no pods does not wait"
        cluster.watch_error = lambda _: None
        await until(lambda: (A, "pull") not in cluster.secrets, within=60.0)


async def test_pods_that_may_not_be_watched_are_told_by_that_policy_alone(stage: Stage, cluster: FakeCluster) -> None:
    cluster.forbidden.add("pods")
    cluster.run_pod(A, labels={"app": "web"})
    stage.hub.put(policy(**by_pods()), policy("second", secret="other", namespaces={"names": [B]}), static())
    async with stage.running() as service:
        await until(lambda: (B, "other") in cluster.secrets)
        await until(lambda: ready(service) == ("False", "PartiallySynced"))
        (there,) = status_of(service).clusters
        assert there.reason == "Forbidden"
        assert "imps-multi rbac --role target" in there.message
        assert ready(service, "second") == ("True", "AllSynced")
        stage.hub.put(policy("second", secret="other", namespaces={"names": [A]}))
        await until(lambda: B in marks(cluster))
        cluster.allow("pods")
        await until(lambda: (A, "pull") in cluster.secrets, within=90.0)
        await until(lambda: ready(service) == ("True", "AllSynced"))


async def test_pods_that_may_not_be_watched_any_more_take_nothing_away(stage: Stage, cluster: FakeCluster) -> None:
    cluster.run_pod(A, labels={"app": "web"})
    stage.hub.put(policy(**by_pods(spec={"deletionPolicy": "Immediate"})), static())
    async with stage.running() as service:
        await settled(service)
        cluster.forbidden.add("pods")
        cluster.cut()
        cluster.end_pod(A)
        await until(lambda: ready(service) == ("False", "PartiallySynced"), within=60.0)
        await anyio.sleep(HOUR)
        assert places(cluster) == {A}


async def test_of_a_thousand_namespaces_a_pod_touches_one_and_makes_no_request_elsewhere(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty policies, each by pods of its own; counted are requests, and looks of the planner."""
    all_spaces = spaces(1000)
    cluster = stage.cluster("a", *all_spaces)
    apps = [f"app-{number:02}" for number in range(20)]
    stage.hub.put(
        static(),
        *(policy(app, **by_pods({"matchLabels": {"app": app}}, secret=f"pull-{app}")) for app in apps),
    )
    for number, space in enumerate(all_spaces):
        cluster.run_pod(space, labels={"app": apps[number % 20]})
    looked: list[NamespaceName] = []
    look = Book.look

    def counting(self: Book, namespace: NamespaceName, **given: Any) -> Any:
        looked.append(namespace)
        return look(self, namespace, **given)

    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 1000, within=60.0)
        await settled(service)
        monkeypatch.setattr(Book, "look", counting)
        requests = len(cluster.requests)
        await anyio.sleep(5.0)
        assert (len(cluster.requests) - requests, looked) == (0, [])

        for _ in range(10):  # its status changes
            cluster.run_pod(A, labels={"app": apps[0]})
        cluster.run_pod(A, "second", {"app": apps[0]})
        cluster.end_pod(A, "second")
        cluster.run_pod(A, "other", {"app": "nobody's"})
        await anyio.sleep(5.0)
        assert (len(cluster.requests) - requests, looked) == (0, [])

        cluster.run_pod(A, "third", {"app": apps[7]})
        await until(lambda: (A, "pull-app-07") in cluster.secrets)
        await anyio.sleep(5.0)
        made = cluster.requests[requests:]
        assert [(one.verb, one.namespace) for one in made] == [("create", A)]
        assert set(looked) == {A}

        looked.clear()
        stage.hub.put(
            policy(apps[3], **by_pods({"matchLabels": {"app": apps[3]}}, secret="pull-app-03", labels={"x": "y"}))
        )
        await until(lambda: len(cluster.requests) == requests + 1 + 50)
        await settled(service)
        edited = {space for number, space in enumerate(all_spaces) if number % 20 == 3}
        assert {one.namespace for one in cluster.requests[requests + 1 :]} == edited
        assert set(looked) == edited
        assert cluster.lists("pods") == 1


async def test_a_watch_that_is_not_needed_any_more_is_cancelled_in_its_list_and_begins_anew_with_one(
    stage: Stage, cluster: FakeCluster
) -> None:
    cluster.run_pod(A, labels={"app": "web"})
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.latency = 2.0
        stage.hub.put(policy(**by_pods()))
        await until(lambda: cluster.lists("pods") == 1)
        stage.hub.put(policy())
        await until(lambda: [one.result for one in cluster.requests if one.name == "pods"] == ["cancelled"])
        cluster.latency = 0.0
        stage.hub.put(policy(**by_pods()))
        await until(lambda: book(service).pods.listed and cluster.watched_pods())
        assert cluster.lists("pods") == 2
        await until(lambda: status_of(service).targets.desired == 1)


async def test_a_service_that_ends_while_pods_are_listed_leaves_nothing_open(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.latency = 20.0
        stage.hub.put(policy(**by_pods()))
        await until(lambda: cluster.lists("pods") == 1)
    assert (cluster.in_flight, cluster.open_clients, cluster.streams) == (0, 0, [])
