"""Leaving one cluster: every Secret of the errand, whatever goes wrong meanwhile, and nothing beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing

from imps_multi.app.leaving import ROUNDS, Leaving, Place
from imps_multi.model.leave_result import DONE
from imps_multi.model.leaving import Errand, Manner
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.ports import Forbidden, PortError, Throttled, Transient
from tests.actors.fakes import policy, static
from tests.actors.stage import Stage, settled, spaces, until

pytestmark = pytest.mark.anyio

PURGE = Errand(Manner.PURGE)
COUNT = 6


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time passes only when nothing else can happen."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def stage() -> Stage:
    """One cluster, and two policies with a Secret name each."""
    made = Stage()
    made.cluster("a", *spaces(COUNT))
    made.hub.put(policy(), policy("other", secret="other"), static())
    return made


@asynccontextmanager
async def looking(stage: Stage, errand: Errand, agreed: frozenset[Place] | None = None) -> AsyncIterator[Leaving]:
    """Have everything served, then look at it with a service that observes."""
    stage.observe = False
    async with stage.running() as service:
        await until(lambda: len(stage.clusters["a"].secrets) == 2 * COUNT)
        await settled(service)
    stage.observe = True
    async with stage.running() as service:
        await settled(service)
        yield Leaving(service.setting.stations[ClusterName("a")], errand, agreed)


def results(leaving: Leaving) -> set[str]:
    return {one.result for one in leaving.results.values()}


async def test_everything_of_ours_goes(stage: Stage) -> None:
    cluster = stage.clusters["a"]
    async with looking(stage, PURGE) as leaving:
        cluster.put("team-0000", "theirs")
        await leaving.run()
        assert (set(cluster.secrets), results(leaving)) == ({("team-0000", "theirs")}, {DONE})
        assert len(leaving.results) == 2 * COUNT


async def test_one_policys_secrets_are_handed_over_and_stay(stage: Stage) -> None:
    cluster = stage.clusters["a"]
    async with looking(stage, Errand(Manner.KEEP, policy=PolicyName("other"))) as leaving:
        before = {where: secret["data"] for where, secret in cluster.secrets.items()}
        await leaving.run()
        assert {where: secret["data"] for where, secret in cluster.secrets.items()} == before
        marked = {where for where, one in cluster.secrets.items() if "imps-multi.io/hub" in one["metadata"]["labels"]}
        assert marked == {(space, "pull") for space in spaces(COUNT)}
        assert leaving.found() == []


async def test_only_what_was_agreed_on_is_touched(stage: Stage) -> None:
    cluster = stage.clusters["a"]
    uid = "uid-of-another"
    agreed = frozenset({("a", "team-0000", "pull", uid)})
    async with looking(stage, PURGE, agreed) as leaving:
        await leaving.run()
        assert (len(cluster.secrets), leaving.results) == (2 * COUNT, {})


async def test_what_somebody_changes_meanwhile_is_looked_at_again(stage: Stage) -> None:
    cluster = stage.clusters["a"]
    async with looking(stage, PURGE) as leaving:
        cluster.edit("team-0001", "pull", lambda secret: secret["metadata"]["annotations"].update({"theirs": "1"}))
        await leaving.run()
        assert (cluster.secrets, results(leaving)) == ({}, {DONE})


async def test_what_is_gone_though_its_answer_was_lost_is_done(stage: Stage) -> None:
    cluster = stage.clusters["a"]
    async with looking(stage, PURGE) as leaving:
        cluster.losing_answers = 3
        await leaving.run()
        assert (cluster.secrets, results(leaving)) == ({}, {DONE})


async def test_a_cluster_that_wants_less_is_given_time(stage: Stage) -> None:
    cluster = stage.clusters["a"]
    refused: list[str] = []

    def busy(namespace: str, _name: str) -> Throttled | None:
        if len(refused) >= COUNT:
            return None
        refused.append(namespace)
        return Throttled("429", retry_after=5.0)

    async with looking(stage, PURGE) as leaving:
        cluster.write_error, began = busy, anyio.current_time()
        await leaving.run()
        assert (cluster.secrets, results(leaving)) == ({}, {DONE})
        assert anyio.current_time() - began >= 5.0


@pytest.mark.parametrize(
    ("error", "told", "tries"),
    [(Forbidden("403"), "renew the role", 1), (Transient("reset"), "Transient: reset", ROUNDS)],
)
async def test_what_cannot_be_done_is_told_and_the_rest_is_done(
    stage: Stage, error: PortError, told: str, tries: int
) -> None:
    cluster = stage.clusters["a"]

    def stubborn(namespace: str, _name: str) -> PortError | None:
        return error if namespace == "team-0002" else None

    async with looking(stage, PURGE) as leaving:
        cluster.write_error = stubborn
        await leaving.run()
        assert {namespace for namespace, _ in cluster.secrets} == {"team-0002"}
        failed = [one for one in leaving.results.values() if one.result != DONE]
        assert [told in one.result for one in failed] == [True, True]
        deletes = [one for one in cluster.writes if one.verb == "delete" and one.namespace == "team-0002"]
        assert len(deletes) == 2 * tries
