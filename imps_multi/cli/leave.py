"""``leave``: hand Secrets over, or remove them."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imps_multi.cli.options import DEFAULT_CONFIG, Config
from imps_multi.cli.output import Format, Output, fail, print_data, print_table, say
from imps_multi.cli.plan import waiting
from imps_multi.model.wording import counted

if TYPE_CHECKING:
    from imps_multi.app.leave_permit import Instance
    from imps_multi.config.load import Loaded
    from imps_multi.model.leave_result import LeaveResult, LeftSecret
    from imps_multi.model.leaving import Errand

FINE, WRONG, CANNOT, UNREACHABLE = 0, 1, 2, 3
SHOWN_NAMESPACES = 3
SUMMED = ("CLUSTER", "POLICY", "OPERATION", "COUNT", "NAMESPACES", "RESULT")
EACH = ("CLUSTER", "NAMESPACE", "SECRET", "POLICY", "OPERATION", "RESULT")


def leave(
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="An ImagePullSecret: its Secrets in every cluster.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    *,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Everything of ours in one cluster.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything of ours in every cluster.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Hand the Secrets over: our marks go, they stay.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove the Secrets, whoever names them.")] = False,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="No instance runs: a hub in a cluster does not show whether one does.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Hand Secrets over to whoever wants them, or remove them.

    Exactly one of POLICY, --cluster and --all says which, and one of --keep and --purge what becomes of them. Only what
    carries this hub's mark is touched; adopted Secrets are given back. It is done from here, straight in the clusters:
    a running instance must be stopped, or have nothing to do with them any more (suspend, paused). On a terminal it
    asks before it does anything; what could not be reached is told, and a second run goes on.
    """
    if (policy is not None) + (cluster is not None) + everything != 1:
        raise fail("say which: a POLICY, --cluster NAME or --all")
    if keep == purge:
        raise fail("say what becomes of the Secrets: --keep or --purge")
    from imps_multi.model.leaving import Errand, Manner
    from imps_multi.model.names import ClusterName, PolicyName

    errand = Errand(
        Manner.KEEP if keep else Manner.PURGE,
        policy=None if policy is None else PolicyName(policy),
        cluster=None if cluster is None else ClusterName(cluster),
    )
    raise typer.Exit(_leave(config, errand, output, stopped=stopped, yes=yes))


def _leave(config: Path, errand: "Errand", output: Format, *, stopped: bool, yes: bool) -> int:
    from imps_multi.app.commands import load_whole
    from imps_multi.app.hub_parts import HubUnreachable
    from imps_multi.app.leave_permit import no_other
    from imps_multi.config.load import InvalidConfiguration
    from imps_multi.hubs.state_directory import StateRefused
    from imps_multi.telemetry.logs import configure_logging

    try:
        loaded = load_whole(config)
        configure_logging("console", "error")
        with no_other(loaded, stopped=stopped) as instance:
            return _in_two_steps(loaded, errand, instance, output, yes=yes)
    except (InvalidConfiguration, StateRefused) as error:
        say(str(error))
        return CANNOT
    except HubUnreachable as error:
        say(str(error))
        return UNREACHABLE


def _in_two_steps(loaded: "Loaded", errand: "Errand", instance: "Instance", output: Format, *, yes: bool) -> int:
    """Look, ask, do: what is done is what was shown. Without a question it is one step."""
    agreed = None
    if not yes and on_terminal():
        found = _run(loaded, errand, instance, write=False)
        if found.refusal or not found.secrets:
            return _end(found, output)
        if output in {Format.TABLE, Format.WIDE}:
            _show_table(found.secrets, output)
        if not typer.confirm(question(found.secrets), err=True):
            say("nothing was done")
            return CANNOT
        from imps_multi.app.leaving import place

        agreed = frozenset(map(place, found.secrets))
    return _end(_run(loaded, errand, instance, write=True, agreed=agreed), output)


