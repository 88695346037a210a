"""``completion``: the script that makes a shell complete our words."""

import enum
from typing import Annotated, Final

import typer

PROGRAM: Final = "imps-multi"
COMPLETE_VARIABLE: Final = "_IMPS_MULTI_COMPLETE"


class Shell(enum.Enum):
    """Shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell.

    source <(imps-multi completion bash)
    """
    from typer._completion_shared import get_completion_script  # its public door opens only for its own option

    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE, shell=shell.value))
