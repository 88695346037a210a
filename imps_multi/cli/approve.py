"""``approve``: let a held set go."""

from typing import Annotated

import typer

from imps_multi.cli.options import DEFAULT_CONFIG, Config


def approve(
    held_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a held set, as status and logs show it.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Let a held set of removals go.

    Exactly what was in the set when it was shown goes, and nothing that joined later. Asks the running instance; with
    none running, the approval is stored for its next pass.
    """
    from imps_multi.cli.asking import ask_or_store

    raise typer.Exit(ask_or_store(config, "approve", held_id))
