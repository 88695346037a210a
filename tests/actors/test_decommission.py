"""Decommissioning a cluster while the service runs: under the brake, to the end, and back."""

import anyio
import pytest
from structlog.testing import capture_logs

from imps_multi.model.decommission import DECOMMISSIONED, DECOMMISSIONING
from tests.actors.fakes import policy, static
from tests.actors.stage import HOUR, Stage, cluster_view, held_ids, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio


async def test_few_secrets_go_at_once_and_the_end_is_told(stage: Stage) -> None:
    going, staying = stage.cluster("going", *spaces(4)), stage.cluster("staying", *spaces(4))
    going.named_by["team-0001", "pull"] = "pod web"
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.configure(going.member(decommission=True), staying.member())
        await until(lambda: not going.secrets)
        await until(lambda: cluster_view(service, "going").reason == DECOMMISSIONED)
        assert "take it out of the configuration" in cluster_view(service, "going").message
        assert cluster_view(service, "going").state == "Up"
        assert (len(staying.secrets), status_of(service).targets.desired, ready(service)[1]) == (4, 4, "AllSynced")
        going.add_namespace("team-new")
        await anyio.sleep(HOUR)
        assert not going.secrets
        stage.configure(going.member(), staying.member())
        await until(lambda: len(going.secrets) == 5)


async def test_what_a_cluster_keeps_that_leaves_the_configuration_is_warned_of_unless_it_was_cleared(
    stage: Stage,
) -> None:
    going, staying = stage.cluster("going", *spaces(2)), stage.cluster("staying", *spaces(2))
    stage.hub.put(policy(), static())
    with capture_logs() as logged:
        async with stage.running() as service:
            await settled(service)
            stage.configure(going.member(decommission=True), staying.member())
            await until(lambda: cluster_view(service, "going").reason == DECOMMISSIONED)
            stage.configure()
            await until(lambda: not service.reporter.reports)
    left = {line["target_cluster"]: line for line in logged if "left the configuration" in line["event"]}
    assert (left["going"]["log_level"], left["staying"]["log_level"]) == ("info", "warning")
    assert left["staying"]["credentials_left_behind"] == ["registry-access/static"]
    assert len(staying.secrets) == 2


async def test_many_secrets_wait_for_approval_and_stay_fresh(stage: Stage) -> None:
    going = stage.cluster("going", *spaces(20))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.configure(going.member(decommission=True))
        await until(lambda: held_ids(service))
        await until(lambda: "20 wait for approval" in cluster_view(service, "going").message)
        assert cluster_view(service, "going").reason == DECOMMISSIONING
        assert ready(service) == ("False", "DeletionHeld")
        stage.hub.put(policy(), static(quay_io="newer"))
        await until(lambda: set(going.passwords("quay.io").values()) == {"newer"})
        assert len(going.secrets) == 20
        assert await service.braker.approve(held_ids(service)[0])
        await until(lambda: not going.secrets)
        await until(lambda: cluster_view(service, "going").reason == DECOMMISSIONED)


@pytest.mark.parametrize("paused", [True, False])
async def test_a_cluster_that_is_paused_or_observed_is_not_cleared(stage: Stage, *, paused: bool) -> None:
    going = stage.cluster("going", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.configure(going.member(decommission=True, paused=paused, observe=not paused))
        await until(lambda: cluster_view(service, "going").reason == DECOMMISSIONING)
        await anyio.sleep(HOUR)
        assert len(going.secrets) == 3
        assert "paused or observed" in cluster_view(service, "going").message


async def test_what_a_policy_left_that_is_gone_goes_as_well(stage: Stage) -> None:
    going = stage.cluster("going", *spaces(3))
    stage.hub.put(policy(), policy("other", secret="other"), static())
    async with stage.running() as service:
        await until(lambda: len(going.secrets) == 6)
        await settled(service)
    stage.hub.remove("other")
    stage.configure(going.member(decommission=True))
    async with stage.running() as service:
        await until(lambda: not going.secrets)
        await until(lambda: cluster_view(service, "going").reason == DECOMMISSIONED)
