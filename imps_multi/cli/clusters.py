"""``clusters``: the fleet as configured, with how each cluster stands where an instance can tell."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from imps_multi.cli.options import DEFAULT_CONFIG, Config
from imps_multi.cli.output import Format, Output, fail, print_data, print_table, say
from imps_multi.model.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from imps_multi.app.members import Members
    from imps_multi.model.status import ServiceStatus
    from imps_multi.ports import FleetMember

UNKNOWN = "unknown"
UNREACHABLE = 3
COLUMNS = ("NAME", "SERVER", "LABELS", "VERSION", "STATE", "REASON")
WIDE = ("NAME", "SERVER", "LABELS", "VERSION", "STATE", "CONNECTIVITY", "SETTINGS", "CONFIGURED AT", "REASON")


class ClusterRow(Struct, frozen=True, rename="camel"):
    """One cluster; ``state`` is unknown, and ``version`` empty, where no instance tells."""

    name: str
    server: str
    labels: dict[str, str]
    version: str = ""
    state: str = UNKNOWN
    reason: str = ""
    message: str = ""
    connectivity: str = ""
    settings: list[str] = []
    place: str = ""


def clusters(
    config: Config = DEFAULT_CONFIG,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Where an instance answers.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the fleet as it is configured.

    Connects to no cluster; version and state are what a running instance says. `doctor` asks each cluster itself.
    """
    fleet = _fleet(config)
    told = _told(config, url)
    rows = list(rows_of(fleet, told))
    if output in {Format.JSON, Format.YAML}:
        print_data(rows, output)
        return
    wide = output is Format.WIDE
    if rows:
        print_table(WIDE if wide else COLUMNS, (_cells(row, wide=wide) for row in rows), folding="REASON")
    away = "; no running instance tells their state" if told is None else ""
    say(f"{counted(len(rows), 'cluster', 'clusters')}{away}")


def rows_of(fleet: "Members", told: "ServiceStatus | None") -> Iterator[ClusterRow]:
    """Join what is configured with what an instance says."""
    views = {view.name: view for view in told.clusters} if told is not None else {}
    for member in fleet.members:
        view = views.get(member.settings.name)
        yield ClusterRow(
            name=member.settings.name,
            server=member.server,
            labels=dict(member.settings.labels),
            version=view.version if view else "",
            state=view.state if view else UNKNOWN,
            reason=view.reason if view else "",
            message=view.message if view else "",
            connectivity=member.settings.connectivity.value,
            settings=list(_settings(member)),
            place=member.place,
        )


def _settings(member: "FleetMember") -> Iterator[str]:
    given = member.settings
    yield from (name for name in ("paused", "observe", "decommission") if getattr(given, name))


def _cells(row: ClusterRow, *, wide: bool) -> tuple[str, ...]:
    labels = ",".join(f"{key}={value}" for key, value in row.labels.items())
    extra = (row.connectivity, ",".join(row.settings), row.place) if wide else ()
    reason = f"{row.reason}: {row.message}" if row.message else row.reason
    return row.name, row.server, labels, row.version, row.state, *extra, reason


def _fleet(config: "Path") -> "Members":
    from imps_multi.app.commands import load_whole
    from imps_multi.app.members import members
    from imps_multi.config.load import InvalidConfiguration
    from imps_multi.kube.shared import Shared
    from imps_multi.model.names import HubId

    try:
        return members(load_whole(config), Shared(hub=HubId("")))
    except InvalidConfiguration as error:
        raise fail(str(error)) from error


def _told(config: "Path", url: str | None) -> "ServiceStatus | None":
    """Ask a running instance; None where none of this hub answers."""
    from imps_multi.cli.status import load_if_there
    from imps_multi.telemetry.status_client import NoAnswer, ask_status, url_of

    loaded = load_if_there(config)
    assert loaded is not None  # it was loaded before
    asked = url or url_of(loaded.configuration.telemetry.status_address)
    try:
        found = ask_status(asked) if asked else None
    except NoAnswer as error:
        if url is not None:
            raise fail(str(error), UNREACHABLE) from error
        return None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--url") from error
    return found if found is not None and found.hub.id == loaded.configuration.hub.id else None
