"""``rbac``: the roles that imps-multi needs, ready for kubectl."""

import enum
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imps_multi.cli.output import Format, Output, fail, print_text, say

if TYPE_CHECKING:
    from imps_multi.cli.role import Account


class Role(enum.Enum):
    """Roles that can be printed."""

    TARGET = "target"
    HUB = "hub"


UNREACHABLE = 3
DEFAULT_NAMESPACE = "imps-system"
DEFAULT_ACCOUNT = f"{DEFAULT_NAMESPACE}/imps-multi"


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
    source_namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--source-namespace",
            metavar="NAME",
            help="For the hub's role: a namespace of source Secrets, where the configuration names none.",
        ),
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
    with_kubeconfig: Annotated[
        str | None,
        typer.Option(
            "--with-kubeconfig",
            metavar="SERVER",
            help="Add a token that lives on, and how to make a kubeconfig of it for this server's URL.",
        ),
    ] = None,
    admission_policy: Annotated[
        bool,
        typer.Option(
            "--admission-policy",
            help="Add a policy that lets the account create Secrets of these names and type alone.",
        ),
    ] = False,
    output: Output = Format.YAML,
) -> None:
    """Print the role of a target cluster or of the hub's.

    It is ready for kubectl, with its namespace, ServiceAccount and binding. A target's role names the Secrets: nothing
    but create works on any other. Apply it again when a policy brings a new name. The hub's lets Secrets be read in the
    namespaces of sources.namespaces alone.

    imps-multi rbac --role target -c imps-multi.yaml | kubectl apply -f -
    """
    from imps_multi.cli.role import accounts_of, target_manifests

    if admission_policy and role is not Role.TARGET:
        raise typer.BadParameter("is for the role of a target", param_hint="--admission-policy")

    try:
        accounts = accounts_of(service_account or [DEFAULT_ACCOUNT])
        if role is Role.HUB:
            text = _hub(config, source_namespace or [], accounts)
        else:
            names = _names(config, frozenset(secret_name or ()), cluster)
            text = target_manifests(names, accounts) + (_admission(names, accounts) if admission_policy else "")
        tokens = _kubeconfigs(accounts, with_kubeconfig, cluster or role.value) if with_kubeconfig is not None else []
    except ValueError as error:
        raise fail(str(error)) from error
    print_text(text + "".join(token + todo for token, todo in tokens), output)
    if output is Format.JSON or not sys.stdout.isatty():  # kubectl, at the other end of the pipe, drops comments
        for _, todo in tokens:
            say(todo.rstrip())


def _admission(names: frozenset[str], accounts: "list[Account]") -> str:
    from imps_multi.cli.admission import admission_manifests

    return admission_manifests(names, accounts)


def _kubeconfigs(accounts: "list[Account]", server: str, cluster: str) -> list[tuple[str, str]]:
    """Return each account's token, and what to do with it."""
    from imps_multi.cli.target_kubeconfig import checked_server, how_to, token_manifest

    url = checked_server(server)
    return [(token_manifest(one), how_to(one, server=url, cluster=cluster)) for one in accounts]


def _hub(config: Path | None, given: list[str], accounts: "list[Account]") -> str:
    from imps_multi.cli.hub_role import checked_namespaces, hub_manifests

    if config is None and not given:
        raise ValueError("give --config FILE, or --source-namespace NAME for each namespace of source Secrets")
    if config is None:
        return hub_manifests(namespace=DEFAULT_NAMESPACE, sources=checked_namespaces(given), accounts=accounts)
    from imps_multi.config.load import InvalidConfiguration, load

    try:
        configuration = load(config, os.environ).configuration
    except InvalidConfiguration as error:
        raise ValueError(str(error)) from error
    if not configuration.hub.in_a_cluster:
        raise ValueError(f"{config} has a hub in a directory, which needs no role")
    sources = checked_namespaces(given or configuration.sources.namespaces)
    return hub_manifests(namespace=configuration.hub.namespace, sources=sources, accounts=accounts)


def _names(config: Path | None, given: frozenset[str], cluster: str | None) -> frozenset[str]:
    from imps_multi.cli.role import checked_names

    if config is None and cluster is not None:
        raise ValueError("--cluster needs --config: the configuration says which policies reach it")
    if config is None and not given:
        raise ValueError("give --config FILE, or --secret-name NAME for each target Secret's name")
    configured: frozenset[str] = frozenset()
    if config is not None:
        from imps_multi.cli.names_in_use import HubAway, names_in_use

        try:
            configured = names_in_use(config, os.environ, cluster=cluster)
        except HubAway as error:
            raise fail(str(error), UNREACHABLE) from error
    names = checked_names(given | configured)
    if not names:
        raise ValueError(f"{config} gives no Secret name: its hub has no policy{' for it' if cluster else ''}")
    return names
