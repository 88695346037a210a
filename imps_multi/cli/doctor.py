"""``doctor``: whether everything is as a run needs it, cluster by cluster."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imps_multi.cli.options import CONFIG_VARIABLE, DEFAULT_CONFIG
from imps_multi.cli.output import Format, Output, fail, print_data, print_table, say

if TYPE_CHECKING:
    from imps_multi.config.model import Configuration
    from imps_multi.model.diagnosis import Check, Permission

COLUMNS = ("SUBJECT", "STATE", "FINDING")
WIDE = ("SUBJECT", "CHECK", "STATE", "MESSAGE")


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            envvar=CONFIG_VARIABLE,
            help=f"The configuration file; {DEFAULT_CONFIG} by default.",
            show_default=False,
        ),
    ] = None,
    *,
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig", metavar="FILE", help="Look at the clusters of this file, with no configuration."),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="GLOB", help="Only contexts of that kubeconfig that match. May be repeated."),
    ] = None,
    secret_name: Annotated[
        list[str] | None,
        typer.Option("--secret-name", metavar="NAME", help="A target Secret's name to ask permissions for."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Check hub and clusters: reachable, permitted, in time.

    Every cluster is asked for its version, for each permission of the target role, for its clock, and whether the IMPS
    operator still leads there; the hub, whether policies and sources can be used. Writes and mints nothing. The table
    shows what is not right, and a line for each cluster that is; -o wide shows every check.
    """
    from imps_multi.cli.plan import waiting
    from imps_multi.config.load import InvalidConfiguration

    if context and kubeconfig is None:
        raise typer.BadParameter("is for the contexts of --kubeconfig", param_hint="--context")
    names = frozenset(secret_name or ())
    try:
        with waiting("Looking at the clusters"):
            checks = _checks(config, kubeconfig, context or ["*"], names)
    except (InvalidConfiguration, ValueError) as error:
        raise fail(str(error)) from error
    show(checks, output)
    from imps_multi.model.diagnosis import exit_code

    raise typer.Exit(exit_code(checks))


def _checks(config: Path | None, kubeconfig: Path | None, contexts: list[str], names: frozenset[str]) -> "list[Check]":
    from imps_multi.app.examining import examine_fleet, examine_kubeconfig, patients
    from imps_multi.cli.role import checked_names

    wanted = checked_names(names)
    if kubeconfig is not None:
        given = " ".join(f"--secret-name {name}" for name in sorted(wanted)) or "--secret-name NAME"
        renew = f"imps-multi rbac --role target {given}"
        return examine_kubeconfig(patients(kubeconfig, contexts), permissions, names=wanted, renew=renew)
    path = config or DEFAULT_CONFIG
    if config is None and not path.exists():
        raise ValueError(f"there is no {path} here; give --config FILE, or --kubeconfig FILE")
    return examine_fleet(
        path, permissions, hub_permissions, names=wanted, renew=f"imps-multi rbac --role target -c {path}"
    )


def show(checks: "list[Check]", output: Format) -> None:
    """Print what was found, in the form that was asked for."""
    from imps_multi.model.diagnosis import sort

    ordered = sort(checks)
    if output in {Format.JSON, Format.YAML}:
        print_data(ordered, output)
        return
    if output is Format.WIDE:
        print_table(WIDE, ((one.subject, one.check, one.state, one.message) for one in ordered), folding="MESSAGE")
    else:
        print_table(COLUMNS, gathered(ordered), folding="FINDING")
    say(in_short(checks))


def gathered(checks: "Iterable[Check]") -> "Iterator[tuple[str, ...]]":
    """Return a line for each kind of check that is not right, and one for all that is right with a subject."""
    from imps_multi.model.diagnosis import OK, SKIPPED

    alike: dict[tuple[str, str, str], list[str]] = {}
    for check in checks:
        alike.setdefault((check.subject, check.check, check.state), []).append(check.message)
    fine: dict[str, list[str]] = {}
    for (subject, kind, state), (message, *more) in alike.items():
        told = f"{kind} (one of {len(more) + 1}): {message}" if more else f"{kind}: {message}"
        if state == OK:
            fine.setdefault(subject, []).append(told)
        elif state != SKIPPED:
            yield subject, state, told
    for subject, found in fine.items():
        yield subject, OK, "; ".join(found)


def in_short(checks: "Iterable[Check]") -> str:
    """Say in one line how it came out."""
    from collections import Counter

    from imps_multi.model.diagnosis import RANK

    counts = Counter(check.state for check in checks)
    return ", ".join(f"{counts[state]} {state}" for state in RANK if counts[state]) or "nothing to check"


def permissions(names: Iterable[str]) -> "Iterator[Permission]":
    """Return every permission of the target role, one by one."""
    from imps_multi.cli.role import rules

    for rule in rules(names):
        yield from _of_rule(rule)


def hub_permissions(configuration: "Configuration") -> "Iterator[Permission]":
    """Return every permission of the hub's roles, one by one."""
    from imps_multi.cli import hub_role

    sources = configuration.sources.namespaces
    everywhere = any(map(hub_role.is_glob, sources))
    granted = [(rule, "") for rule in hub_role.hub_rules(everywhere=everywhere)]
    granted += [(rule, space) for space in (() if everywhere else sources) for rule in hub_role.source_rules()]
    granted += [(rule, configuration.hub.namespace) for rule in hub_role.state_rules()]
    granted += [(rule, "default") for rule in hub_role.event_rules()]
    for rule, namespace in granted:
        yield from _of_rule(rule, namespace)


def _of_rule(rule: Mapping[str, Any], namespace: str = "") -> "Iterator[Permission]":
    from imps_multi.model.diagnosis import Permission

    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", ("",)):
                    yield Permission(group, resource, verb, name, namespace)
