"""``plan --explain``: one namespace, with the rule of each policy and what lies there, as tables or as data."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from imps_multi.cli.output import Format, fail, print_data, print_table, say
from imps_multi.cli.plan import DIFFERENT, FINE, OPERATIONS, UNREACHABLE, Kind, waiting
from imps_multi.model.explain import Explanation, PolicyAnswer, TargetAnswer

POLICIES = ("POLICY", "SECRET", "SELECTED", "WHY")
TARGETS = ("SECRET", "THERE", "WOULD", "NAMED BY", "WHY")
WIDE_TARGETS = ("SECRET", "THERE", "TYPE", "EXPIRES", "WOULD", "NAMED BY", "WHY")
WRONG = frozenset({"conflict", "failed"})


def explain_place(config: Path, place: str, kinds: frozenset[Kind] | None, output: Format) -> int:
    """Explain ``CLUSTER/NAMESPACE``; return the exit code."""
    from imps_multi.app import explain_once
    from imps_multi.app.explaining import Unknown
    from imps_multi.app.hub_parts import HubUnreachable
    from imps_multi.config.load import InvalidConfiguration

    cluster, slash, namespace = place.rpartition("/")
    if not (cluster and slash and namespace):
        raise typer.BadParameter(f'"{place}" is no CLUSTER/NAMESPACE', param_hint="--explain")
    try:
        with waiting(f"Looking at {cluster}"):
            found = explain_once(config, cluster, namespace)
    except (InvalidConfiguration, Unknown) as error:
        raise fail(str(error)) from error
    except HubUnreachable as error:
        raise fail(str(error), UNREACHABLE) from error
    if found.unreachable:
        raise fail(f"cluster {cluster} could not be looked at: {found.unreachable}", UNREACHABLE)
    show(found, output)
    return exit_code(found, kinds)


def exit_code(found: Explanation, kinds: frozenset[Kind] | None) -> int:
    """Say how it ends: 1 if anything here would change or is wrong; with ``kinds``, only for changes of these."""
    if kinds is not None:
        wanted = frozenset().union(*(OPERATIONS[kind] for kind in kinds))
        return DIFFERENT if any(target.operation in wanted for target in found.targets) else FINE
    different = any(
        target.operation != "none" or target.held or any(line.state in WRONG for line in target.states)
        for target in found.targets
    )
    return DIFFERENT if different else FINE


def show(found: Explanation, output: Format) -> None:
    """Print it in the form that was asked for."""
    if output in {Format.JSON, Format.YAML}:
        print_data(found, output)
        return
    if found.terminating:
        say(f"namespace {found.namespace} is being deleted: nothing is written there")
    if found.policies:
        print_table(POLICIES, map(_policy, found.policies), folding="WHY")
    else:
        say("the hub has no policy")
    if found.targets:
        typer.echo()
        wide = output is Format.WIDE
        print_table(WIDE_TARGETS if wide else TARGETS, _targets(found.targets, wide=wide), folding="WHY")
    else:
        say(f"nothing of ours is in {found.cluster}/{found.namespace}, and nothing belongs there")


def _policy(one: PolicyAnswer) -> tuple[str, ...]:
    return one.policy, one.secret, "yes" if one.selected else "no", one.why


def _targets(targets: Iterable[TargetAnswer], *, wide: bool) -> Iterator[tuple[str, ...]]:
    for one in targets:
        named = "unknown" if one.named_by is None else one.named_by or "nobody"
        would = "held" if one.held and one.operation == "none" else one.operation
        there = _there(one, wide=wide)
        why = _why(one)
        if wide:
            yield one.secret, there, one.type, one.expires_at or "", would, named, why
        else:
            yield one.secret, there, would, named, why


DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"


def _there(one: TargetAnswer, *, wide: bool) -> str:
    whose = f"{one.whose} ({one.policy})" if one.policy else one.whose
    return whose if wide or one.type in {"", DOCKER_CONFIG} else f"{whose}, {one.type}"


def _why(one: TargetAnswer) -> str:
    return f"{one.why} ({one.about})" if one.about and one.about not in one.why else one.why
