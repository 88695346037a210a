"""The command line: the list of commands, and nothing of what they do.

Exit codes: 0 fine, 1 findings or something that was reached is wrong, 2 usage or configuration, 3 all that was reached
is right but something could not be reached. Each command imports what it needs when it runs, so that help, ``version``,
``validate`` and completion start in a blink.
"""

import gc
import os
from typing import Annotated

import typer

from imps_multi.cli.approve import approve
from imps_multi.cli.clusters import clusters
from imps_multi.cli.completion import COMPLETE_VARIABLE, PROGRAM, completion
from imps_multi.cli.crd import crd
from imps_multi.cli.demo import demo
from imps_multi.cli.doctor import doctor
from imps_multi.cli.leave import leave
from imps_multi.cli.plan import plan
from imps_multi.cli.quick_parameters import QuickCommand, QuickGroup
from imps_multi.cli.rbac import rbac
from imps_multi.cli.reserved import RESERVED, SETTINGS, not_in_this_version
from imps_multi.cli.run import run
from imps_multi.cli.schema import schema
from imps_multi.cli.status import status
from imps_multi.cli.streams import standard_streams
from imps_multi.cli.sync import sync
from imps_multi.cli.validate import validate
from imps_multi.cli.version import version

HELP = "Keeps image pull secrets right in every selected namespace of every selected cluster, from one place."
EPILOG = (
    "Exit codes: 0 fine; 1 findings, differences, or something is wrong; 2 usage or configuration; 3 something could "
    "not be reached."
)

app = typer.Typer(
    name=PROGRAM,
    cls=QuickGroup,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,  # `completion` prints the script and changes nobody's files
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command in (
    run,
    demo,
    validate,
    plan,
    status,
    clusters,
    doctor,
    sync,
    approve,
    leave,
    rbac,
    crd,
    schema,
    completion,
    version,
):
    app.command(cls=QuickCommand)(_command)
app.command("check", cls=QuickCommand, hidden=True)(doctor)
for _name in RESERVED:
    app.command(_name, cls=QuickCommand, hidden=True, context_settings=SETTINGS, add_help_option=False)(
        not_in_this_version
    )


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - an option's callback is given its value
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Keep one command per word, even if only one were left."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(20_000, 20, 50)  # a command's imports make much that stays, and no garbage
    if COMPLETE_VARIABLE in os.environ:
        from typer._completion_classes import completion_init  # as in `completion`

        completion_init()
    with standard_streams():
        app(prog_name=PROGRAM)
