"""Commands whose names are taken, and that this version does not have."""

import typer

from imps_multi.cli.output import fail

RESERVED = ("preflight",)
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def not_in_this_version(context: typer.Context) -> None:
    """Say so."""
    raise fail(f"imps-multi {context.info_name} is not in this version")
