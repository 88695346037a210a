"""Sources that fail, hang, change or go, as the targets see it: an entry once delivered is not lost by a failure."""

import anyio
import pytest

from imps_multi.actors.composer import Rules
from imps_multi.model.hub import HubObject
from imps_multi.model.policy import InvalidPolicy, SpecProblem
from imps_multi.model.policy_parse import with_default_clusters
from imps_multi.ports import Section, Transient
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import minted, policy, secret, static
from tests.actors.stage import HOUR, Stage, ready, rules, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio

LIFE = 1200.0
BROKEN = secret("static", {".dockerconfigjson": "{"}, "kubernetes.io/dockerconfigjson")


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """Four namespaces, and tokens of twenty minutes."""
    stage.provider.life = LIFE
    return stage.cluster("a", *spaces(4))


async def test_a_failing_registry_keeps_what_was_delivered_past_its_end(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
        stage.provider.error = Transient("503")
        await anyio.sleep(LIFE * 0.6)
        assert ready(service) == ("False", "SourceError")
        await anyio.sleep(LIFE)
        assert set(cluster.passwords("ecr.example").values()) == {"token-1"}
        assert len(cluster.writes) == 4
        assert status_of(service).credentials[1].message == "503"


async def test_a_new_target_gets_no_entry_that_is_over(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
        stage.provider.error = Transient("503")
        await anyio.sleep(LIFE * 1.01)
        cluster.add_namespace("team-new")
        await until(lambda: ("team-new", "pull") in cluster.secrets)
        assert cluster.config("team-new", "pull").keys() == {"quay.io"}


async def test_a_delivered_entry_that_is_over_is_never_ready(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        cluster.go_down()
        await anyio.sleep(LIFE * 1.01)
        assert ready(service) == ("False", "Expired")
        assert len(stage.provider.mints) >= 2


async def test_a_restart_while_the_registry_is_down_takes_no_entry_away(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    stage.provider.error = Transient("503")
    stage.clock.step(LIFE * 0.7)
    async with stage.running() as service:
        await settled(service)
        assert set(cluster.passwords("ecr.example").values()) == {"token-1"}
        cluster.add_namespace("team-new")
        await until(lambda: ("team-new", "pull") in cluster.secrets)
        assert cluster.passwords("ecr.example")["team-new"] == "token-1"
    stage.clock.step(LIFE)
    writes = len(cluster.writes)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(HOUR)
        assert len(cluster.writes) == writes
        stage.provider.error = None
        await until(lambda: "token-1" not in cluster.passwords("ecr.example").values(), within=400.0)


async def test_with_nothing_stored_an_unknown_source_leaves_targets_alone_and_fills_missing_ones(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    stage.store.items = {key: item for key, item in stage.store.items.items() if key[0] is not Section.TOKENS}
    stage.provider.error = Transient("503")
    cluster.remove("team-0000", "pull")
    stage.hub.put(static(quay_io="new"))
    async with stage.running() as service:
        await until(lambda: ("team-0000", "pull") in cluster.secrets)
        await settled(service)
        await anyio.sleep(60.0)
        assert cluster.config("team-0000", "pull").keys() == {"quay.io"}
        assert cluster.passwords("quay.io")["team-0001"] == "p"
        assert cluster.passwords("ecr.example").keys() == {"team-0001", "team-0002", "team-0003"}
        assert len(cluster.writes) == 5


async def test_a_source_that_breaks_stays_in_force_as_it_was_also_over_a_restart(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(BROKEN)
        await until(lambda: ready(service) == ("False", "SourceError"))
        cluster.remove("team-0000", "pull")
        await until(lambda: cluster.passwords("quay.io").get("team-0000") == "p")
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("False", "SourceError")
        cluster.add_namespace("team-new")
        await until(lambda: cluster.passwords("quay.io").get("team-new") == "p")
        stage.hub.put(static(quay_io="mended"))
        await until(lambda: set(cluster.passwords("quay.io").values()) == {"mended"})
        await until(lambda: ready(service) == ("True", "AllSynced"))


async def test_with_a_broken_file_at_the_start_the_stored_content_is_in_force_and_refreshed(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
    stage.hub.spoil("team", "static", "ecr")
    async with stage.running() as service:
        await settled(service)
        assert service.ready
        await anyio.sleep(400.0)
        assert set(cluster.passwords("ecr.example").values()) == {f"token-{len(stage.provider.mints)}"}
        assert len(stage.provider.mints) == 2
        assert set(cluster.passwords("quay.io").values()) == {"p"}


async def test_a_changed_static_source_is_written_once(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(static(quay_io="new"))
        await until(lambda: set(cluster.passwords("quay.io").values()) == {"new"})
        await settled(service)
        assert [one.verb for one in cluster.writes] == ["create"] * 4 + ["replace"] * 4


async def test_a_rotated_identity_is_taken_up_and_the_old_one_forgotten(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("ecr",)), minted(identity="old"))
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(minted(identity="new"))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await settled(service)
        assert stage.store.keys(Section.TOKENS) == {"new"}
        await anyio.sleep(LIFE)
        assert len(stage.provider.times("old")) == 1
    assert {one.verb for one in cluster.writes} == {"create", "replace"}


async def test_a_stored_token_that_nobody_uses_is_taken_away_once_the_hub_was_read_whole(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(sources=("ecr",)), minted(identity="old"))
    async with stage.running() as service:
        await settled(service)
    stage.store.items = {key: item for key, item in stage.store.items.items() if key[0] is Section.TOKENS}
    stage.hub.spoil("team", "ecr")
    async with stage.running() as service:
        await until(lambda: service.world.value.synced)
        await anyio.sleep(60.0)
        assert stage.store.keys(Section.TOKENS) == {"old"}
        stage.hub.mend(policy(sources=("ecr",)), minted(identity="new"))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        assert stage.store.keys(Section.TOKENS) == {"new"}


async def test_a_rotated_identity_that_is_refused_leaves_targets_as_they_are(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted(identity="old"))
    async with stage.running() as service:
        await settled(service)
        stage.provider.error = Transient("403")
        stage.hub.put(minted(identity="new"))
        await until(lambda: ready(service) == ("False", "SourceError"))
        await anyio.sleep(HOUR)
        assert set(cluster.passwords("ecr.example").values()) == {"token-1"}
        assert len(cluster.writes) == 4


async def test_several_policies_and_clusters_share_one_mint(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.cluster(name, *spaces(2))
    sources = [minted(f"ecr-{number}", registries=[f"r{number}.example"]) for number in range(5)]
    policies = [policy(f"p{number}", secret=f"s{number}", sources=(f"ecr-{number}",)) for number in range(5)]
    stage.hub.put(*sources, *policies)
    async with stage.running() as service:
        await settled(service)
    assert len(stage.provider.mints) == 1
    assert all(len(cluster.secrets) == 10 for cluster in stage.clusters.values())


async def test_a_hanging_registry_costs_its_own_source_only(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(4))
    stage.hub.put(policy(sources=("ecr",)), policy("plain", secret="plain"), static(), minted())
    stage.provider.hanging = True
    async with stage.running():
        assert await until(lambda: len(cluster.secrets) == 4) < 1.0
        assert {name for _, name in cluster.secrets} == {"plain"}


async def test_rules_that_change_are_taken_up(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    refused = Rules(interpret=rules().interpret, allowed=lambda ref: f"{ref} is not allowed", qualify=lambda one: one)
    async with stage.running() as service:
        await settled(service)
        stage.rules.set(refused)
        await until(lambda: ready(service) == ("False", "SourceNotAllowed"))
        stage.rules.set(rules())
        await until(lambda: ready(service) == ("True", "AllSynced"))
        assert set(cluster.passwords("quay.io")) == set(spaces(4))


async def test_a_policy_that_the_configuration_makes_invalid_takes_nothing_away(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        problem = SpecProblem("spec.target.clusters", "is required")
        stage.rules.set(rules(qualify=lambda one: InvalidPolicy(one.name, one.generation, (problem,))))
        await until(lambda: ready(service) == ("False", "InvalidSpec"))
        await anyio.sleep(2 * HOUR)
        assert len(cluster.secrets) == 4


async def test_an_invalid_spec_keeps_the_last_valid_one_fresh(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("ecr",)), minted())
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        bad = policy(sources=("ecr",), namespaces={"labels": [{"matchExpressions": [{"key": "a", "operator": "Or"}]}]})
        stage.hub.put(bad)
        await until(lambda: ready(service) == ("False", "InvalidSpec"))
        cluster.add_namespace("team-new")
        await anyio.sleep(400.0)
        assert set(cluster.passwords("ecr.example").values()) == {"token-2"}
        assert ("team-new", "pull") not in cluster.secrets
        cluster.remove("team-0000", "pull")
        await anyio.sleep(10.0)
        assert ("team-0000", "pull") not in cluster.secrets


async def test_a_suspended_policy_is_not_written_refreshes_included(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("ecr",)), minted())
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(sources=("ecr",), spec={"suspend": True}))
        await until(lambda: ready(service) == ("Unknown", "Suspended"))
        cluster.remove("team-0000", "pull")
        await anyio.sleep(1000.0)
        assert len(cluster.writes) == 4
        stage.hub.put(policy(sources=("ecr",)))
        await until(lambda: ready(service) == ("True", "AllSynced"))
        assert len(cluster.writes) == 8


async def test_a_sync_annotation_forces_one_mint_once_also_over_restarts(stage: Stage, cluster: FakeCluster) -> None:
    def asking(what: str) -> HubObject:
        return policy(sources=("ecr",), annotations={"imps-multi.io/sync": what})

    stage.hub.put(asking("first"), minted())
    async with stage.running() as service:
        await settled(service)
        assert len(stage.provider.mints) == 1
        stage.hub.put(asking("second"))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await anyio.sleep(200.0)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(200.0)
        assert len(stage.provider.mints) == 2


async def test_a_bounded_source_goes_only_where_it_may_and_says_so(stage: Stage, cluster: FakeCluster) -> None:
    bounded = static("two", annotations={"imps-multi.io/allow-namespaces": "team-0000"}, ghcr_io="g")
    stage.hub.put(policy(sources=("static", "two")), static(), bounded)
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 4)
        assert cluster.passwords("ghcr.io") == {"team-0000": "g"}
        await until(lambda: ready(service) == ("False", "SourceNotAllowed"))


async def test_what_could_not_be_stored_is_stored_later(stage: Stage, cluster: FakeCluster) -> None:
    stage.store.failing = True
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert len(cluster.secrets) == 4
        stage.store.failing = False
        await anyio.sleep(30.0)
        assert stage.store.keys(Section.SOURCES) == {"registry-access/static"}
        assert stage.store.keys(Section.POLICIES) == {"history:team", "spec:team"}


async def test_sources_are_stored_before_anything_is_written_of_them(stage: Stage, cluster: FakeCluster) -> None:
    stage.store.slow = 0.3
    stage.hub.put(policy(), static())
    async with stage.running():
        await until(lambda: cluster.writes)
        assert stage.store.keys(Section.SOURCES) == {"registry-access/static"}
        assert stage.store.keys(Section.POLICIES) == {"history:team", "spec:team"}


async def test_a_lost_state_store_is_made_anew_and_deletes_nothing(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    uids = [one["metadata"]["uid"] for one in cluster.secrets.values()]
    stage.store.items.clear()
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(200.0)
        assert set(cluster.passwords("ecr.example").values()) == {"token-2"}
    assert [one.verb for one in cluster.writes] == ["create"] * 4 + ["replace"] * 4
    assert [one["metadata"]["uid"] for one in cluster.secrets.values()] == uids


async def test_a_policy_that_drops_its_clusters_is_kept_fresh_where_it_was_also_over_restarts(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.rules.set(rules(qualify=lambda one: with_default_clusters(one, ())))
    stage.provider.life = 600.0
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(sources=("ecr",), clusters=None))
        await until(lambda: ready(service) == ("False", "InvalidSpec"))
        await anyio.sleep(400.0)
        assert set(cluster.passwords("ecr.example").values()) == {"token-2"}
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("False", "InvalidSpec")
        await anyio.sleep(400.0)
        assert set(cluster.passwords("ecr.example").values()) == {"token-3"}
        stage.hub.put(policy(sources=("ecr",)))
        await until(lambda: ready(service) == ("True", "AllSynced"))
