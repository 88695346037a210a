"""The service end to end, on fakes and virtual time: what is delivered, and what each write costs."""

import anyio
import pytest

from imps_multi.ports import Forbidden, Section
from tests.actors.fake_cluster import Json, docker_config
from tests.actors.fakes import LIFE, minted, policy, static
from tests.actors.stage import Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio


async def test_every_selected_namespace_of_every_cluster_gets_one_write(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        stage.cluster(name, *spaces(20), "kube-system")
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
    for cluster in stage.clusters.values():
        assert sorted(cluster.secrets) == [(space, "pull") for space in spaces(20)]
        assert set(cluster.passwords("ecr.example").values()) == {"token-1"}
        assert set(cluster.passwords("quay.io").values()) == {"p"}
        assert [one.verb for one in cluster.writes] == ["create"] * 20
    assert len(stage.provider.mints) == 1


async def test_a_first_fan_out_waits_for_the_token_rather_than_writing_twice(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(10))
    stage.provider.latency = 4.0
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    assert [one.verb for one in cluster.writes] == ["create"] * 10
    assert set(cluster.passwords("ecr.example").values()) == {"token-1"}


async def test_a_source_that_does_not_answer_is_waited_for_five_seconds_only(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.provider.hanging = True
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running():
        took = await until(lambda: len(cluster.secrets) == 3)
        assert 5.0 <= took < 5.5
        assert set(cluster.passwords("quay.io")) == set(spaces(3))
        assert cluster.passwords("ecr.example") == {}


async def test_a_new_token_reaches_all_with_one_write_each_and_every_uid_stays(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.cluster(name, *spaces(30))
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        uids = [secret["metadata"]["uid"] for one in stage.clusters.values() for secret in one.secrets.values()]
        await anyio.sleep(LIFE / 2 * 1.1 + 60)
        await settled(service)
        for cluster in stage.clusters.values():
            assert set(cluster.passwords("ecr.example").values()) == {"token-2"}
            assert [one.verb for one in cluster.writes] == ["create"] * 30 + ["replace"] * 30
        after = [secret["metadata"]["uid"] for one in stage.clusters.values() for secret in one.secrets.values()]
        assert after == uids
    assert len(stage.provider.mints) == 2


async def test_at_rest_nothing_is_written_and_nothing_is_minted(stage: Stage) -> None:
    stage.cluster("a", *spaces(30))
    stage.hub.put(policy(sources=("static",)), static())
    async with stage.running() as service:
        await settled(service)
        writes, saves = stage.writes, len(stage.store.saves)
        await anyio.sleep(2 * 3600.0)
        assert (stage.writes, len(stage.store.saves)) == (writes, saves)


async def test_each_watch_lists_again_every_hour_and_writes_nothing_for_it(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(30))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(3 * 3600.0 + 600)
        assert 3 <= cluster.lists("pull") - 1 <= 4
        assert 3 <= cluster.lists("namespaces") - 1 <= 4
        assert stage.writes == 30


async def test_a_restart_mints_nothing_and_writes_nothing(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.cluster(name, *spaces(20))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    async with stage.running() as service:
        await settled(service)
    writes, saves = stage.writes, list(stage.store.saves)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(600)
        assert ready(service) == ("True", "AllSynced")
    assert (stage.writes, len(stage.provider.mints), stage.store.saves) == (writes, 1, saves)


async def test_a_restart_with_another_hub_content_writes_only_what_differs(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5), *spaces(5, "prod-"))
    stage.hub.put(policy(), policy("other", secret="other", namespaces={"names": ["prod-*"]}), static())
    async with stage.running() as service:
        await settled(service)
    before = len(cluster.writes)
    stage.hub.put(policy("other", secret="other", namespaces={"names": ["prod-*"]}, labels={"team": "x"}))
    async with stage.running() as service:
        await settled(service)
    assert {one.name for one in cluster.writes[before:]} == {"other"}
    assert len(cluster.writes) == before + 5


async def test_an_edited_target_is_right_again_at_once(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    space = spaces(3)[1]

    def spoil(secret: Json) -> None:
        secret["data"][".dockerconfigjson"] = docker_config(quay_io="stolen")

    async with stage.running() as service:
        await settled(service)
        cluster.edit(space, "pull", spoil)
        took = await until(lambda: cluster.passwords("quay.io")[space] == "p")
        assert took < 0.5
        assert len(cluster.writes) == 4


async def test_a_deleted_target_is_there_again_at_once_and_told(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    space = spaces(3)[1]
    async with stage.running() as service:
        await settled(service)
        cluster.remove(space, "pull")
        assert await until(lambda: (space, "pull") in cluster.secrets) < 0.5
        await settled(service)
        assert len(cluster.writes) == 4
        assert stage.signals.uid_changes == ["a"]


@pytest.mark.parametrize("label", ["app.kubernetes.io/managed-by", "imps-multi.io/hub"])
async def test_a_stripped_label_comes_back_without_another_uid(stage: Stage, label: str) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    where = (spaces(3)[0], "pull")
    async with stage.running() as service:
        await settled(service)
        uid = cluster.secrets[where]["metadata"]["uid"]

        def strip(secret: Json) -> None:
            del secret["metadata"]["labels"][label]

        cluster.edit(*where, strip)
        assert await until(lambda: label in cluster.secrets[where]["metadata"]["labels"]) < 0.5
        assert cluster.secrets[where]["metadata"]["uid"] == uid


async def test_a_new_namespace_gets_its_secret_at_once(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.add_namespace("team-new")
        assert await until(lambda: ("team-new", "pull") in cluster.secrets) < 0.1
        await settled(service)
    assert len(stage.signals.onboardings) == 1
    assert stage.signals.onboardings[0] < 0.1


async def test_a_new_namespace_goes_before_a_refresh_of_thousands(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(2000))
    cluster.latency = 0.02
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service, within=30.0)
        await anyio.sleep(60.0)  # the bucket is full again
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: "token-2" in cluster.passwords("ecr.example").values())
        cluster.add_namespace("team-new")
        assert await until(lambda: ("team-new", "pull") in cluster.secrets) < 0.25
        assert len([one for one in cluster.passwords("ecr.example").values() if one == "token-1"]) > 1000


async def test_a_new_namespace_does_not_wait_behind_workers_that_wait_for_the_rate(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(300), requests_per_second=20.0, burst=300)
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        await service.sync(next(iter(service.world.value.policies)))
        await anyio.sleep(5.0)
        assert len(set(cluster.passwords("ecr.example").values())) == 2
        cluster.add_namespace("team-new")
        assert await until(lambda: ("team-new", "pull") in cluster.secrets) < 0.15


async def test_an_onboarding_time_is_not_counted_from_long_before_the_policy(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.add_namespace("late")
        await anyio.sleep(3600.0)
        stage.hub.put(policy("other", secret="other", namespaces={"names": ["late"]}))
        await until(lambda: ("late", "other") in cluster.secrets)
        await settled(service)
    assert all(one < 1.0 for one in stage.signals.onboardings)


async def test_a_terminating_namespace_is_left_alone(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    space = spaces(3)[0]
    async with stage.running() as service:
        await settled(service)
        cluster.terminate(space)
        cluster.remove(space, "pull")
        await anyio.sleep(10.0)
        assert len(cluster.writes) == 3
        assert status_of(service).targets.desired == 2
        cluster.remove_namespace(space)
        cluster.add_namespace(space)
        await until(lambda: (space, "pull") in cluster.secrets)


async def test_a_namespace_whose_end_is_not_known_yet_is_dropped_after_one_refusal(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(sources=()), static())
    async with stage.running() as service:
        await until(lambda: cluster.streams)
        cluster.fall_silent()
        cluster.terminate(spaces(3)[0])
        stage.hub.put(policy())
        await until(lambda: len(cluster.secrets) == 2)
        await anyio.sleep(5.0)
        assert [one.result for one in cluster.writes].count("NamespaceTerminating") == 1
        assert status_of(service).targets.summary == "2/2"


async def test_a_foreign_secret_is_reported_and_untouched_and_ours_comes_when_it_goes(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    space = spaces(3)[0]
    foreign = cluster.put(space, "pull", data={".dockerconfigjson": docker_config(quay_io="theirs")})
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 3 and ready(service) == ("False", "Conflict"))
        await anyio.sleep(60.0)
        assert cluster.secrets[space, "pull"] == foreign
        assert len(cluster.writes) == 2
        cluster.remove(space, "pull")
        await until(lambda: ready(service) == ("True", "AllSynced"))
        assert cluster.passwords("quay.io")[space] == "p"


async def test_a_forbidden_name_leaves_other_names_working_and_says_what_to_do(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    cluster.forbidden.add("new")
    stage.hub.put(policy(), policy("second", secret="new"), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 3)
        await until(lambda: ready(service, "second") == ("False", "PartiallySynced"))
        assert ready(service) == ("True", "AllSynced")
        assert "rbac --role target --secret-name new" in status_of(service, "second").reason
        cluster.add_namespace("team-new")
        await until(lambda: ("team-new", "pull") in cluster.secrets)
        cluster.allow("new")
        await until(lambda: ready(service, "second") == ("True", "AllSynced"), within=90.0)
        assert len(cluster.secrets) == 8


async def test_who_keeps_changing_a_target_is_repaired_ever_more_slowly_and_told(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    space = spaces(3)[0]

    def spoil(secret: Json) -> None:
        secret["data"][".dockerconfigjson"] = docker_config(quay_io="theirs")

    async with stage.running() as service:
        await settled(service)
        contested = False
        with anyio.move_on_after(600.0):
            while True:
                if cluster.passwords("quay.io")[space] == "p":
                    cluster.edit(space, "pull", spoil)
                await anyio.sleep(0.5)
                contested |= ready(service) == ("False", "Contested")
        assert contested
        assert 10 <= len([one for one in cluster.writes if one.namespace == space]) <= 20
        cluster.remove(spaces(3)[1], "pull")
        assert await until(lambda: (spaces(3)[1], "pull") in cluster.secrets) < 0.5
        await until(lambda: ready(service) == ("True", "AllSynced"), within=400.0)


async def test_a_contested_target_does_not_delay_another_in_its_namespace(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(1))
    stage.hub.put(policy(), policy("second", secret="other"), static())
    space = spaces(1)[0]

    def spoil(secret: Json) -> None:
        secret["data"][".dockerconfigjson"] = docker_config(quay_io="theirs")

    async with stage.running() as service:
        await settled(service)
        for _ in range(11):
            await until(lambda: cluster.passwords("quay.io")[space] == "p", within=400.0)
            cluster.edit(space, "pull", spoil)
        await anyio.sleep(0.1)
        cluster.remove(space, "other")
        assert await until(lambda: (space, "other") in cluster.secrets) < 0.5
        assert cluster.passwords("quay.io")[space] == "theirs"


async def test_a_failed_write_is_tried_again_and_costs_only_its_own_namespace(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(20))

    cluster.write_error = lambda namespace, _: Forbidden("quota") if namespace == spaces(20)[3] else None
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 19)
        await until(lambda: ready(service) == ("False", "PartiallySynced"))
        assert "quota" in status_of(service).reason
        await anyio.sleep(600.0)
        tries = [one.at for one in cluster.writes if one.namespace == spaces(20)[3]]
        assert 10 <= len(tries) <= 30
        cluster.write_error = lambda _namespace, _name: None
        await until(lambda: ready(service) == ("True", "AllSynced"), within=70.0)


async def test_a_lost_answer_to_a_write_is_settled_by_what_the_watch_shows(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    cluster.losing_answers = 3
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
    assert [one.result for one in cluster.writes].count("ok") == 2
    assert len(cluster.writes) == 5


async def test_a_watch_that_fell_silent_causes_no_write_and_drift_is_found_by_the_next_list(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
        cluster.fall_silent()
        await service.sync(next(iter(service.world.value.policies)))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await anyio.sleep(60.0)
        assert len(cluster.writes) == 10
        cluster.remove(spaces(5)[0], "pull")
        await until(lambda: (spaces(5)[0], "pull") in cluster.secrets, within=200.0)
        assert len(cluster.writes) == 11


async def test_an_expired_watch_lists_again_and_writes_nothing(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("pull")
        cluster.expire()
        await until(lambda: cluster.lists("pull") == lists + 1)
        await settled(service)
        assert len(cluster.writes) == 5


async def test_a_server_that_says_gone_at_once_is_not_hammered(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(2))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("pull")
        with anyio.move_on_after(60.0):
            while True:
                await until(lambda: cluster.streams, within=40.0)
                await anyio.sleep(0.01)
                cluster.expire()
        assert cluster.lists("pull") - lists < 40


async def test_a_stream_closed_by_the_server_goes_on_where_it_was(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        lists = cluster.lists("pull"), cluster.lists("namespaces")
        await anyio.sleep(5.0)
        cluster.close_streams()
        cluster.remove(spaces(5)[0], "pull")
        await until(lambda: (spaces(5)[0], "pull") in cluster.secrets)
        assert (cluster.lists("pull"), cluster.lists("namespaces")) == lists
        assert len(cluster.writes) == 6


async def test_a_new_world_while_a_cluster_is_down_is_there_when_it_returns(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("ecr",)), minted())
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        cluster.go_down()
        await anyio.sleep(400.0)
        assert len(stage.provider.mints) == 2
        cluster.thaw()
        took = await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        assert took < 10.0
        await settled(service)
        assert len([one for one in cluster.writes if one.result == "ok"]) == 10


async def test_observe_writes_nothing_mints_nothing_and_tells_what_is_missing(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("static", "ecr")), static(), minted())
    stage.observe = True
    async with stage.running() as service:
        await until(lambda: service.world.value.synced and status_of(service).targets.desired == 5)
        await anyio.sleep(300.0)
        assert status_of(service).targets.pending == 5
    assert (cluster.writes, stage.provider.mints) == ([], [])


async def test_observe_with_stored_tokens_that_are_due_rests(stage: Stage) -> None:
    stage.cluster("a", *spaces(5))
    stage.hub.put(policy(sources=("ecr",)), minted())
    async with stage.running() as service:
        await settled(service)
    stage.clock.step(LIFE * 0.7)
    stage.observe = True
    async with stage.running() as service:
        await settled(service)
        await service.sync(next(iter(service.world.value.policies)))
        await anyio.sleep(3600.0)
    assert len(stage.provider.mints) == 1
    assert stage.writes == 5


async def test_a_paused_cluster_is_read_and_never_written(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(5), paused=True)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(lambda: service.world.value.synced and status_of(service).targets.desired == 5)
        await anyio.sleep(60.0)
        assert cluster.writes == []
        assert ready(service) == ("True", "AllSynced")
        stage.configure(cluster.member(paused=False))
        await until(lambda: len(cluster.secrets) == 5)


async def test_nothing_of_a_credential_is_stored_but_in_its_own_sections(stage: Stage) -> None:
    stage.cluster("a", *spaces(2))
    stage.hub.put(policy(sources=("static", "ecr")), static(quay_io="hush"), minted(), static("unused", x_io="idle"))
    async with stage.running() as service:
        await settled(service)
    assert stage.store.keys(Section.TOKENS) == {"one"}
    assert stage.store.keys(Section.SOURCES) == {"registry-access/static", "registry-access/ecr"}
    assert not any(b"idle" in content for content in stage.store.items.values())
