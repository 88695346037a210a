"""``version``."""

import platform
import sys

import typer
from msgspec import Struct

import imps_multi
from imps_multi.cli.output import Format, Output, print_data


class Version(Struct, frozen=True, rename="camel"):
    """What runs here."""

    version: str
    python_version: str
    platform: str


def version(output: Output = Format.TABLE) -> None:
    """Print the version."""
    found = Version(imps_multi.__version__, platform.python_version(), sys.platform)
    match output:
        case Format.TABLE:
            typer.echo(f"imps-multi {found.version}")
        case Format.WIDE:
            typer.echo(f"imps-multi {found.version} (Python {found.python_version}, {found.platform})")
        case _:
            print_data(found, output)
