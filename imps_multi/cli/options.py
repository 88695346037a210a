"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

CONFIG_VARIABLE = "IMPS_MULTI_CONFIG"
DEFAULT_CONFIG = Path("imps-multi.yaml")

Config = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", envvar=CONFIG_VARIABLE, help="The configuration file."),
]
