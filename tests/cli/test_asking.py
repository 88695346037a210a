import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from imps_multi.hubs.control import Answer, Request, serve_control, stored_requests
from imps_multi.hubs.durable import write_item
from imps_multi.hubs.state_directory import prepare
from imps_multi.model.brake import Ledger, Shown
from imps_multi.model.growth import Growth, Offer
from imps_multi.model.names import PolicyName
from imps_multi.model.stored_ledger import LEDGER, encode_ledger
from imps_multi.model.stored_policy import StoredPolicy, encode_policy
from tests.cli.running import invoke
from tests.model.scenes import policy


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "hub").mkdir()
    (tmp_path / "config.yaml").write_text("hub: {id: mgmt, directory: ./hub, stateDirectory: ./state}\nclusters: []\n")
    return str(tmp_path / "config.yaml")


class Instance:
    """Answers requests, as a running service does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def sync(self, name: str) -> Answer:
        self.asked.append(("sync", name))
        return Answer(ok=True, message=f"{name} is looked at")

    async def approve(self, held_id: str) -> Answer:
        self.asked.append(("approve", held_id))
        return Answer(ok=False, message=f"no held set {held_id} was shown")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """A running instance, in a thread with a loop of its own."""
    running = Instance()
    prepare(tmp_path / "state")
    handlers = {"sync": running.sync, "approve": running.approve}
    with anyio.from_thread.start_blocking_portal() as portal:
        future, _ = portal.start_task(partial(serve_control, tmp_path / "state", handlers))
        try:
            yield running
        finally:
            future.cancel()


def test_the_running_instance_is_asked_and_its_answer_is_the_outcome(config: str, instance: Instance) -> None:
    fine = invoke("sync", "team-a", "--config", config)
    assert (fine.exit_code, fine.stdout, fine.stderr) == (0, "", "team-a is looked at\n")
    refused = invoke("approve", "abc", "--config", config)
    assert (refused.exit_code, refused.stderr) == (1, "no held set abc was shown\n")
    assert instance.asked == [("sync", "team-a"), ("approve", "abc")]


@pytest.mark.parametrize(("command", "argument"), [("sync", "team-a"), ("approve", "abc123")])
def test_with_no_instance_running_the_request_is_stored(
    config: str, tmp_path: Path, command: str, argument: str
) -> None:
    result = invoke(command, argument, "--config", config)
    assert result.exit_code == 0
    assert result.stderr == f"no instance is running; {command} {argument} is stored for its next pass\n"
    assert stored_requests(tmp_path / "state") == (Request(command, argument),)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def manifest(name: str) -> str:
    return (
        f"apiVersion: images.banzaicloud.io/v1alpha1\nkind: ImagePullSecret\nmetadata: {{name: {name}}}\nspec: {{}}\n"
    )


def test_a_policy_that_neither_hub_nor_state_knows_is_told_and_not_stored(config: str, tmp_path: Path) -> None:
    (tmp_path / "hub" / "a.yaml").write_text(manifest("team-a"))
    stored = StoredPolicy(policy("team-gone"), deleted=True)
    prepare(tmp_path / "state")
    write_item(tmp_path / "state" / "policies", "spec:team-gone", encode_policy(stored))
    result = invoke("sync", "teem-a", "--config", config)
    assert result.exit_code == 1
    assert result.stderr == "there is no policy teem-a (did you mean team-a?); known are team-a, team-gone\n"
    assert stored_requests(tmp_path / "state") == ()
    assert [invoke("sync", name, "--config", config).exit_code for name in ("team-a", "team-gone")] == [0, 0]
    (tmp_path / "hub" / "b.yaml").write_text("kind: [")
    assert invoke("sync", "teem-a", "--config", config).exit_code == 0


@pytest.mark.parametrize(("age", "expected"), [(60.0, 0), (2 * 86400.0, 1)])
def test_an_id_that_no_run_showed_in_the_last_day_is_told_and_not_stored(
    config: str, tmp_path: Path, age: float, expected: int
) -> None:
    at = time.time() - age
    ledger = Ledger(shown={"0123456789ab": Shown(frozenset(), at)})
    growth = Growth(shown={"ba9876543210": Offer(PolicyName("p"), 1, at)})
    prepare(tmp_path / "state")
    write_item(tmp_path / "state" / "held", LEDGER, encode_ledger(ledger, growth))
    for known in ("0123456789ab", "ba9876543210"):
        assert invoke("approve", known, "--config", config).exit_code == expected
    result = invoke("approve", "no-such-id", "--config", config)
    shown = "0123456789ab, ba9876543210" if expected == 0 else "none"
    assert (result.exit_code, result.stderr.strip().endswith(f"known are {shown}")) == (1, True)
    assert Request("approve", "no-such-id") not in stored_requests(tmp_path / "state")


def test_an_instance_that_does_not_answer_exits_3(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_root: Path, _request: Request) -> Answer | None:
        await anyio.lowlevel.checkpoint()
        raise TimeoutError

    monkeypatch.setattr("imps_multi.hubs.control.ask", silent)
    result = invoke("sync", "team-a", "--config", config)
    assert result.exit_code == 3
    assert str(tmp_path / "state") in result.stderr


def test_a_state_directory_that_cannot_be_used_exits_2(config: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    result = invoke("sync", "team-a", "--config", config)
    assert result.exit_code in {2, 3}
    assert str(tmp_path / "state") in result.stderr