def _run(
    loaded: "Loaded",
    errand: "Errand",
    instance: "Instance",
    *,
    write: bool,
    agreed: "frozenset[tuple[str, str, str, str]] | None" = None,
) -> "LeaveResult":
    from imps_multi.app.commands import run_on_loop
    from imps_multi.app.leaving import leave as leave_clusters

    with waiting("Leaving the clusters" if write else "Looking at the clusters"):
        return run_on_loop(lambda: leave_clusters(loaded, errand, instance=instance, write=write, agreed=agreed))


def on_terminal() -> bool:
    """Say whether there is somebody to ask."""
    return sys.stdin.isatty()


def question(secrets: Iterable["LeftSecret"]) -> str:
    """Ask for exactly what would be done."""
    listed = list(secrets)
    clusters = len({one.cluster for one in listed})
    counts = Counter(one.operation for one in listed)
    words = {"delete": "Delete", "release": "take our marks off"}
    parts = [f"{words[operation]} {counted(count, 'Secret', 'Secrets')}" for operation, count in sorted(counts.items())]
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]} in {counted(clusters, 'cluster', 'clusters')}?"


def _end(result: "LeaveResult", output: Format) -> int:
    _show(result, output)
    return exit_code(result)


def exit_code(result: "LeaveResult") -> int:
    """Say how it ended: refused, something wrong, something not reached, or all done."""
    from imps_multi.model.leave_result import DONE

    if result.refusal:
        return CANNOT
    failed = any(one.result not in {"", DONE} for one in result.secrets)
    if failed or any(not problem.away for problem in result.problems):
        return WRONG
    return UNREACHABLE if result.problems else FINE


def _show(result: "LeaveResult", output: Format) -> None:
    if result.refusal:
        say(result.refusal)
        return
    if output in {Format.JSON, Format.YAML}:
        print_data(result, output)
    elif result.secrets:
        _show_table(result.secrets, output)
    for problem in result.problems:
        say(f"{problem.subject}: {problem.reason}: {problem.message}")
    for note in result.notes:
        say(note)
    say(in_short(result))


def in_short(result: "LeaveResult") -> str:
    """Say in one line what it came to."""
    from imps_multi.model.leave_result import DONE

    if not result.secrets:
        return "nothing of ours was found" + (" where it could be looked for" if result.problems else "")
    past = {"delete": "deleted", "release": "handed over"}
    done = Counter(one.operation for one in result.secrets if one.result == DONE)
    parts = [f"{count} {past[operation]}" for operation, count in sorted(done.items())]
    planned = Counter(one.operation for one in result.secrets if not one.result)
    parts += [f"{count} to {operation}" for operation, count in sorted(planned.items())]
    failed = sum(1 for one in result.secrets if one.result not in {"", DONE})
    return ", ".join([*parts, *([f"{failed} failed"] if failed else [])])


def _show_table(secrets: Iterable["LeftSecret"], output: Format) -> None:
    if output is Format.WIDE:
        rows = [
            (one.cluster, one.namespace, one.secret, one.policy, one.operation, one.result or "to do")
            for one in secrets
        ]
        print_table(EACH, rows, folding="RESULT")
    else:
        print_table(SUMMED, summed(secrets), folding="RESULT")


def summed(secrets: Iterable["LeftSecret"]) -> Iterator[tuple[str, ...]]:
    """Sum up Secrets that differ in their namespaces alone."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for one in secrets:
        groups.setdefault((one.cluster, one.policy, one.operation, one.result or "to do"), []).append(one.namespace)
    for (cluster, policy, operation, result), namespaces in groups.items():
        first = ", ".join(namespaces[:SHOWN_NAMESPACES])
        more = len(namespaces) - SHOWN_NAMESPACES
        shown = f"{first}, +{more}" if more > 0 else first
        yield cluster, policy, operation, str(len(namespaces)), shown, result
