"""Defects of scale and operation: what is read, repeated and left unsaid, and how many clusters there may be."""

import json
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import anyio
import pytest

from imps_multi.model.names import NamespaceName
from imps_multi.model.observed import NamespaceRecord, NamespaceSeen
from imps_multi.model.plan import Planner
from imps_multi.ports import Forbidden
from tests.actors.fakes import FakeBoard, static
from tests.actors.fakes import policy as fake_policy
from tests.actors.stage import HOUR, settled, status_of
from tests.actors.stage import Stage as Actors
from tests.actors.stage import spaces as many
from tests.actors.stage import until as eventually
from tests.e2e.manifests import docker_source
from tests.e2e.program import Finished, command
from tests.e2e.site import SERVICE, Site
from tests.model.scenes import NOW, resolved
from tests.model.test_book import listed
from tests.upstream_defects.stage import Stage, ecr, spaces, team


@pytest.mark.real
def test_d25_only_what_we_write_is_ever_read(stage: Stage) -> None:
    """IMPS keeps every Secret, Pod and Namespace of the cluster in memory, whether a policy needs them or not."""
    stage.await_synced("first", 2)
    entries = [one for one in stage.clusters[1].audit.since() if one.user == SERVICE and not one.changes]
    read = Counter(one.resource for one in entries)
    assert read["secrets"]
    assert read["namespaces"]
    assert not read["pods"]  # where no policy asks for them
    assert all(_by_name(one.uri) for one in entries if one.resource == "secrets")


def _by_name(uri: str) -> bool:
    """Say whether Secrets of one name are asked for: in all namespaces, or, of what somebody else changed, in one."""
    parts = urlsplit(uri)
    (selector,) = parse_qs(parts.query).get("fieldSelector", [""])
    return selector.startswith("metadata.name=") or "/secrets/" in parts.path


def test_d26_an_event_plans_its_own_namespace_only() -> None:
    """IMPS reconciles every namespace whenever any of them changes, be it in its status."""
    book = listed(resolved(), spaces=many(50))
    for space in many(50):
        book.look(NamespaceName(space), now=NOW)
    changed = NamespaceRecord(NamespaceName(many(50)[7]), 99, labels=(("any", "label"),))
    assert {due.namespace for due in book.see(NamespaceSeen(changed), now=NOW)} <= {changed.name}


