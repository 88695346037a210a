"""The ``leave`` command: what it asks, what it prints, how it ends. The clusters are told of by a stand-in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint

from imps_multi.cli.leave import exit_code, in_short, question, summed
from imps_multi.model.leave_result import DONE, LeaveProblem, LeaveResult, LeftSecret
from tests.cli.running import invoke


def secret(number: int = 0, *, operation: str = "delete", result: str = "", cluster: str = "east") -> LeftSecret:
    return LeftSecret(cluster, "team-a", operation, f"team-{number}", "pull", f"uid-{number}", result)


AWAY = LeaveProblem("cluster north", "Unreachable", "refused", away=True)
WRONG = LeaveProblem("hub", "NotWhole", "a file")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (LeaveResult("purge"), 0),
        (LeaveResult("purge", [secret(result=DONE)]), 0),
        (LeaveResult("purge", [secret(result=DONE)], [AWAY]), 3),
        (LeaveResult("purge", [secret(result=DONE)], [AWAY, WRONG]), 1),
        (LeaveResult("purge", [secret(result="Forbidden")], [AWAY]), 1),
        (LeaveResult("purge", refusal="an instance is running"), 2),
    ],
)
def test_how_it_ends(result: LeaveResult, expected: int) -> None:
    assert exit_code(result) == expected


def test_the_question_names_the_counts() -> None:
    asked = [secret(1), secret(2, cluster="west"), secret(3, operation="release")]
    assert question(asked) == "Delete 2 Secrets and take our marks off 1 Secret in 2 clusters?"
    assert question([secret(3, operation="release")]) == "Take our marks off 1 Secret in 1 cluster?"


def test_the_table_sums_up_by_cluster_policy_and_outcome() -> None:
    done = [secret(number, result=DONE) for number in range(5)]
    assert list(summed([*done, secret(9, result="Forbidden: no")])) == [
        ("east", "team-a", "delete", "5", "team-0, team-1, team-2, +2", "done"),
        ("east", "team-a", "delete", "1", "team-9", "Forbidden: no"),
    ]
    assert in_short(LeaveResult("purge", [*done, secret(9, result="Forbidden")])) == "5 deleted, 1 failed"


Told = list[tuple[bool, object]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """What the clusters were told: whether to write, and what was agreed on."""
    (tmp_path / "c.yaml").write_text("hub: {id: m, directory: ./hub, stateDirectory: ./state}\nclusters: []\n")
    monkeypatch.chdir(tmp_path)
    calls: Told = []

    async def leave(
        _loaded: object, _errand: object, *, write: bool, agreed: object = None, **_: object
    ) -> LeaveResult:
        await checkpoint()
        calls.append((write, agreed))
        return LeaveResult("purge", [secret(result=DONE if write else "")])

    monkeypatch.setattr("imps_multi.app.leaving.leave", leave)
    return calls


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody sits at a terminal, and answers so."""

    def answers(words: str) -> None:
        monkeypatch.setattr("imps_multi.cli.leave.on_terminal", lambda: True)
        monkeypatch.setattr("typer.confirm", lambda *_args, **_given: words == "y")

    return answers


ALL = ("leave", "--all", "--purge", "--config", "c.yaml")


def test_what_was_shown_and_agreed_on_is_what_is_done(told: Told, terminal: Callable[[str], None]) -> None:
    terminal("y")
    assert invoke(*ALL).exit_code == 0
    assert told == [(False, None), (True, frozenset({("east", "team-0", "pull", "uid-0")}))]


def test_a_no_does_nothing(told: Told, terminal: Callable[[str], None]) -> None:
    terminal("n")
    result = invoke(*ALL)
    assert (result.exit_code, "nothing was done" in result.stderr) == (2, True)
    assert told == [(False, None)]


def test_without_a_terminal_to_ask_on_the_words_of_the_command_are_enough(told: Told) -> None:
    assert invoke(*ALL).exit_code == 0
    assert told == [(True, None)]


def test_yes_asks_nothing(told: Told) -> None:
    assert invoke(*ALL, "--yes").exit_code == 0
    assert told == [(True, None)]


@pytest.mark.parametrize(
    "words",
    [
        ["--all"],
        ["--purge"],
        ["team-a", "--all", "--purge"],
        ["--cluster", "a", "--all", "--keep"],
        ["--all", "--keep", "--purge"],
    ],
)
def test_half_a_command_is_refused_with_what_to_say(told: Told, words: list[str]) -> None:
    result = invoke("leave", *words, "--config", "c.yaml")
    assert (result.exit_code, result.stderr.startswith("say ")) == (2, True)
    assert told == []
