"""What a hub in a cluster shows of its policies: what is written there, when, and which Events are told."""

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from imps_multi.model.hub import HubObject
from imps_multi.ports import Conflict, Forbidden, NotFound, Throttled, Transient
from tests.actors.fakes import FakeBoard, minted, policy, secret, static
from tests.actors.stage import Stage, ready, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio

MINUTE = 60.0


def _is(expected: object, found: Callable[[], object]) -> bool:
    return found() == expected


@pytest.fixture
def board(stage: Stage) -> FakeBoard:
    """A hub that shows how its policies stand."""
    made = stage.board = FakeBoard(stage.hub)
    return made


async def test_the_object_shows_what_the_status_says(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await until(lambda: board.condition() == ("True", "AllSynced"))
        assert board.shown()["targets"]["summary"] == "3/3"
        assert board.shown()["status"] == "Ready"
        assert board.shown()["managedNamespaces"] == list(spaces(3))
    assert board.told() == ["Reconciled"]


async def test_at_rest_nothing_is_written_but_a_beat_every_ten_minutes(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.cluster("b", *spaces(3)).go_down()
    stage.hub.put(policy(clusters={"names": ["a"]}), policy("other", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(2 * MINUTE)
        before = len(board.puts)
        await anyio.sleep(5 * MINUTE)
        assert len(board.puts) == before
        await anyio.sleep(60 * MINUTE)
        beats = [at for at, name, _ in board.puts[before:] if name == "team"]
        assert len(beats) == 6
        assert [name for _, name, _ in board.puts[before:] if name == "other"] == []


async def test_a_policy_that_is_made_anew_never_shows_what_the_one_before_did(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(incarnation("one"), static())
    async with stage.running() as service:
        await settled(service)
        await until(lambda: board.condition() == ("True", "AllSynced"))
        stage.hub.put(incarnation("two"))
        await until(lambda: len(stage.clusters["a"].secrets) == 6)
        await anyio.sleep(MINUTE)
    generations = {uid: status.observed_generation for uid, (_, _, status) in zip(board.uids, board.puts, strict=True)}
    shown = {(uid, status.observed_generation) for uid, (_, _, status) in zip(board.uids, board.puts, strict=True)}
    assert (len(shown), generations["one"] != generations["two"]) == (2, True)


def incarnation(uid: str) -> HubObject:
    made = policy(secret=f"pull-{uid}", spec={"deletionPolicy": "Retain"})
    metadata: dict[str, Any] = {**made.content["metadata"], "uid": uid}
    return HubObject(made.kind, made.namespace, made.name, made.place, {**made.content, "metadata": metadata})


async def test_a_flip_is_written_at_once_and_the_rest_every_half_minute(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(2 * MINUTE)
        began, before = anyio.current_time(), len(board.puts)
        for number in range(20):
            cluster.add_namespace(f"team-new-{number}")
            await anyio.sleep(5.0)
        writes = [at - began for at, _, status in board.puts[before:]]
        calm = [status for _, _, status in board.puts[before:]]
        assert len(writes) <= 6
        assert calm[-1].managed_namespaces_total > 3
        await anyio.sleep(MINUTE)
        cluster.go_down()
        took = await until(lambda: board.condition("TargetsReachable") == ("False", "TargetUnreachable"))
        known = stage.clusters["a"]
        assert known is cluster
        assert took < 25.0
        assert board.condition() == ("Unknown", "TargetUnreachable")
        assert board.shown()["status"] == "Ready"


async def test_a_flip_shows_within_two_seconds_of_being_known(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        changes: tuple[tuple[Callable[[], None], tuple[str, str]], ...] = (
            (lambda: stage.hub.remove("static", "Secret"), ("False", "SourceError")),
            (lambda: stage.hub.put(static()), ("True", "AllSynced")),
            (cluster.go_down, ("Unknown", "TargetUnreachable")),
            (cluster.thaw, ("True", "AllSynced")),
        )
        for change, expected in changes:
            change()
            await until(partial(_is, expected, lambda: ready(service)), within=30.0)
            assert await until(partial(_is, expected, board.condition)) < 2.0
    assert board.told() == [
        *("Reconciled", "SourceCredentialsError", "Reconciled"),
        *("TargetUnreachable", "Reconciled", "TargetsReachable"),
    ]


async def test_a_restart_with_nothing_new_writes_no_status_and_tells_nothing(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(5 * MINUTE)
    puts, events, shown = list(board.puts), list(board.events), board.shown()
    times = {one["type"]: one["lastTransitionTime"] for one in shown["conditions"]}
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(4 * MINUTE)
        assert (board.puts, board.events) == (puts, events)
        again = {one.type: one.last_transition_time for one in status_of(service).conditions}
        assert again == times


async def test_after_a_start_the_old_value_stands_until_each_cluster_was_heard(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
    puts = len(board.puts)
    cluster.freeze()
    async with stage.running() as service:
        await until(lambda: service.world.value.synced)
        await anyio.sleep(0.5)
        assert ready(service) == ("True", "AllSynced")
        assert board.condition() == ("True", "AllSynced")
        assert len(board.puts) == puts
        await until(lambda: ready(service) == ("Unknown", "TargetUnreachable"), within=30.0)
        await until(lambda: board.condition() == ("Unknown", "TargetUnreachable"))


async def test_a_status_that_somebody_cleared_is_put_right_within_half_a_minute(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(5 * MINUTE)
        told = list(board.events)
        for edit in ({}, {"status": 7, "conditions": []}, {"status": "Ready", "reason": "so I say"}):
            board.show("team", edit)
            took = await until(lambda: board.condition() == ("True", "AllSynced"), within=40.0)
            assert took <= 31.0
            await anyio.sleep(2 * MINUTE)
        assert board.events == told


async def test_somebody_who_keeps_undoing_it_is_answered_twice_a_minute(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(5 * MINUTE)
        before = len(board.puts)
        for _ in range(60):
            board.show("team", {"status": "Ready"})
            await anyio.sleep(5.0)
        assert len(board.puts) - before <= 11


async def test_a_hub_that_keeps_the_old_fields_only_is_not_written_for_ever(stage: Stage, board: FakeBoard) -> None:
    board.keeps = frozenset({"status", "reason", "lastSuccessfulReconciliation", "managedNamespaces"})
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(2 * MINUTE)
        before = len(board.puts)
        await anyio.sleep(9 * MINUTE)
        assert len(board.puts) - before <= 1
        cluster.go_down()
        await until(lambda: "unreachable" in board.shown()["reason"].lower(), within=40.0)
    told = list(board.events)
    async with stage.running() as service:
        await anyio.sleep(MINUTE)
        cluster.thaw()
        await settled(service)
        await anyio.sleep(MINUTE)
    assert [one.reason for one in board.events[len(told) :]] in (
        ["TargetUnreachable", "Reconciled", "TargetsReachable"],
        [],
    )


async def test_a_hub_that_is_away_gets_the_newest_when_it_is_back(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        before = len(board.puts)
        board.error = board.event_error = Transient("the hub is away")
        for _ in range(5):
            cluster.go_down()
            await until(lambda: ready(service)[0] == "Unknown", within=40.0)
            cluster.thaw()
            await until(lambda: ready(service)[0] == "True", within=40.0)
        cluster.go_down()
        await until(lambda: ready(service)[0] == "Unknown", within=40.0)
        assert len(board.puts) == before
        board.error = board.event_error = None
        await until(lambda: board.condition() == ("Unknown", "TargetUnreachable"), within=20.0)
        assert len(board.puts) == before + 1
        assert board.told() == ["Reconciled", "TargetUnreachable"]


@pytest.mark.parametrize("failure", [Throttled("slowly", retry_after=7.0), Forbidden("no"), Conflict("moved on")])
async def test_a_refused_write_is_tried_again_with_patience(stage: Stage, board: FakeBoard, failure: Exception) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), policy("other", secret="other"), static())
    board.error = failure
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(MINUTE)
        board.error = None
        for name in ("team", "other"):
            await until(partial(_is, ("True", "AllSynced"), partial(board.condition, policy=name)), within=20.0)


async def test_after_a_conflict_the_next_reading_is_enough(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    board.error = Conflict("moved on")
    async with stage.running() as service:
        await settled(service)
        board.error = None
        board.show("team", {"reason": "an older version's"})
        assert await until(lambda: board.condition() == ("True", "AllSynced")) < 2.0


async def test_a_policy_that_is_gone_is_dropped(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    board.error = NotFound("gone")
    async with stage.running() as service:
        await settled(service)
        stage.hub.remove("team")
        await anyio.sleep(5.0)
        assert service.publisher is not None
        assert not service.publisher._pages  # nothing of it is kept
    assert board.puts == []


async def test_a_board_that_hangs_delays_nothing_but_itself(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    board.hanging = True
    stage.hub.put(*(policy(f"p{number}", secret=f"s{number}") for number in range(9)), static())
    async with stage.running() as service:
        await settled(service)
        assert len(cluster.secrets) == 27
        assert board.most == 4
    assert board.putting == 0


async def test_a_bug_of_the_board_costs_no_delivery_and_is_started_over(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    board.error = RuntimeError("a bug")
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        assert len(cluster.secrets) == 3
        assert {name for name, _ in stage.signals.crashes} == {"publisher"}
        board.error = None
        await until(lambda: board.condition() == ("True", "AllSynced"), within=600.0)


async def test_the_last_flip_is_written_before_the_end(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        board.error = Transient("away")
        cluster.go_down()
        await until(lambda: ready(service) == ("Unknown", "TargetUnreachable"), within=40.0)
        board.error = None
    assert board.condition() == ("Unknown", "TargetUnreachable")


async def test_who_only_observes_writes_no_status(stage: Stage, board: FakeBoard) -> None:
    stage.observe = True
    stage.cluster("a", *spaces(3))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await anyio.sleep(MINUTE)
        assert ready(service) == ("False", "PartiallySynced")
    assert (board.puts, board.events) == ([], [])


async def test_events_of_a_policy_that_flaps_are_limited(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(1))
    bad = secret("static", {".dockerconfigjson": "{"}, "kubernetes.io/dockerconfigjson")
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        for _ in range(40):
            stage.hub.put(bad)
            await until(lambda: ready(service)[0] == "False")
            stage.hub.put(static())
            await until(lambda: ready(service)[0] == "True")
    assert 25 <= len(board.events) <= 27


def _asking(sync: str) -> HubObject:
    return policy(sources=("ecr",), annotations={"imps-multi.io/sync": sync})


async def test_a_handled_sync_is_shown_and_not_repeated_by_a_restart(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(2))
    stage.hub.put(_asking("first"), minted())
    async with stage.running() as service:
        await settled(service)
        await until(lambda: board.shown().get("lastHandledSync") == "first")
        assert len(stage.provider.mints) == 1
        stage.hub.put(_asking("second"))
        await until(lambda: set(cluster.passwords("ecr.example").values()) == {"token-2"})
        await until(lambda: board.shown().get("lastHandledSync") == "second", within=40.0)
        await anyio.sleep(5 * MINUTE)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(5 * MINUTE)
        assert board.shown()["lastHandledSync"] == "second"
    assert len(stage.provider.mints) == 2


async def test_a_handled_sync_is_not_repeated_after_the_state_was_lost(stage: Stage, board: FakeBoard) -> None:
    stage.cluster("a", *spaces(2))
    stage.hub.put(_asking("first"), minted())
    async with stage.running() as service:
        await settled(service)
        await until(lambda: board.shown().get("lastHandledSync") == "first")
    stage.store.items.clear()
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(5 * MINUTE)
    assert len(stage.provider.mints) == 2
    assert {status.last_handled_sync for _, _, status in board.puts} == {"first"}


async def test_an_annotation_lets_a_held_set_go(stage: Stage, board: FakeBoard) -> None:
    cluster = stage.cluster("a", *spaces(40))
    stage.hub.put(policy(spec={"deletionPolicy": "Immediate"}), static())
    few: dict[str, Any] = {"spec": {"deletionPolicy": "Immediate"}, "namespaces": {"names": ["team-000?"]}}
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**few))
        await until(lambda: board.condition("DeletionHeld") == ("True", "DeletionHeld"))
        assert board.condition() == ("False", "DeletionHeld")
        assert board.shown()["held"]["deletions"] == 30
        await anyio.sleep(MINUTE)
        stage.hub.put(policy(**few, annotations={"imps-multi.io/approve": board.shown()["held"]["id"]}))
        await until(lambda: len(cluster.secrets) == 10)
        await until(lambda: board.condition() == ("True", "AllSynced"))
        assert board.condition("DeletionHeld") is None
        assert board.shown().get("held") is None
    assert board.told() == ["Reconciled", "DeletionHeld", "Reconciled"]
