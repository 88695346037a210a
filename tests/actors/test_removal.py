"""What happens to targets that are no longer wanted: by policy, with timers, across restarts."""

from itertools import pairwise
from typing import Any

import anyio
import pytest

from imps_multi.ports import Transient
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import minted, policy, static
from tests.actors.letting_go import DAY, OPEN, deletes, marked, only
from tests.actors.stage import HOUR, Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """Four namespaces, and a brake that holds nothing."""
    stage.safety.set(OPEN)
    return stage.cluster("a", *spaces(4))


async def test_a_deselected_target_lingers_for_an_hour_and_goes(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000")))
        await until(lambda: marked(cluster) == set(spaces(4)[1:]))
        await settled(service)
        assert status_of(service).targets.lingering == 3
        assert ready(service) == ("True", "AllSynced")
        await anyio.sleep(HOUR - 30)
        assert len(cluster.secrets) == 4
        await until(lambda: len(cluster.secrets) == 1, within=40.0)
        assert deletes(cluster) == 3


async def test_a_lingering_target_stays_fresh(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("ecr",)), minted())
    stage.provider.life = 1800.0
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(sources=("ecr",), **only("team-0000")))
        await until(lambda: len(marked(cluster)) == 3)
        await anyio.sleep(2000.0)
        tokens = set(cluster.passwords("ecr.example").values())
        assert tokens == {f"token-{len(stage.provider.mints)}"}
        assert len(marked(cluster)) == 3


async def test_a_target_that_is_wanted_again_loses_its_mark(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000")))
        await until(lambda: len(marked(cluster)) == 3)
        stage.hub.put(policy())
        await until(lambda: not marked(cluster))
        await anyio.sleep(2 * HOUR)
        assert len(cluster.secrets) == 4


async def test_a_namespace_that_loses_its_label_is_deselected(stage: Stage, cluster: FakeCluster) -> None:
    cluster.add_namespace("x", labels={"pull": "yes"})
    stage.hub.put(policy(namespaces={"labels": [{"matchLabels": {"pull": "yes"}}]}), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 1)
        await settled(service)
        cluster.add_namespace("x")
        await until(lambda: marked(cluster) == {"x"})


async def test_a_referenced_target_is_looked_at_ever_more_seldom_and_goes_when_free(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), static())
    cluster.named_by["team-0001", "pull"] = "pod web"
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000", "team-0002", "team-0003")))
        await anyio.sleep(5 * HOUR)
        looks = [one.at for one in cluster.requests if one.verb == "references"]
        gaps = [later - earlier for earlier, later in pairwise(looks)]
        assert 60 <= gaps[0] < 61
        assert all(later >= earlier - 1 for earlier, later in pairwise(gaps))
        assert max(gaps) < HOUR + 5
        assert deletes(cluster) == 0
        del cluster.named_by["team-0001", "pull"]
        await until(lambda: deletes(cluster) == 1, within=HOUR + 60)


async def test_a_clock_that_was_set_back_puts_no_look_off(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    cluster.named_by["team-0001", "pull"] = "pod web"
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000", "team-0002", "team-0003")))
        await until(lambda: len(marked(cluster)) == 1)
        stage.clock.step(3 * DAY)
        await until(lambda: cluster.requests[-1].verb == "references", within=400.0)
        stage.clock.step(-DAY)
        del cluster.named_by["team-0001", "pull"]
        await until(lambda: deletes(cluster) == 1, within=400.0)


async def test_what_is_changed_between_the_look_and_the_delete_is_looked_at_again(
    stage: Stage, cluster: FakeCluster
) -> None:
    """The DELETE binds the version that was looked at."""
    stage.hub.put(policy(), static())

    def touch(namespace: str, name: str) -> None:
        cluster.edit(namespace, name, lambda secret: secret["metadata"]["annotations"].update({"theirs": "1"}))
        cluster.named_by[namespace, name] = "pod web"

    async with stage.running() as service:
        await settled(service)
        cluster.after_look = touch
        stage.hub.put(policy(**only("team-0000", "team-0002", "team-0003")))
        await until(lambda: len(marked(cluster)) == 1)
        stage.clock.step(HOUR)
        await until(
            lambda: [one.result for one in cluster.writes if one.verb == "delete"] == ["Conflict"], within=400.0
        )
        await anyio.sleep(HOUR)
        assert (len(cluster.secrets), deletes(cluster)) == (4, 0)


async def test_after_seven_days_a_target_goes_whoever_names_it(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    cluster.named_by["team-0001", "pull"] = "pod web"
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000", "team-0002", "team-0003")))
        await until(lambda: marked(cluster))
        stage.clock.step(7 * DAY - 600.0)
        await anyio.sleep(500.0)
        assert deletes(cluster) == 0
        await until(lambda: deletes(cluster) == 1, within=500.0)


async def test_the_timers_lie_on_the_targets_and_outlive_the_process(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000")))
        await until(lambda: len(marked(cluster)) == 3)
    stage.clock.step(HOUR - 60)
    async with stage.running() as service:
        await settled(service)
        assert len(cluster.secrets) == 4
        await until(lambda: len(cluster.secrets) == 1, within=90.0)


async def test_immediate_means_one_delete_within_two_seconds(stage: Stage, cluster: FakeCluster) -> None:
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}
    stage.hub.put(policy(**spec), static())
    cluster.named_by["team-0001", "pull"] = "pod web"
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**only("team-0000"), **spec))
        assert await until(lambda: len(cluster.secrets) == 1) < 2.0
        assert [one.verb for one in cluster.writes] == ["create"] * 4 + ["delete"] * 3
        assert not any(one.verb == "references" for one in cluster.requests)


