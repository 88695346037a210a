"""Tables as people see them: on a terminal, and in a pipe."""

import io
import sys

import pytest

from imps_multi.cli.output import print_table

HEADERS = ("SOURCE", "STATE", "REGISTRIES", "REASON")
ROW = ("registry-access/dockerhub", "stored", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "one two " * 12)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    for name, value in (("COLUMNS", str(columns)), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    print_table(HEADERS, [ROW], folding="REASON")
    return screen.getvalue().splitlines()


def test_without_colours_there_is_no_style_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("\x1b" in line for line in shown(monkeypatch, 120))


def test_a_wide_terminal_folds_the_last_column_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 120)
    assert all(len(line) <= 120 for line in lines)
    assert lines[1].startswith("   ".join(ROW[:3]))
    assert len(lines) > 2


def test_a_terminal_that_is_too_narrow_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 80)
    assert lines[1].startswith("   ".join(ROW[:3]))
    assert "".join("".join(line[len("   ".join(ROW[:3])) :].split()) for line in lines[1:]) == ROW[3].replace(" ", "")
