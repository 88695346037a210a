"""Showing a status: once, or again and again, redrawn on a terminal and printed on change elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import typer

from imps_multi.cli.output import Format, print_data, print_table, say, table
from imps_multi.cli.status import Unreached
from imps_multi.cli.status_page import in_short, left_out, parts
from imps_multi.model.status import ServiceStatus
from imps_multi.telemetry.status_json import plain_status

if TYPE_CHECKING:
    from rich.console import Group

EVERY: Final = 2.0
"""Seconds from one look to the next."""


def show(found: ServiceStatus, output: Format) -> None:
    """Print a status in the form that was asked for."""
    if output in {Format.JSON, Format.YAML}:
        print_data(plain_status(found), output)
        return
    shown = parts(found, now=time.time(), wide=output is Format.WIDE)
    for number, part in enumerate(shown):
        if number:
            typer.echo()
        print_table(part.headers, part.rows, folding=part.folding)
    for line in left_out(shown):
        say(line)
    say(in_short(found))


def watching(ask: Callable[[], ServiceStatus], output: Format) -> None:
    """Show it for ever; an interruption is raised."""
    if sys.stdout.isatty() and output in {Format.TABLE, Format.WIDE}:
        _redraw(ask, wide=output is Format.WIDE)
    else:
        _print_changes(ask, output)


def _redraw(ask: Callable[[], ServiceStatus], *, wide: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(_page(ask, wide=wide), refresh=True)
            time.sleep(EVERY)


def _page(ask: Callable[[], ServiceStatus], *, wide: bool) -> "Group":
    from rich.console import Group
    from rich.text import Text

    now = time.time()
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    try:
        found = ask()
    except Unreached as error:
        return Group(Text(f"{clock}  {error}", style="red"))
    shown = parts(found, now=now, wide=wide)
    lines = [Text(f"{clock}  {in_short(found)}", style="bold")]
    tables = [item for part in shown for item in (Text(), table(part.headers, part.rows, folding=part.folding))]
    return Group(*lines, *tables, *map(Text, left_out(shown)))


def _print_changes(ask: Callable[[], ServiceStatus], output: Format) -> None:
    known: object = None
    while True:
        try:
            found = ask()
        except Unreached as error:
            if known != str(error):
                say(str(error))
            known = str(error)
        else:
            essence = _essence(found)
            if essence != known:
                show(found, output)
            known = essence
        time.sleep(EVERY)


def _essence(found: ServiceStatus) -> object:
    """Return what is worth a new print: all but the times that pass by themselves."""
    clusters = [(one.name, one.state, one.reason, one.message, one.targets, one.version) for one in found.clusters]
    policies = [
        (one.name, one.generation, one.status.conditions, one.status.targets, one.status.reason)
        for one in found.policies
    ]
    credentials = [(one.name, one.namespace, one.state, one.expires_at, one.reason) for one in found.credentials]
    return clusters, policies, credentials, found.held, found.hub, found.configuration
