"""``plan -f``: what changed manifests would make of the plan, and nothing of what is due anyway."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imps_multi.cli.checking import STDIN, piped_in, rules_of
from imps_multi.cli.manifest_checks import Finding, check_manifests
from imps_multi.cli.output import Format, fail, print_data, print_table, say
from imps_multi.cli.plan import DIFFERENT, FINE, UNREACHABLE, Kind, counted, of_kinds, show_writes, waiting, wrong
from imps_multi.hubs.manifest_files import manifest_paths, read_file, why
from imps_multi.hubs.manifests import Manifest, ManifestFile
from imps_multi.model.hub import HubProblem, Place
from imps_multi.model.plan_difference import PlanDifference, PolicyChange

if TYPE_CHECKING:
    from imps_multi.config.load import Loaded

POLICIES: Final = ("POLICY", "TARGETS", "WITH IT", "CHANGE")


def show_change(config: Path, paths: Sequence[Path], kinds: frozenset[Kind] | None, output: Format) -> int:
    """Show what changed manifests would do; return the exit code."""
    from imps_multi.app import plan_change
    from imps_multi.app.commands import load_whole
    from imps_multi.app.hub_parts import HubUnreachable
    from imps_multi.config.load import InvalidConfiguration

    try:
        loaded = load_whole(config)
        changed = _changed(paths, loaded)
        with waiting("Looking at the clusters twice"):
            found = plan_change(loaded, [manifest.object for manifest in changed])
    except (InvalidConfiguration, ValueError) as error:
        raise fail(str(error)) from error
    except HubUnreachable as error:
        raise fail(str(error), UNREACHABLE) from error
    show(found, output)
    return exit_code(found, kinds)


def exit_code(found: PlanDifference, kinds: frozenset[Kind] | None) -> int:
    """Say how it ends; with ``kinds``, only for changes of these."""
    if kinds is None:
        different = bool(found.writes or found.withdrawn or found.policies) or wrong(found)
    else:
        different = of_kinds(found.writes, kinds) or any(_kind(change) in kinds for change in found.policies)
    return DIFFERENT if different else UNREACHABLE if found.unreachable else FINE


def show(found: PlanDifference, output: Format) -> None:
    """Print it in the form that was asked for."""
    if output in {Format.JSON, Format.YAML}:
        print_data(found, output)
        return
    show_writes(found.writes, output)
    if found.policies:
        if found.writes:
            sys.stdout.write("\n")
        print_table(POLICIES, map(_policy, found.policies))
    for problem in found.problems:
        say(f"{problem.subject}: {problem.reason}: {problem.message}")
    say(in_short(found))


def in_short(found: PlanDifference) -> str:
    """Say in one line what the change comes to."""
    away = f"; could not look at {', '.join(found.unreachable)}" if found.unreachable else ""
    changes = counted(found.writes)
    withdrawn = f"{counted(found.withdrawn)} now, and not with it" if found.withdrawn else ""
    told = "; ".join(part for part in (changes, withdrawn) if part)
    return f"this change: {told or 'nothing to write or delete'}{away}"


def _kind(change: PolicyChange) -> Kind:
    return Kind.EXPAND if change.after > change.before else Kind.DELETE


def _policy(change: PolicyChange) -> tuple[str, ...]:
    return change.policy, str(change.before), str(change.after), f"{change.after - change.before:+}"


def _changed(paths: Sequence[Path], loaded: "Loaded") -> list[Manifest]:
    """Read the manifests.

    Raises:
        ValueError: with everything that is wrong in them, line by line.
    """
    files = [file for path in paths for file in _files(path)]
    manifests = [manifest for file in files for manifest in file.manifests]
    found = [_finding(problem) for file in files for problem in file.problems]
    found += check_manifests(manifests, rules_of(loaded))
    errors = sorted(str(finding) for finding in set(found) if not finding.warning)
    if errors:
        raise ValueError("\n".join(errors))
    if not manifests:
        raise ValueError("what was given holds no ImagePullSecret and no Secret")
    return manifests


def _files(path: Path) -> Iterator[ManifestFile]:
    if str(path) == STDIN:
        yield piped_in()
        return
    try:
        paths = manifest_paths(path) if path.is_dir() else [path]
    except OSError as error:
        yield ManifestFile((), (HubProblem(Place(str(path)), f"cannot be read: {why(error)}"),))
        return
    yield from map(read_file, paths)


def _finding(problem: HubProblem) -> Finding:
    return Finding(problem.place, problem.message, warning=not problem.fatal)
