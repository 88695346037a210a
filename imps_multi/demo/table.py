"""The table under the story: clusters and what lies in them, the token in use, the scene that is on.

Pure: a frame in, something that rich can print out. Columns that a narrow terminal has no room for are left out.
"""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

WIDE = 100
BAR = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cluster."""

    cluster: str
    wanted: int
    right: int
    older: int
    token: int
    """The oldest that lies there; 0 is none."""
    life_left: float
    """Of that token, in seconds."""
    state: str
    """As the service tells it."""
    reason: str
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How things stand at one moment."""

    rows: tuple[Row, ...]
    scene: str
    token: int
    """The newest; 0 is none."""
    life_left: float
    lifetime: float
    mints: int


def drawn(frame: Frame, width: int) -> RenderableType:
    """Draw a frame for a terminal of so many columns."""
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=False)
    for heading in ("cluster", "Secrets", *([""] if wide else [])):
        table.add_column(heading, no_wrap=True)
    for heading, least in (("token", 10), ("valid for", 9), ("the service says", 22)):
        table.add_column(heading, no_wrap=True, min_width=least)
    table.add_column("writes", justify="right", no_wrap=True)
    for row in frame.rows:
        table.add_row(*_cells(row, wide=wide, newest=frame.token))
    rule = Text("─" * min(width - 1, 110), style="dim")
    return Group(rule, table, _footer(frame))


def _cells(row: Row, *, wide: bool, newest: int) -> list[Text]:
    current = row.right == row.wanted
    colour = "green" if current else "yellow"
    left = f"{max(0.0, row.life_left):.0f} s" if row.token else ""
    spent = row.token != 0 and row.life_left <= 0
    cells = [
        Text(row.cluster, style="bold"),
        Text(f"{row.right}/{row.wanted}", style=colour),
        Text(_token(row, newest), style=colour if row.token else "dim"),
        Text("expired" if spent else left, style="red" if spent else ""),
        Text(f"{row.state} {row.reason}".strip(), style="green" if row.state == "Up" else "red"),
        Text(str(row.writes), style="dim"),
    ]
    if wide:
        cells.insert(1, _bar(row))
    return cells


def _token(row: Row, newest: int) -> str:
    if not row.token:
        return "none"
    return f"#{row.token}" if row.token == newest else f"#{row.token}, not #{newest}"


def _bar(row: Row) -> Text:
    full = BAR * row.right // max(1, row.wanted)
    older = BAR * (row.right + row.older) // max(1, row.wanted) - full
    bar = Text("█" * full, style="green")
    return bar.append("█" * older, style="yellow").append("░" * (BAR - full - older), style="dim")


def _footer(frame: Frame) -> Text:
    text = Text("now: ", style="dim").append(frame.scene, style="cyan")
    if frame.token:
        age = max(0.0, frame.lifetime - frame.life_left)
        life = f"token #{frame.token} is {age:.0f} s old of {frame.lifetime:.0f} s, renewed at half of that"
        text.append(f"\n{life}; ECR was asked {times(frame.mints)}", style="dim")
    return text


def times(count: int) -> str:
    """Say how often."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
