"""``rbac``: the roles that imps-multi needs, ready for kubectl."""

import enum
import os
from pathlib import Path
from typing import Annotated

import typer

from imps_multi.cli.output import fail


class Role(enum.Enum):
    """Roles that can be printed."""

    TARGET = "target"


DEFAULT_ACCOUNT = "imps-system/imps-multi"


def rbac(
    *,
    role: Annotated[Role, typer.Option("--role", help="Which role.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Take the names from this configuration, its hub and state."
        ),
    ] = None,
    secret_name: Annotated[
        list[str] | None,
        typer.Option("--secret-name", metavar="NAME", help="A target Secret's name. May be given again."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="NAME", help="Only the names that policies write in this cluster."),
    ] = None,
    service_account: Annotated[
        list[str] | None,
        typer.Option(
            "--service-account",
            metavar="NAMESPACE/NAME",
            help=f"Whom to bind the role to; {DEFAULT_ACCOUNT} by default. May be given again.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the role of a target cluster, ready for kubectl.

    It comes with its namespace, ServiceAccount and binding. The role names the Secrets: nothing but create works on
    any other. Apply it again when a policy brings a new name.

    imps-multi rbac --role target -c imps-multi.yaml | kubectl apply -f -
    """
    from imps_multi.cli.role import accounts_of, target_manifests

    assert role is Role.TARGET
    try:
        names = _names(config, frozenset(secret_name or ()), cluster)
        accounts = accounts_of(service_account or [DEFAULT_ACCOUNT])
    except ValueError as error:
        raise fail(str(error)) from error
    typer.echo(target_manifests(names, accounts), nl=False)


def _names(config: Path | None, given: frozenset[str], cluster: str | None) -> frozenset[str]:
    from imps_multi.cli.role import checked_names

    if config is None and cluster is not None:
        raise ValueError("--cluster needs --config: the configuration says which policies reach it")
    if config is None and not given:
        raise ValueError("give --config FILE, or --secret-name NAME for each target Secret's name")
    configured: frozenset[str] = frozenset()
    if config is not None:
        from imps_multi.cli.names_in_use import names_in_use

        configured = names_in_use(config, os.environ, cluster=cluster)
    names = checked_names(given | configured)
    if not names:
        raise ValueError(f"{config} gives no Secret name: its hub has no policy{' for it' if cluster else ''}")
    return names
