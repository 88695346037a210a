"""Adopting while others write: under the version that was looked at, and looked at again after a refusal."""

from collections.abc import Callable

import pytest

from tests.actors.fake_objects import Json, docker_config
from tests.actors.fakes import policy, static
from tests.actors.stage import Stage, ready, settled, spaces, until

pytestmark = pytest.mark.anyio

SPACE = spaces(1)[0]
WHERE = (SPACE, "pull")
ADOPT = {"conflictPolicy": "Adopt"}
MANAGED_BY, ADOPTED = "app.kubernetes.io/managed-by", "imps-multi.io/adopted"


def just_before_the_write(stage: Stage, act: Callable[[Json], None]) -> list[str]:
    """Change the Secret once, between our look and our write; return what was changed so far."""
    cluster = stage.clusters["a"]
    done: list[str] = []

    def interfere(namespace: str, name: str) -> None:
        if not done:
            done.append(namespace)
            cluster.edit(namespace, name, act)

    cluster.write_error = interfere
    return done


def foreign(stage: Stage) -> None:
    cluster = stage.cluster("a", SPACE)
    cluster.put(*WHERE, data={".dockerconfigjson": docker_config(theirs_example="x")}, metadata={"labels": {"t": "1"}})
    stage.hub.put(policy(spec=ADOPT), static())


def helm_takes_it(secret: Json) -> None:
    secret["metadata"]["labels"][MANAGED_BY] = "Helm"


async def test_what_becomes_somebodys_before_the_write_is_not_adopted_until_it_is_let_go(stage: Stage) -> None:
    foreign(stage)
    cluster = stage.clusters["a"]
    done = just_before_the_write(stage, helm_takes_it)
    async with stage.running() as service:
        await until(lambda: done and ready(service) == ("False", "Conflict"))
        assert cluster.passwords("theirs.example")[SPACE] == "x"
        assert [one.result for one in cluster.writes] == ["Conflict"]

        def let_go(secret: Json) -> None:
            del secret["metadata"]["labels"][MANAGED_BY]

        cluster.edit(*WHERE, let_go)
        await settled(service)
        assert cluster.secrets[WHERE]["metadata"]["annotations"][ADOPTED] == "true"


async def test_what_changed_before_the_write_is_looked_at_again_and_adopted_as_it_is(stage: Stage) -> None:
    foreign(stage)
    cluster = stage.clusters["a"]
    uid = cluster.secrets[WHERE]["metadata"]["uid"]

    def label(secret: Json) -> None:
        secret["metadata"]["labels"]["more"] = "2"

    just_before_the_write(stage, label)
    async with stage.running() as service:
        await settled(service)
        metadata = cluster.secrets[WHERE]["metadata"]
        assert (metadata["uid"], metadata["labels"]["more"]) == (uid, "2")
        assert [(one.verb, one.result) for one in cluster.writes] == [("patch", "Conflict"), ("patch", "ok")]


async def test_an_adoption_whose_answer_was_lost_is_one(stage: Stage) -> None:
    foreign(stage)
    cluster = stage.clusters["a"]
    cluster.losing_answers = 1
    async with stage.running() as service:
        await settled(service)
        assert cluster.secrets[WHERE]["metadata"]["annotations"][ADOPTED] == "true"
        assert cluster.passwords("quay.io")[SPACE] == "p"


async def test_after_a_restart_an_adopted_secret_is_given_back(stage: Stage) -> None:
    foreign(stage)
    cluster = stage.clusters["a"]
    async with stage.running() as service:
        await settled(service)
    writes = len(cluster.writes)
    async with stage.running() as service:
        await settled(service)
        assert len(cluster.writes) == writes
        stage.hub.put(policy(spec={**ADOPT, "deletionPolicy": "Immediate"}, namespaces={"names": ["nowhere"]}))
        await until(lambda: not cluster.secrets[WHERE]["metadata"]["annotations"])
        assert cluster.secrets[WHERE]["metadata"]["labels"] == {"t": "1"}
        assert cluster.passwords("quay.io")[SPACE] == "p"
