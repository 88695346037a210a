"""``schema``: JSON Schemas of what users write."""

import enum
from typing import Annotated

import typer

from imps_multi.cli.output import Format, Output, print_text


class Subject(enum.Enum):
    """What there is a schema of."""

    CONFIG = "config"


def schema(
    subject: Annotated[Subject, typer.Argument(metavar="SUBJECT", help="What to print the schema of: config.")],
    output: Output = Format.JSON,
) -> None:
    """Print the JSON Schema of the configuration file.

    imps-multi schema config > imps-multi.schema.json
    """
    from imps_multi.config.schema import json_schema_text

    assert subject is Subject.CONFIG
    print_text(json_schema_text(), output)
