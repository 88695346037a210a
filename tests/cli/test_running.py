from pathlib import Path

import pytest

from tests.cli.running import invoke


class Calls:
    """Stands in for the composition root."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Path, bool]] = []

    def run_service(self, config: Path, *, observe: bool) -> int:
        self.made.append(("service", config, observe))
        return 0

    def run_once(self, config: Path, *, observe: bool) -> int:
        self.made.append(("once", config, observe))
        return 3


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()
    monkeypatch.setattr("imps_multi.app.run_service", made.run_service)
    monkeypatch.setattr("imps_multi.app.run_once", made.run_once)
    return made


def test_run_serves_the_default_configuration(calls: Calls) -> None:
    assert invoke("run").exit_code == 0
    assert calls.made == [("service", Path("imps-multi.yaml"), False)]


def test_run_once_exits_with_what_came_of_the_pass(calls: Calls) -> None:
    assert invoke("run", "--once", "--observe", "--config", "some.yaml").exit_code == 3
    assert calls.made == [("once", Path("some.yaml"), True)]


def test_the_configuration_can_come_from_the_environment_and_the_option_wins(calls: Calls) -> None:
    env = {"IMPS_MULTI_CONFIG": "from-env.yaml"}
    invoke("run", env=env)
    invoke("run", "-c", "given.yaml", env=env)
    assert [path for _, path, _ in calls.made] == [Path("from-env.yaml"), Path("given.yaml")]


@pytest.mark.parametrize("words", [("run",), ("run", "--once"), ("plan",), ("sync", "team-a"), ("approve", "abc")])
def test_a_configuration_that_is_not_there_exits_2_and_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    result = invoke(*words, "--config", str(missing))
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(missing) in result.stderr


@pytest.mark.parametrize(("words", "keep"), [((), False), (("--keep",), True)])
def test_the_demos_outcome_is_the_exit_code(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, *, keep: bool
) -> None:
    asked: list[bool] = []

    def run_demo(*, keep: bool) -> int:
        asked.append(keep)
        return 1

    monkeypatch.setattr("imps_multi.demo.run_demo", run_demo)
    assert invoke("demo", *words).exit_code == 1
    assert asked == [keep]