@pytest.mark.anyio
async def test_d26_a_pod_plans_its_own_namespace_and_only_if_it_is_the_first_or_the_last_that_matches(
    actors: Actors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IMPS reconciles every namespace at each event of a matching pod, status updates included."""
    cluster = actors.cluster("a", *many(50))
    web = {"app": "web"}
    actors.hub.put(fake_policy(namespaces={}, pods={"labels": [{"matchLabels": web}]}), static())
    async with actors.running() as service:
        await settled(service)
        counted = spy(monkeypatch)
        cluster.run_pod(many(50)[7], "web-1", web)
        await eventually(lambda: len(cluster.secrets) == 1)
        await anyio.sleep(1.0)
        assert 1 <= counted["pull"] <= 4
        before = counted["pull"]
        for number in range(100):
            cluster.run_pod(many(50)[7], f"web-{number % 3}", web)
        await anyio.sleep(10.0)
        assert counted["pull"] == before


@pytest.mark.anyio
async def test_d27_nothing_is_done_again_and_again_for_a_policy_that_is_gone(
    actors: Actors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IMPS puts a deleted policy back into its queue every five minutes, and knows no dots in names."""
    cluster = actors.cluster("a", *many(3))
    immediate = {"deletionPolicy": "Immediate"}
    gone = fake_policy("gone.with.dots", secret="gone.pull", spec=immediate)
    actors.hub.put(fake_policy("stays"), gone, static())
    async with actors.running() as service:
        await settled(service)
        assert status_of(service, "gone.with.dots").targets.in_sync == 3
        actors.hub.remove("gone.with.dots")
        await eventually(lambda: not [key for key in cluster.secrets if key[1] == "gone.pull"])
        await anyio.sleep(120.0)
        planned = spy(monkeypatch)
        requests = len(cluster.requests)
        await anyio.sleep(0.8 * HOUR)
        assert planned["gone.pull"] == 0
        assert {one.verb for one in cluster.requests[requests:]} <= {"probe"}
        assert "gone.pull" not in {str(stream.watched) for stream in cluster.streams}


def spy(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each Secret name is planned from now on."""
    counted: Counter[str] = Counter()
    plan = Planner.plan

    def counting(self: Planner, record: Any, name: Any, *rest: Any, **given: Any) -> Any:
        counted[name] += 1
        return plan(self, record, name, *rest, **given)

    monkeypatch.setattr(Planner, "plan", counting)
    return counted


@pytest.mark.anyio
async def test_d28_a_status_in_the_hub_does_not_grow_with_the_fleet(actors: Actors) -> None:
    """IMPS lists every namespace in the status, and has no conditions."""
    board = actors.board = FakeBoard(actors.hub)
    actors.cluster("a", *many(250))
    actors.hub.put(fake_policy(), static())
    async with actors.running() as service:
        await settled(service)
        await eventually(lambda: board.condition() == ("True", "AllSynced"), within=60.0)
    shown = board.shown()
    assert (len(shown["managedNamespaces"]), shown["managedNamespacesTotal"]) == (100, 250)
    assert {one["type"] for one in shown["conditions"]} == {
        "Ready",
        "SourcesResolved",
        "TargetsSynced",
        "TargetsReachable",
        "CredentialsFresh",
    }


@pytest.mark.anyio
async def test_d28_a_namespace_that_fails_is_not_told_at_every_try(actors: Actors) -> None:
    """IMPS tells an Event for each failing namespace at each pass."""
    board = actors.board = FakeBoard(actors.hub)
    cluster = actors.cluster("a", *many(30))
    cluster.write_error = lambda _namespace, _name: Forbidden("quota")
    actors.hub.put(fake_policy(), static())
    async with actors.running():
        await eventually(lambda: (board.condition() or ("", ""))[0] == "False", within=60.0)
        await anyio.sleep(0.5 * HOUR)
    assert len([one for one in cluster.writes if one.result == "Forbidden"]) > 300
    assert 1 <= len(board.events) <= 5


@pytest.mark.real
def test_d28_expiries_and_failures_can_be_alerted_on(stage: Stage) -> None:
    """IMPS has no metric of its own."""
    stage.serve("d28", team("d28", "d28"), ecr("d28", stage.registry, region="sa-east-1"), namespaces=spaces("d28", 1))
    stage.await_synced("d28", 2)
    page = stage.program.page()
    for name in (
        "imps_delivered_credential_expiration_timestamp_seconds",
        "imps_credential_expiration_timestamp_seconds",
        "imps_credential_refresh_total",
        "imps_secret_writes_total",
        "imps_status_condition",
        "imps_target_up",
    ):
        assert f"\n{name}{{" in page
    (shown,) = stage.program.policy("d28")["credentials"]
    assert shown["expiresAt"].endswith("Z")


@pytest.mark.real
def test_d29_the_log_level_is_honoured(stage: Stage) -> None:
    """IMPS reads its options before its flags, so that --log.level changes nothing."""
    quiet, loud = one_pass(stage, "warning"), one_pass(stage, "debug")
    assert (levels(quiet), quiet.code) == (set(), 0)
    assert {"debug", "info"} <= levels(loud)


def one_pass(stage: Stage, level: str) -> Finished:
    """Let another installation make its first pass at a log level."""
    site = Site(stage.site.root / level)
    stage.east.create_namespaces([f"d29-{level}"])
    site.reach([stage.east])
    hub = {"id": f"d29-{level}", "directory": "./hub", "stateDirectory": "./state"}
    site.configure(hub=hub, telemetry=site.telemetry(logLevel=level))
    given = team("d29", "d29", namespaces={"names": [f"d29-{level}"]})
    site.put("d29.yaml", given, docker_source("d29", password="d29-password"))
    return command(site, "run", "--config", str(site.config), "--once")


def levels(finished: Finished) -> set[str]:
    return {json.loads(line)["level"] for line in finished.err.splitlines() if line.startswith("{")}


@pytest.mark.real
def test_d29_health_is_asked_where_metrics_are_not(stage: Stage) -> None:
    """IMPS's chart probes /metrics, which says nothing of its health."""
    for path in ("/healthz", "/livez", "/readyz"):
        with urlopen(f"http://127.0.0.1:{stage.site.ports['health']}{path}", timeout=10) as answer:
            assert answer.status == 200


@pytest.mark.real
def test_d30_one_service_and_one_token_serve_several_clusters(stage: Stage) -> None:
    """IMPS serves the cluster that it runs in, and no other."""
    mints = stage.registry.mints
    source = ecr("d30", stage.registry, region="ca-central-1")
    stage.serve("d30", team("d30", "d30"), source, namespaces=spaces("d30"))
    stage.await_synced("d30", 6)
    found = stage.logins("d30-")
    assert len(found) == 3 * len(stage.clusters)
    assert len({json.dumps(one) for one in found}) == 1
    assert stage.registry.mints == mints + 1
