"""Targets in trouble: edited, deleted, in the way, forbidden, contested; and namespaces that come and go."""

import anyio
import pytest

from imps_multi.ports import Forbidden
from tests.actors.fake_objects import Json, docker_config
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio


async def test_what_is_written_at_first_and_after_a_renewal_goes_by_the_names_of_namespaces(stage: Stage) -> None:
    cluster = stage.cluster("a", *reversed(spaces(40)), max_in_flight=1)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert [write.namespace for write in cluster.writes] == [*spaces(40)]
        stage.hub.put(static(quay_io="renewed"))
        await settled(service)
        assert [write.namespace for write in cluster.writes[40:]] == [*spaces(40)]


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
        assert "rbac --role target --secret-name new --config FILE" in status_of(service, "second").reason
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
