"""The whole service's status: what GET /api/v1/status and ``status -o json`` show.

Pure; computed from the world, every cluster's report and what is held. The previous one lends transition times.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

import imps_multi
from imps_multi.model.brake import HeldSet
from imps_multi.model.credential import SourceState
from imps_multi.model.decommission import progress
from imps_multi.model.growth import Expansion
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.instant import format_optional
from imps_multi.model.names import ClusterName, HubId, PolicyName
from imps_multi.model.policy_status import expansion_status, held_status, invalid_status, policy_status
from imps_multi.model.readiness import Circumstances, target_counts
from imps_multi.model.report import ClusterReport
from imps_multi.model.status import (
    ClusterView,
    ConfigurationView,
    CredentialView,
    HubView,
    PolicyStatus,
    PolicyView,
    ProblemView,
    ServiceStatus,
)
from imps_multi.model.world import Standing, World


class Facts(Struct, frozen=True):
    """What the status is computed from."""

    hub_id: HubId
    hub: HubSnapshot
    world: World
    reports: Mapping[ClusterName, ClusterReport]
    held: tuple[HeldSet, ...] = ()
    expansions: tuple[Expansion, ...] = ()
    configuration: ConfigurationView = ConfigurationView()
    shown: Mapping[PolicyName, PolicyStatus] = {}
    """What a hub in a cluster showed of each policy when it was first read."""
    starting: bool = False
    look: int = 0
    """The version of the world that a cluster must have looked at, for what was shown to stand no longer."""


def service_status(facts: Facts, previous: ServiceStatus | None, *, now: float) -> ServiceStatus:
    """Compute everything that is told. ``now`` in seconds since the epoch."""
    around = Circumstances(
        reports=facts.reports,
        held=facts.held,
        expansions=facts.expansions,
        now=now,
        shown=facts.shown,
        starting=facts.starting,
        look=facts.look,
    )
    told = {view.name: view.status for view in previous.policies} if previous is not None else {}
    before = {str(name): status for name, status in facts.shown.items()} | told
    return ServiceStatus(
        version=imps_multi.__version__,
        hub=_hub(facts),
        configuration=facts.configuration,
        clusters=[_cluster(report, facts.world) for _, report in sorted(facts.reports.items())],
        policies=list(_policies(facts, around, before)),
        credentials=[_credential(source) for _, source in sorted(facts.world.sources.items())],
        held=[*map(held_status, facts.held), *map(expansion_status, facts.expansions)],
    )


def _hub(facts: Facts) -> HubView:
    return HubView(
        id=facts.hub_id,
        synced=facts.hub.synced,
        whole=facts.hub.whole,
        problems=[
            ProblemView(file=one.place.file, line=one.place.line, column=one.place.column, message=one.message)
            for one in facts.hub.problems
        ],
    )


def _policies(facts: Facts, around: Circumstances, before: Mapping[str, PolicyStatus]) -> Iterable[PolicyView]:
    for name in sorted(_shown(facts.world)):
        invalid, resolved = facts.world.invalid.get(name), facts.world.policies.get(name)
        if invalid is not None:
            status = invalid_status(invalid, around, before.get(name), resolved)
            yield PolicyView(name=name, generation=invalid.generation, secret_name=invalid.secret_name, status=status)
        elif resolved is not None:
            policy = resolved.policy
            status = policy_status(resolved, around, before.get(name))
            yield PolicyView(
                name=name,
                generation=policy.generation,
                secret_name=policy.secret.name,
                status=status,
                uid=policy.uid or "",
            )


def _shown(world: World) -> set[PolicyName]:
    there = {name for name, one in world.policies.items() if one.standing is not Standing.DELETED}
    return there | world.invalid.keys()


def _cluster(report: ClusterReport, world: World) -> ClusterView:
    contact = report.contact
    leaving = progress(report, world)
    return ClusterView(
        name=report.settings.name,
        uid=contact.uid,
        labels=dict(report.settings.labels),
        state=contact.phase.value,
        reason=leaving.reason if leaving else contact.reason,
        message=leaving.message if leaving else contact.message,
        since=format_optional(contact.since),
        next_attempt=format_optional(contact.next_attempt),
        last_contact=format_optional(contact.last_contact),
        version=contact.version,
        targets=target_counts(report.policies.values()),
    )


def _credential(source: SourceState) -> CredentialView:
    return CredentialView(
        namespace=source.ref.namespace,
        name=source.ref.name,
        provider=source.provider,
        state=source.kind.value,
        registries=sorted(entry.registry for entry in source.entries),
        expires_at=format_optional(source.expires_at),
        refreshed_at=format_optional(source.issued_at),
        next_refresh=format_optional(source.next_refresh),
        reason=source.reason,
        message=source.message,
    )
