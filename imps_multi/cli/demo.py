"""``demo``: the whole thing in one process, to watch."""

from typing import Annotated

import typer


def demo(
    *, keep: Annotated[bool, typer.Option("--keep", help="Go on after the story, until interrupted.")] = False
) -> None:
    """Watch it work, in about a minute and without any cluster.

    A hub, three clusters and a registry whose tokens live twenty seconds, all in this process: credentials fan out and
    rotate, a cluster breaks and heals. It needs nothing, and touches nothing.
    """
    from imps_multi.demo import run_demo

    raise typer.Exit(run_demo(keep=keep))
