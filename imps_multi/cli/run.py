"""``run``: the service, or one pass of it."""

from typing import Annotated

import typer

from imps_multi.cli.options import DEFAULT_CONFIG, Config


def run(
    config: Config = DEFAULT_CONFIG,
    *,
    once: Annotated[bool, typer.Option("--once", help="Make one pass, then exit.")] = False,
    observe: Annotated[
        bool, typer.Option("--observe", help="Compute and report everything; write, mint and store nothing.")
    ] = False,
) -> None:
    """Keep every selected namespace of every cluster right.

    It runs until SIGTERM, which ends it in order within ten seconds, and logs to standard error.

    With --once: read hub and state, mint what is due, make every write that is due, and exit with what came of it.
    """
    from imps_multi.app import run_once, run_service

    raise typer.Exit((run_once if once else run_service)(config, observe=observe))
