"""Admission that stores other data than we write: found at once, told, and no reason to write without end."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.model.contest import BY_ADMISSION
from tests.actors.fake_objects import Json, docker_config
from tests.actors.fakes import policy, static
from tests.actors.stage import HOUR, Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio
MANY, SOME, AT_ONCE = 60, 6, 4


def tamper(secret: Json) -> None:
    """Be a webhook that knows better."""
    secret["data"][".dockerconfigjson"] = docker_config(quay_io="theirs")


def tamper_in(*chosen: str) -> Callable[[Json], None]:
    """Be one that looks at some namespaces."""

    def admission(secret: Json) -> None:
        if secret["metadata"]["namespace"] in chosen:
            tamper(secret)

    return admission


def told(logged: list[Any]) -> list[Any]:
    return [line for line in logged if line["event"] == "Admission changes what is written"]


async def contested(service: Service) -> None:
    await until(lambda: service.reporter.compute().policies and ready(service) == ("False", "Contested"))


async def test_a_server_that_takes_what_we_send_is_asked_for_it_whole_once_per_name_and_contact(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(MANY), max_in_flight=AT_ONCE)
    stage.hub.put(policy(), policy("second", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        assert len(cluster.writes) == 2 * MANY
        first = cluster.whole_answers
        assert 2 <= first <= 4 * AT_ONCE  # as many as were under way before one was answered
        stage.hub.put(static(quay_io="renewed"))
        await settled(service)
        assert (len(cluster.writes), cluster.whole_answers) == (4 * MANY, first)
        cluster.go_down()
        await anyio.sleep(30.0)
        cluster.thaw()
        await settled(service, within=30.0)
        assert cluster.whole_answers == first
        for space in spaces(SOME):
            cluster.remove(space, "pull")
            await settled(service)
        assert (len(cluster.writes), cluster.whole_answers) == (4 * MANY + SOME, first + 1)


async def test_data_that_admission_changes_are_a_contest_that_says_so_and_ends_when_it_does(
    stage: Stage, logged: list[Any]
) -> None:
    cluster = stage.cluster("a", *spaces(SOME))
    cluster.admission = tamper
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await contested(service)
        assert BY_ADMISSION in str(status_of(service))
        await anyio.sleep(HOUR)
        assert len(cluster.writes) == 3 * SOME  # at once, after 2 s, and after 2 min
        assert ready(service) == ("False", "Contested")
        assert all(one.settled < 0 and one.given_up for one in service.reporter.reports.values())
        await anyio.sleep(HOUR)
        assert len(cluster.writes) == 4 * SOME
        assert [(line["target_cluster"], line["secret"]) for line in told(logged)] == [("a", "pull")]
        assert cluster.whole_answers == len(cluster.writes)
        cluster.admission = lambda _: None
        await until(lambda: set(cluster.passwords("quay.io").values()) == {"p"}, within=2 * HOUR)
        await until(lambda: ready(service) == ("True", "AllSynced"), within=2 * HOUR)
        assert len(cluster.writes) == 5 * SOME


async def test_a_credential_that_was_renewed_is_written_at_once_whatever_became_of_the_last(stage: Stage) -> None:
    cluster = stage.cluster("a", *spaces(SOME))
    cluster.admission = tamper
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await contested(service)
        await anyio.sleep(HOUR / 2)
        before = len(cluster.writes)
        cluster.admission = tamper_in(spaces(1)[0])
        stage.hub.put(static(quay_io="renewed"))
        await until(lambda: list(cluster.passwords("quay.io").values()) == ["theirs"] + ["renewed"] * (SOME - 1))
        await anyio.sleep(10.0)
        assert len(cluster.writes) == before + SOME


async def test_where_the_one_that_was_tried_is_spared_the_next_list_tells(stage: Stage, logged: list[Any]) -> None:
    cluster = stage.cluster("a", *spaces(MANY), max_in_flight=1)
    bad = spaces(MANY)[-1]
    cluster.admission = tamper_in(bad)
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert (told(logged), cluster.passwords("quay.io")[bad]) == ([], "theirs")
        cluster.expire()
        await contested(service)
        assert len(told(logged)) == 1
        assert cluster.whole_answers < 2 * AT_ONCE
        before = cluster.whole_answers
        stage.hub.put(static(quay_io="renewed"))
        await until(lambda: sorted(cluster.passwords("quay.io").values())[:-1] == ["renewed"] * (MANY - 1))
        assert cluster.whole_answers >= before + MANY


@pytest.mark.parametrize("key", ["note", "extra"])
async def test_labels_that_admission_adds_are_nobodys_business(stage: Stage, logged: list[Any], key: str) -> None:
    cluster = stage.cluster("a", *spaces(SOME))
    cluster.admission = lambda secret: secret["metadata"]["labels"].update({key: "theirs"})
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(HOUR)
        assert (len(cluster.writes), told(logged), ready(service)) == (SOME, [], ("True", "AllSynced"))
