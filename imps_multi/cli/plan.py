"""``plan``: what a run would write now, and why."""

import enum
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imps_multi.cli.options import DEFAULT_CONFIG, Config
from imps_multi.cli.output import Format, Output, fail, print_data, print_table, say

if TYPE_CHECKING:
    from imps_multi.model.plan_difference import PlanDifference
    from imps_multi.model.plan_result import PlannedWrite, PlanResult

FINE, DIFFERENT, UNREACHABLE = 0, 1, 3
SHOWN_NAMESPACES = 3
SUMMED = ("CLUSTER", "POLICY", "OPERATION", "COUNT", "NAMESPACES", "WHY")
EACH = ("CLUSTER", "NAMESPACE", "SECRET", "POLICY", "OPERATION", "HELD", "WHY")
PATIENCE = 2.0


class Kind(enum.Enum):
    """Kinds of change that ``--fail-on`` can ask for."""

    DELETE = "delete"
    EXPAND = "expand"


OPERATIONS = {Kind.DELETE: frozenset({"delete", "mark", "release"}), Kind.EXPAND: frozenset({"create"})}


def plan(
    config: Config = DEFAULT_CONFIG,
    *,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="KIND[,KIND]",
            help="Exit with 1 only for these kinds of change: delete (mark, release), expand (create).",
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="CLUSTER/NAMESPACE",
            help="Say of one namespace which rule selects it, what lies there, and what would be written.",
        ),
    ] = None,
    changed: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="CHANGED",
            help="Show only what these manifests would change in the hub: a file, a directory, or - for stdin.",
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="CHANGED", help="More of them, after -f.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what a run would write and delete now, and why.

    Nothing is written and nothing minted. The table sums up by cluster and policy; -o wide has a line for each write.
    The exit code is 1 if anything would change or is wrong, 3 if all is right but a cluster could not be reached.
    """
    kinds = kinds_of(fail_on)
    if more and not changed:
        raise typer.BadParameter(f'"{more[0]}" stands alone: write -f before it', param_hint="CHANGED")
    if changed and explain is not None:
        raise typer.BadParameter("looks at the hub as it is; leave -f away", param_hint="--explain")
    if changed:
        from imps_multi.cli.changing import show_change

        raise typer.Exit(show_change(config, [*changed, *(more or ())], kinds, output))
    if explain is not None:
        from imps_multi.cli.explaining import explain_place

        raise typer.Exit(explain_place(config, explain, kinds, output))
    from imps_multi.app import plan_once
    from imps_multi.app.hub_parts import HubUnreachable
    from imps_multi.config.load import InvalidConfiguration

    try:
        with waiting("Looking at the clusters"):
            result = plan_once(config)
    except InvalidConfiguration as error:
        raise fail(str(error)) from error
    except HubUnreachable as error:
        raise fail(str(error), UNREACHABLE) from error
    show(result, output)
    raise typer.Exit(exit_code(result, kinds))


def kinds_of(text: str | None) -> frozenset[Kind] | None:
    """Read ``--fail-on``; None where it is not given."""
    if text is None:
        return None
    try:
        return frozenset(Kind(part.strip()) for part in text.split(","))
    except ValueError:
        known = ", ".join(kind.value for kind in Kind)
        raise typer.BadParameter(f'"{text}" is no list of {known}', param_hint="--fail-on") from None


def exit_code(result: "PlanResult", kinds: frozenset[Kind] | None) -> int:
    """Say how a plan ends: differences, and what is wrong, before what could not be reached.

    With ``kinds``, only changes of those kinds are a finding.
    """
    found = bool(result.writes) or wrong(result) if kinds is None else of_kinds(result.writes, kinds)
    if found:
        return DIFFERENT
    return UNREACHABLE if result.unreachable else FINE


def wrong(result: "PlanResult | PlanDifference") -> bool:
    """Say whether something that was reached is wrong; a cluster that could not be looked at may have answered."""
    from imps_multi.model.readiness import ANSWERED

    away = {f"cluster {name}" for name in result.unreachable}
    return any(problem.subject not in away or problem.reason in ANSWERED for problem in result.problems)


def of_kinds(writes: Iterable["PlannedWrite"], kinds: frozenset[Kind]) -> bool:
    """Say whether there is a write of these kinds."""
    wanted = frozenset().union(*(OPERATIONS[kind] for kind in kinds))
    return any(write.operation in wanted for write in writes)


def show(result: "PlanResult", output: Format) -> None:
    """Print a plan in the form that was asked for."""
    if output in {Format.JSON, Format.YAML}:
        print_data(result, output)
        return
    show_writes(result.writes, output)
    for source in result.mints:
        say(f"source {source}: a token would be minted first")
    for problem in result.problems:
        say(f"{problem.subject}: {problem.reason}: {problem.message}")
    say(in_short(result))


def show_writes(writes: Sequence["PlannedWrite"], output: Format) -> None:
    """Print writes as a table: summed up, or with a line for each."""
    if writes and output is Format.WIDE:
        print_table(EACH, map(_line, writes), folding="WHY")
    elif writes:
        print_table(SUMMED, summed(writes), folding="WHY")


def summed(writes: Iterable["PlannedWrite"]) -> Iterator[tuple[str, ...]]:
    """Sum up writes that differ in their namespaces alone."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for write in writes:
        operation = f"{write.operation} (held)" if write.held else write.operation
        groups.setdefault((write.cluster, write.policy, operation, write.why), []).append(write.namespace)
    for (cluster, policy, operation, why), namespaces in groups.items():
        first = ", ".join(namespaces[:SHOWN_NAMESPACES])
        more = len(namespaces) - SHOWN_NAMESPACES
        yield cluster, policy, operation, str(len(namespaces)), f"{first}, +{more}" if more > 0 else first, why


def in_short(result: "PlanResult") -> str:
    """Say in one line what the plan comes to."""
    changes = counted(result.writes)
    away = f"; could not look at {', '.join(result.unreachable)}" if result.unreachable else ""
    paused = f"; paused: {', '.join(result.paused)}" if result.paused else ""
    return f"{result.in_sync} of {result.targets} targets in sync; {changes or 'nothing to do'}{away}{paused}"


def counted(writes: Iterable["PlannedWrite"]) -> str:
    """Count writes by their operation, in words; empty where there is none."""
    counts: dict[str, int] = {}
    for write in writes:
        key = "held" if write.held else write.operation
        counts[key] = counts.get(key, 0) + 1
    return ", ".join(f"{count} to {word}" if word != "held" else f"{count} held" for word, count in counts.items())


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something goes on, on a terminal, once it has taken two seconds."""
    import sys
    import threading

    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=None)
    timer = threading.Timer(PATIENCE, bar.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _line(write: "PlannedWrite") -> tuple[str, ...]:
    held = "held" if write.held else ""
    return write.cluster, write.namespace, write.secret, write.policy, write.operation, held, write.why
