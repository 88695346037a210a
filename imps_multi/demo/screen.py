"""How the story is told: as plain lines with the time since the start, or above a live table on a terminal.

Tells what it is handed and looks at nothing itself. Fed by the story (lines) and the display loop (frames).
"""

import os
import sys
import textwrap
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from imps_multi.demo.table import Frame, drawn

__all__ = ["Kind", "LiveScreen", "PlainScreen", "Screen", "choose"]

PLAIN_WIDTH = 110
INDENT = 11
"""Columns before the text of a line: the time and the mark."""


class Kind(Enum):
    """What a line is: its mark, the same where only ASCII can be written, and its style."""

    TITLE = ("", "", "bold")
    SCENE = ("", "", "bold cyan")
    SAY = ("·", "-", "")
    DONE = ("✓", "+", "green")
    FAILED = ("✗", "FAILED:", "bold red")


class Screen(Protocol):
    """Where the story is told."""

    def tell(self, kind: Kind, text: str) -> None:
        """Tell one line."""

    def quote(self, lines: Iterable[str]) -> None:
        """Print lines as they are, to be copied."""

    def show(self, frame: Frame) -> None:
        """Show how things stand now."""

    def live(self) -> AbstractContextManager[object]:
        """Show frames inside the block."""


class PlainScreen:
    """Lines, each with the seconds since the start. Frames are not shown."""

    def __init__(self, out: TextIO, elapsed: Callable[[], float]) -> None:
        self._out = out
        self._elapsed = elapsed
        self._symbols = _can_write(out, "✓✗·")

    def tell(self, kind: Kind, text: str) -> None:
        """Tell one line, at once."""
        mark = kind.value[0] if self._symbols else kind.value[1]
        blank = "\n" if kind is Kind.SCENE else ""
        head = f"{self._elapsed():6.1f}s  {mark}{' ' if mark else ''}"
        lines = _broken(text if self._symbols else text.encode("ascii", "replace").decode(), PLAIN_WIDTH)
        self._out.write(blank + head + f"\n{' ' * len(head)}".join(lines) + "\n")
        self._out.flush()

    def quote(self, lines: Iterable[str]) -> None:
        """Print lines without the time."""
        self._out.write("\n" + "".join(f"{line}\n" for line in lines))
        self._out.flush()

    def show(self, frame: Frame) -> None:
        """Show nothing: a table that is never wiped is noise."""

    def live(self) -> AbstractContextManager[object]:
        """Change nothing."""
        return nullcontext()


class LiveScreen:
    """Lines that scroll by above a table that stays."""

    def __init__(self, console: Console, elapsed: Callable[[], float]) -> None:
        self._console = console
        self._elapsed = elapsed
        self._live = Live(console=console, auto_refresh=False, transient=False, vertical_overflow="crop")

    def tell(self, kind: Kind, text: str) -> None:
        """Tell one line, broken under its own beginning where the terminal is narrow."""
        mark, _, style = kind.value
        if kind is Kind.SCENE:
            self._console.print()
        lines = _broken(text, self._console.width)
        head = f"{self._elapsed():6.1f}s  "
        for number, line in enumerate(lines):
            shown = Text(" " * len(head) if number else head, style="dim")
            if mark:
                shown.append("  " if number else f"{mark} ", style=style)
            self._console.print(shown.append(line, style="" if kind is Kind.DONE else style))

    def quote(self, lines: Iterable[str]) -> None:
        """Print lines as they are; the terminal breaks those that are too long, so that they stay one when copied."""
        self._console.print()
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)
        self._console.print()

    def show(self, frame: Frame) -> None:
        """Draw the table anew."""
        self._live.update(drawn(frame, self._console.width), refresh=True)

    def live(self) -> AbstractContextManager[object]:
        """Keep the table at the bottom inside the block; its last state stays."""
        return self._live


def choose(elapsed: Callable[[], float], out: TextIO | None = None) -> Screen:
    """Return the live screen where there is a terminal that takes it, else plain lines."""
    stream = out or sys.stdout
    console = Console(file=stream, highlight=False)
    plain = "NO_COLOR" in os.environ or console.is_dumb_terminal or not stream.isatty()
    if plain or not _can_write(stream, "✓✗·─█"):
        return PlainScreen(stream, elapsed)
    return LiveScreen(console, elapsed)


def _broken(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(30, width - INDENT - 1), break_on_hyphens=False, break_long_words=False)


def _can_write(out: TextIO, signs: str) -> bool:
    try:
        signs.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
