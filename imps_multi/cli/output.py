"""How commands speak: data on standard output in the form that was asked for, talk on standard error.

No command prints a secret value; what is printed here comes from values that hold none.
"""

import enum
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table


class Format(enum.Enum):
    """Forms of output."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="Form of the output.", show_choices=True)]


def say(text: str) -> None:
    """Talk to whoever is at the terminal."""
    typer.echo(text, err=True)


def fail(text: str, code: int = 2) -> typer.Exit:
    """Say what is wrong; the result is to be raised."""
    say(text)
    return typer.Exit(code)


def print_data(value: object, form: Format) -> None:
    """Print a value of ours as JSON or YAML, its fields named as in the status API."""
    import msgspec

    plain = msgspec.to_builtins(value)
    if form is Format.YAML:
        import yaml

        typer.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)
    else:
        typer.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode())


def print_text(text: str, form: Format) -> None:
    """Print YAML or JSON that is ready as it is; in the other form only where that is asked for.

    Several documents are one List in JSON, which kubectl takes as well.
    """
    in_json = text.startswith("{")
    if form in {Format.TABLE, Format.WIDE} or in_json == (form is Format.JSON):
        typer.echo(text, nl=False)
        return
    import yaml

    documents = [document for document in yaml.safe_load_all(text) if document is not None]
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    print_data(documents[0] if len(documents) == 1 else listed, form)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, folding: str = "") -> "Table":
    """Lay out columns as kubectl does."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for header in headers:
        made.add_column(header, no_wrap=header != folding, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    return made


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, folding: str = "") -> None:
    """Print columns; on a terminal the ``folding`` column is broken into lines where it must, and no other is cut."""
    from rich.console import Console

    listed = list(rows)
    made = table(headers, listed, folding=folding)
    if sys.stdout.isatty():
        plain = "NO_COLOR" in os.environ  # without bold as well, which the library would leave
        console = Console(file=sys.stdout, highlight=False, color_system=None if plain else "auto")
        console.width = max(console.width, _least_width(headers, listed, folding))
        console.print(made)
        return
    wide = Console(file=io.StringIO(), width=_ENDLESS, highlight=False)
    with wide.capture() as captured:
        wide.print(made)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def _least_width(headers: Sequence[str], rows: Sequence[Sequence[str]], folding: str) -> int:
    """Return how many columns a table must have; a terminal that is narrower breaks its lines, as with kubectl."""
    from rich.cells import cell_len

    widths = {header: max(map(cell_len, cells)) for header, *cells in zip(headers, headers, *rows, strict=True)}
    if folding in widths:
        widths[folding] = min(widths[folding], _FOLDED)
    return sum(widths.values()) + _GAP * len(widths)


def _style(cell: str) -> str:
    return _STYLES.get("held" if cell.endswith("(held)") else cell, "")


_GAP = 3
"""Blanks between two columns."""
_FOLDED = 24
"""The folding column gets no narrower than that."""
_ENDLESS = 4000
"""Columns of a line that goes into a pipe: nothing is cut there."""
_STYLES = {
    "create": "green",
    "update": "yellow",
    "mark": "magenta",
    "release": "magenta",
    "delete": "red",
    "held": "bold red",
    "Up": "green",
    "True": "green",
    "Starting": "yellow",
    "Unknown": "yellow",
    "Degraded": "red",
    "False": "red",
    "Quarantined": "bold red",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
    "unreachable": "bold red",
}