async def test_retain_takes_the_marks_and_leaves_the_secret(stage: Stage, cluster: FakeCluster) -> None:
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Retain"}}
    stage.hub.put(policy(**spec), static())
    async with stage.running() as service:
        await settled(service)
        before = dict(cluster.passwords("quay.io"))
        stage.hub.put(policy(**only("team-0000"), **spec))
        await settled(service)
        await anyio.sleep(2 * HOUR)
        assert cluster.passwords("quay.io") == before
        left = cluster.secrets["team-0001", "pull"]["metadata"]
        assert not any("imps-multi" in f"{key}{value}" for key, value in left.get("labels", {}).items())
        assert left.get("annotations", {}) == {}


async def test_a_deleted_policy_is_gone_only_after_two_readings_and_its_targets_linger(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), policy("stays", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.remove("team")
        await anyio.sleep(0.9)
        assert not marked(cluster)
        await until(lambda: len(marked(cluster)) == 4, within=2.0)
        await until(lambda: len(cluster.secrets) == 4, within=HOUR + 60)
        assert {name for _, name in cluster.secrets} == {"other"}
        await anyio.sleep(5.0)
        assert "pull" not in service.world.value.names


async def test_a_policy_deleted_while_nothing_ran_is_cleaned_up_after(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), policy("stays", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
    stage.hub.remove("team")
    async with stage.running() as service:
        await until(lambda: len(marked(cluster)) == 4)


async def test_a_hub_without_any_policy_deletes_only_what_was_seen_being_deleted(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
    stage.hub.remove("team")
    async with stage.running() as service:
        await until(lambda: service.world.value.synced)
        await anyio.sleep(2 * HOUR)
        assert not marked(cluster)
        assert len(cluster.secrets) == 4


async def test_a_hub_that_is_not_whole_takes_nothing_away(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), policy("second", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.spoil("team", "static")
        await anyio.sleep(2 * HOUR)
        assert not marked(cluster)
        assert len(cluster.secrets) == 8
        assert ready(service) == ("True", "AllSynced")
        stage.hub.mend(static())
        await until(lambda: len(marked(cluster)) == 4)


async def test_a_changed_secret_name_moves_the_target(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(secret="other"))
        await until(lambda: len(cluster.secrets) == 8)
        await until(lambda: len(marked(cluster)) == 4)
        await until(lambda: {name for _, name in cluster.secrets} == {"other"}, within=HOUR + 60)


async def test_nothing_goes_while_a_watch_is_not_synced(stage: Stage, cluster: FakeCluster) -> None:
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}
    stage.hub.put(policy(**spec), static())
    async with stage.running() as service:
        await settled(service)
        cluster.go_down()
        await anyio.sleep(60.0)
        stage.hub.put(policy(**only("team-0000"), **spec))
        await anyio.sleep(60.0)
        assert len(cluster.secrets) == 4
        cluster.thaw()
        await until(lambda: len(cluster.secrets) == 1)


async def test_nothing_goes_while_a_single_watch_is_broken(stage: Stage, cluster: FakeCluster) -> None:
    spec: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}}
    stage.hub.put(policy(**spec), policy("second", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        cluster.watch_error = lambda name: Transient("500", answered=True) if name == "other" else None
        cluster.cut()
        await anyio.sleep(10.0)
        stage.hub.put(policy(**only("team-0000"), **spec))
        await anyio.sleep(60.0)
        assert deletes(cluster) == 0
        cluster.watch_error = lambda _: None
        await until(lambda: deletes(cluster) == 3, within=40.0)


async def test_a_cluster_that_leaves_the_configuration_keeps_what_it_has(stage: Stage, cluster: FakeCluster) -> None:
    other = stage.cluster("b", *spaces(2))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.configure(other.member())
        await until(lambda: "a" not in service.reporter.reports)
        stage.hub.remove("team")
        await anyio.sleep(2 * HOUR)
        assert len(cluster.secrets) == 4
        assert cluster.open_clients == 0
