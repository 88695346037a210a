"""Explaining a namespace with what a settled service knows, and the fleet's own word on who names a Secret."""

from typing import Any

import anyio
import pytest
import trio.testing

from imps_multi.app.explaining import Unknown, explained
from imps_multi.app.settling import wait_settled
from imps_multi.model.explain import Explanation
from imps_multi.ports import Forbidden
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fakes import policy, static
from tests.actors.stage import Stage, spaces

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time passes only when nothing else can happen."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def stage() -> Stage:
    """One policy with a source."""
    made = Stage(observe=True)
    made.hub.put(policy(clusters=None), static())
    return made


async def ask(stage: Stage, cluster: str, namespace: str) -> Explanation | Unknown:
    """Explain a namespace with a service that has settled."""
    async with stage.running() as service:
        with anyio.fail_after(30):
            await wait_settled(service, StopSignal())
        return await explained(service, cluster, namespace)


async def test_a_namespace_is_explained_with_who_names_its_secret(stage: Stage) -> None:
    stage.hub.put(policy())
    cluster = stage.cluster("a", *spaces(2))
    cluster.named_by["team-0001", "pull"] = "pod web"
    found = await ask(stage, "a", "team-0001")
    assert isinstance(found, Explanation)
    assert [(one.policy, one.selected) for one in found.policies] == [("team", True)]
    assert [(one.secret, one.operation, one.named_by) for one in found.targets] == [("pull", "create", "pod web")]
    assert stage.writes == 0


async def test_who_names_a_secret_is_unknown_where_it_could_not_be_looked_at(stage: Stage) -> None:
    stage.hub.put(policy())
    cluster = stage.cluster("a", *spaces(1))

    async with stage.running() as service:
        with anyio.fail_after(30):
            await wait_settled(service, StopSignal())
        cluster.fail(lambda: Forbidden("list pods: 403"))
        found = await explained(service, "a", "team-0000")
    assert isinstance(found, Explanation)
    assert [one.named_by for one in found.targets] == [None]


async def test_a_namespace_that_is_not_there_is_answered_with_the_nearest_name(stage: Stage) -> None:
    stage.cluster("a", *spaces(2))
    found = await ask(stage, "a", "taem-0001")
    assert isinstance(found, Unknown)
    assert str(found) == 'cluster a has no namespace "taem-0001" (did you mean "team-0001"?)'


async def test_a_cluster_that_is_down_is_said_to_be_so(stage: Stage) -> None:
    stage.cluster("a", *spaces(1)).go_down()
    found = await ask(stage, "a", "team-0000")
    assert isinstance(found, Explanation)
    assert found.unreachable.startswith("Unreachable: ")


async def test_a_namespace_that_is_selected_by_its_pods_names_one(stage: Stage) -> None:
    pods = {"labels": [{"matchLabels": {"app": "web"}}]}
    stage.hub.put(policy(namespaces={}, pods=pods))
    cluster = stage.cluster("a", *spaces(2))
    cluster.run_pod("team-0000", "web-1", {"app": "web"})
    found = await ask(stage, "a", "team-0000")
    assert isinstance(found, Explanation)
    (answer,) = found.policies
    assert answer.selected
    assert answer.why.startswith("selected by namespacesWithPods.labels[0] (app=web): pod web-1 matches; cluster by ")


async def test_pods_that_may_not_be_listed_leave_it_unknown(stage: Stage) -> None:
    stage.hub.put(policy(namespaces={}, pods={"labels": [{}]}))
    stage.cluster("a", *spaces(1)).forbidden.add("pods")
    found = await ask(stage, "a", "team-0000")
    assert isinstance(found, Explanation)
    (answer,) = found.policies
    assert not answer.selected
    assert answer.why.startswith(
        "not known: the pods for namespacesWithPods.labels[0] (everything) could not be listed"
    )
