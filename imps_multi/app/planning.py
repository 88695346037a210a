"""Collects a plan from a service that observes: what each cluster's book says is due."""

from collections.abc import Iterable

from imps_multi.actors.service import Service
from imps_multi.actors.station import Station
from imps_multi.model.decommission import NO_TROUBLE
from imps_multi.model.hub import Place
from imps_multi.model.plan_result import HELD_UNTIL, PlannedPolicy, PlannedWrite, PlanProblem, PlanResult, operation_of
from imps_multi.model.policy import source_title
from imps_multi.model.status import PolicyClusterStatus, ServiceStatus
from imps_multi.model.target_plan import Wish


def collect(service: Service) -> PlanResult:
    """Return what a run would write now, held sets included; in a paused cluster it writes nothing."""
    status = service.reporter.compute()
    counted = [view.targets for view in status.clusters if view.state != "Paused"]
    stations = [one for one in service.setting.stations.values() if not one.member.settings.paused]
    writes = [planned for station in stations for planned in _writes(station)]
    writes += [_held(wish, one.id) for one in service.braker.held.value for wish in one.members]
    return PlanResult(
        writes=sorted(writes),
        problems=[*_problems(status), *(problem for one in stations for problem in _refused(one))],
        unreachable=[view.name for view in status.clusters if view.state not in ("Up", "Paused")],
        policies=sorted(PlannedPolicy(view.name, view.status.targets.desired) for view in status.policies),
        targets=sum(targets.desired for targets in counted),
        in_sync=sum(targets.in_sync for targets in counted),
        mints=[str(ref) for ref, source in sorted(service.world.value.sources.items()) if source.supposed],
        paused=[view.name for view in status.clusters if view.state == "Paused"],
    )


async def planned(service: Service) -> PlanResult:
    """Collect the plan of a service that has settled."""
    return collect(service)


def _writes(station: Station) -> Iterable[PlannedWrite]:
    now = station.setting.clock()
    for namespace in sorted(station.book.writing):
        for plan in station.book.writes(namespace, now=now):
            yield PlannedWrite(
                cluster=station.name,
                namespace=plan.namespace,
                secret=plan.name,
                policy=plan.policy or "",
                operation=operation_of(plan.write),
                why=plan.why,
            )


def _held(wish: Wish, held_id: str) -> PlannedWrite:
    why = f"would lose {', '.join(wish.loses)}" if wish.loses else "no longer wanted"
    return PlannedWrite(
        cluster=wish.cluster,
        namespace=wish.namespace,
        secret=wish.secret,
        policy=wish.policy,
        operation="update" if wish.loses else "delete",
        why=f"{why}{HELD_UNTIL}{held_id} is approved",
        held=True,
    )


def _problems(status: ServiceStatus) -> Iterable[PlanProblem]:
    for problem in status.hub.problems:
        yield PlanProblem("hub", "NotWhole", f"{Place(problem.file, problem.line, problem.column)}: {problem.message}")
    for cluster in status.clusters:
        if cluster.reason and cluster.reason not in NO_TROUBLE:
            yield PlanProblem(f"cluster {cluster.name}", cluster.reason, cluster.message)
    for credential in status.credentials:
        if credential.reason:
            subject = f"source {source_title(credential.namespace, credential.name)}"
            yield PlanProblem(subject, credential.reason, credential.message)
    for policy in status.policies:
        for condition in policy.status.conditions:
            if condition.type == "Ready" and condition.reason in _SPEC_REASONS:
                yield PlanProblem(f"policy {policy.name}", condition.reason, condition.message)
        yield from _unknown_selection(policy.name, policy.status.clusters, status)


def _refused(station: Station) -> Iterable[PlanProblem]:
    """Say which Secret names of policies there the role does not let us see: nothing of them is in the plan."""
    by_name = station.book.view.by_name
    for name, message in sorted(station.book.listing.forbidden.items()):
        if any(one.reaches for one in by_name.get(name, ())):
            yield PlanProblem(f"cluster {station.name}", "Forbidden", message)


def _unknown_selection(name: str, there: Iterable[PolicyClusterStatus], status: ServiceStatus) -> Iterable[PlanProblem]:
    """Say where a policy may not look for what it selects, though the cluster itself is in no trouble."""
    well = {one.name for one in status.clusters if not one.reason or one.reason in NO_TROUBLE}
    for one in there:
        if one.reason == "Forbidden" and one.name in well:
            yield PlanProblem(f"policy {name}", one.reason, f"{one.name}: {one.message}")


_SPEC_REASONS = frozenset({"InvalidSpec", "SourceNotAllowed", "SourceError", "Conflict", "DeletionHeld"})
