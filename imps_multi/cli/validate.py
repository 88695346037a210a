"""``validate``: configuration files and manifests, offline."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from imps_multi.cli.output import Format, Output, print_data, say
from imps_multi.model.wording import counted

if TYPE_CHECKING:
    from imps_multi.cli.checking import Checked
    from imps_multi.cli.manifest_checks import Finding

INVALID = 2


class Found(Struct, frozen=True):
    """A finding as JSON and YAML have it: as in the status API, and whether it is no error."""

    file: str
    line: int
    column: int
    message: str
    warning: bool

    @staticmethod
    def of(finding: "Finding") -> "Found":
        """Lay it out."""
        place = finding.place
        return Found(place.file, place.line, place.column, finding.message, finding.warning)


def validate(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Files, directories, or - for manifests piped in.")
    ],
    output: Output = Format.TABLE,
) -> None:
    """Check configuration files and manifests, offline.

    A configuration's kubeconfigs and hub directory are checked with it; a kubeconfig can be given itself, too. Every
    error is printed as FILE:LINE:COLUMN: path: what is wrong. The exit code is 0 or, with any error, 2.
    """
    from imps_multi.cli.checking import check

    checked = check(paths, os.environ)
    if output in {Format.JSON, Format.YAML}:
        print_data([Found.of(finding) for finding in checked.findings], output)
    else:
        for finding in checked.findings:
            typer.echo(str(finding))
    say(summary(checked))
    raise typer.Exit(0 if checked.fine else INVALID)


def summary(checked: "Checked") -> str:
    """Say in one line what was looked at and how it came out."""
    errors = sum(not finding.warning for finding in checked.findings)
    warnings = len(checked.findings) - errors
    kinds = ((checked.configurations, "configuration"), (checked.policies, "policy"), (checked.sources, "source"))
    looked_at = ", ".join(_count(number, noun) for number, noun in kinds if number) or "nothing of ours"
    outcome = _count(errors, "error") if errors else "no error"
    also = f", {_count(warnings, 'warning')}" if warnings else ""
    return f"{_count(checked.files, 'file')} ({looked_at}): {outcome}{also}"


def _count(number: int, noun: str) -> str:
    return counted(number, noun, f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s")
