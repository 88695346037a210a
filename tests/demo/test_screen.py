import io

import pytest
from rich.console import Console

from imps_multi.demo.screen import Kind, LiveScreen, PlainScreen, choose
from imps_multi.demo.table import Frame, Row, drawn

LONG = "This sentence goes on and on, " * 8


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    encoding = "ascii"


def frame() -> Frame:
    row = Row(
        cluster="prod-eu",
        wanted=14,
        right=4,
        older=10,
        token=2,
        life_left=9.6,
        state="Degraded",
        reason="Unreachable",
        writes=1234,
    )
    return Frame(rows=(row,), scene="3. A cluster dies", token=3, life_left=12.0, lifetime=20.0, mints=3)


def plain(out: io.StringIO) -> PlainScreen:
    return PlainScreen(out, lambda: 12.34)


def test_a_plain_line_has_time_and_mark() -> None:
    out = Terminal()
    plain(out).tell(Kind.DONE, "It is there.")
    assert out.getvalue() == "  12.3s  ✓ It is there.\n"


def test_a_long_plain_line_goes_on_under_its_own_beginning() -> None:
    out = Terminal()
    plain(out).tell(Kind.SAY, LONG)
    first, second, *_ = out.getvalue().splitlines()
    assert first.index("This") == len(second) - len(second.lstrip()) == 11
    assert max(map(len, out.getvalue().splitlines())) <= 110


def test_where_only_ascii_can_be_written_marks_are_words() -> None:
    out = Ascii()
    plain(out).tell(Kind.FAILED, "It is not there, 5 µs late.")
    assert out.getvalue() == "  12.3s  FAILED: It is not there, 5 ?s late.\n"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_on_a_terminal_fit_and_are_aligned(width: int) -> None:
    out = Terminal()
    screen = LiveScreen(Console(file=out, width=width, highlight=False, color_system=None), lambda: 1.0)
    screen.tell(Kind.DONE, LONG)
    lines = out.getvalue().splitlines()
    assert all(len(line) < width for line in lines)
    assert lines[0].startswith("   1.0s  ✓ This")
    assert all(line.startswith(" " * 11) for line in lines[1:])


def test_lines_to_copy_are_not_broken() -> None:
    out = Terminal()
    LiveScreen(Console(file=out, width=40, highlight=False), lambda: 1.0).quote(["x" * 90])
    assert "x" * 90 in out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_tells_everything(width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(drawn(frame(), width))
    shown = out.getvalue()
    assert all(len(line.rstrip()) < width for line in shown.splitlines())
    for words in ("prod-eu", "4/14", "#2, not #3", "10 s", "Degraded Unreachable", "1234", "now: 3. A cluster dies"):
        assert words in shown
    assert ("█" in shown) == (width == 120)


def test_an_expired_token_is_called_so() -> None:
    out = io.StringIO()
    row = Row(
        cluster="a", wanted=1, right=0, older=1, token=1, life_left=-2.0, state="Degraded", reason="Timeout", writes=1
    )
    Console(file=out, width=80).print(
        drawn(Frame(rows=(row,), scene="", token=2, life_left=1.0, lifetime=20.0, mints=2), 80)
    )
    assert "expired" in out.getvalue()


def test_a_terminal_gets_the_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(choose(lambda: 0.0, Terminal()), LiveScreen)


@pytest.mark.parametrize("setting", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_color_and_a_dumb_terminal_get_plain_lines(
    monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str]
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(*setting)
    assert isinstance(choose(lambda: 0.0, Terminal()), PlainScreen)


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(choose(lambda: 0.0, io.StringIO()), PlainScreen)
