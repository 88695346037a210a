"""Standard streams that are closed, full, or that nobody reads: a sentence at most, and never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = f"{sys.executable} -m imps_multi"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux stands in for a full disk")


def shell(words: str) -> tuple[int, str, str]:
    """Let a shell run ``imps-multi`` with the redirections that stand behind the words."""
    done = subprocess.run(  # noqa: S602  # our own words, and it is a shell that closes streams
        f"{COMMAND} {words}", shell=True, text=True, capture_output=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@FULL
@pytest.mark.parametrize("words", ["version", "--help", "crd"])
def test_a_full_disk_behind_the_output_is_said_in_a_sentence(words: str) -> None:
    assert shell(f"{words} >/dev/full") == (1, "", "the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(("words", "code"), [("version >&-", 0), ("nope 2>&-", 2), ("version <&- >&- 2>&-", 0)])
def test_a_closed_stream_changes_nothing_about_how_a_command_ends(words: str, code: int) -> None:
    assert shell(words) == (code, "", "")


def test_what_is_opened_later_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    kept = tmp_path / "manifest.yaml"
    kept.write_text("nonsense\n")
    code, _, told = shell(f"validate {kept} >&-")
    assert (code, kept.read_text(), told.count("1 error")) == (2, "nonsense\n", 1)
