"""``run``: the service, or one pass of it."""

import sys
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
    _spare_rich()
    from imps_multi.app import run_once, run_service

    raise typer.Exit((run_once if once else run_service)(config, observe=observe))


def _spare_rich() -> None:
    """Import structlog without rich, which it would take 3 MB of for tracebacks that the service does not print so."""
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # an import of it fails, which structlog is ready for
    try:
        import structlog  # noqa: F401  # only to have it imported now
    finally:
        del sys.modules["rich"]
