"""``status``: how everything stands, from a running instance or from the hub."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imps_multi.cli.options import CONFIG_VARIABLE, DEFAULT_CONFIG
from imps_multi.cli.output import Format, Output, fail, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from imps_multi.config.load import InvalidConfiguration, Loaded
    from imps_multi.model.status import ServiceStatus

FINE, WRONG, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        help=f"The configuration file; {DEFAULT_CONFIG} where it is there.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Where an instance answers; by default as the configuration's statusAddress."
    ),
]


def status(
    config: OptionalConfig = None,
    url: Url = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it, until interrupted.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show how policies, clusters and credentials stand.

    Problems come first. Asks a running instance; where none answers and the hub is in a cluster, the policies there.
    The exit code is 1 if anything is wrong, 3 if a cluster, or all of it, could not be reached.
    """
    from imps_multi.cli.status_watch import show, watching

    ask = asking(config, url)
    try:
        if watch:
            watching(ask, output)
        found = ask()
    except Unreached as error:
        raise fail(str(error), error.code) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    show(found, output)
    raise typer.Exit(exit_code(found))


class Unreached(Exception):
    """Nothing that knows the status could be reached; the message says what to do."""

    def __init__(self, message: str, code: int = UNREACHABLE) -> None:
        super().__init__(message)
        self.code = code


def asking(config: Path | None, url: str | None) -> "Callable[[], ServiceStatus]":
    """Return what asks for the status: each call asks anew, and raises Unreached."""
    from imps_multi.config.load import InvalidConfiguration
    from imps_multi.telemetry.status_client import checked_url

    if url is not None:
        try:
            checked_url(url)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--url") from error
        return lambda: _ask(url, None)
    try:
        loaded = _load_if_there(config)
    except InvalidConfiguration as error:
        return _asking_all_the_same(config or DEFAULT_CONFIG, error)
    address = _address(loaded)
    return lambda: _ask(address, loaded)


def _address(loaded: "Loaded | None") -> str | None:
    from imps_multi.telemetry.status_client import DEFAULT_URL, url_of

    return DEFAULT_URL if loaded is None else url_of(loaded.configuration.telemetry.status_address)


def _asking_all_the_same(config: Path, invalid: "InvalidConfiguration") -> "Callable[[], ServiceStatus]":
    """Ask where the rest of the file says: an instance goes on with the last good one, and tells what is wrong."""
    url = _address(invalid.rest)
    if url is None or not _is_file(config):
        raise fail(str(invalid)) from invalid
    say(str(invalid))

    def ask() -> "ServiceStatus":
        try:
            return _ask(url, None)
        except Unreached as error:
            raise Unreached(str(error), USAGE) from error

    return ask


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # nobody may look there
        return False


def load_if_there(config: Path | None) -> "Loaded | None":
    """Load the configuration, or say what is wrong and end; None where none was given and there is none."""
    from imps_multi.config.load import InvalidConfiguration

    try:
        return _load_if_there(config)
    except InvalidConfiguration as error:
        raise fail(str(error)) from error


def _load_if_there(config: Path | None) -> "Loaded | None":
    from imps_multi.config.load import load

    if config is None and not DEFAULT_CONFIG.exists():
        return None
    return load(config or DEFAULT_CONFIG, os.environ)


def exit_code(found: "ServiceStatus") -> int:
    """Say how it ends: what is wrong before what could not be reached."""
    from imps_multi.model.policy_status import exit_code as of_policies

    hub_wrong = found.hub.synced and not found.hub.whole
    if hub_wrong or found.held or not found.configuration.last_reload_successful:
        return WRONG
    return of_policies(view.status for view in found.policies)


def _ask(url: str | None, loaded: "Loaded | None") -> "ServiceStatus":
    from imps_multi.telemetry.status_client import NoAnswer, ask_status

    try:
        if url is not None:
            return ask_status(url)
        away = "the configuration's telemetry.statusAddress has no port to ask"
    except NoAnswer as error:
        away = str(error)
    if loaded is None or not loaded.configuration.hub.in_a_cluster:
        raise Unreached(f"{away}\n{_ADVICE}")
    return _from_hub(loaded, away)


def _from_hub(loaded: "Loaded", away: str) -> "ServiceStatus":
    from imps_multi.app.commands import run_on_loop
    from imps_multi.app.hub_parts import HubUnreachable
    from imps_multi.app.hub_status import hub_status
    from imps_multi.config.load import InvalidConfiguration

    try:
        found = run_on_loop(lambda: hub_status(loaded))
    except HubUnreachable as error:
        raise Unreached(f"{away}\n{error}\n{_ADVICE}") from error
    except InvalidConfiguration as error:
        raise fail(str(error)) from error
    say(f"{away}; this is what the hub's policies show, as of their last write")
    return found


_ADVICE = (
    "Start one with `imps-multi run`, or say with --url where one answers: for an instance in a cluster, "
    "`kubectl -n NAMESPACE port-forward deploy/imps-multi 8082` makes http://127.0.0.1:8082 so."
)
