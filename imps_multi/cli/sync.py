"""``sync``: a fresh mint and a full pass, once."""

from typing import Annotated

import typer

from imps_multi.cli.options import DEFAULT_CONFIG, Config


def sync(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="The name of an ImagePullSecret.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Mint a policy's credentials anew and do a full pass, once.

    Asks the running instance; with none running, the request is stored for its next pass.
    """
    from imps_multi.cli.asking import ask_or_store

    raise typer.Exit(ask_or_store(config, "sync", policy))
