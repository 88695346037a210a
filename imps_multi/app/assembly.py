"""One service out of one configuration: adapters, actors and telemetry put together, as a list.

Builds everything and runs nothing; ``commands`` runs it.
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from imps_multi.actors.composer import Rules
from imps_multi.actors.service import Ports, Service
from imps_multi.app.counted_store import CountedStore
from imps_multi.app.hub_parts import hub_parts
from imps_multi.app.members import Members, members
from imps_multi.config.fleet import safety
from imps_multi.config.load import Loaded
from imps_multi.config.model import Configuration, Telemetry
from imps_multi.config.state import state_root
from imps_multi.hubs.overlay import OverlaidHub
from imps_multi.kube.shared import Shared
from imps_multi.model.hub import HubObject
from imps_multi.model.matching import glob_match
from imps_multi.model.names import HubId, PolicyName, SecretName
from imps_multi.model.policy import SourceRef
from imps_multi.model.policy_parse import with_default_clusters
from imps_multi.model.status import ConfigurationView
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule
from imps_multi.runtime.keyed_queue import Counts
from imps_multi.runtime.latest import Latest
from imps_multi.telemetry.audit import AuditLog
from imps_multi.telemetry.logs import configure_logging
from imps_multi.telemetry.metrics import Metrics
from imps_multi.telemetry.signals import ServiceSignals
from imps_multi.telemetry.snapshot import MetricsSnapshot, QueueCounts, Reload

log = structlog.get_logger()


class Assembly:
    """Everything that one run of the service consists of."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        observe: bool,
        read_only: bool,
        supposing: bool = False,
        audit: str | None = None,
        changed: Sequence[HubObject] = (),
        fleet: bool = True,
    ) -> None:
        """``observe`` writes and mints nothing; ``read_only`` leaves the state store as it is.

        ``supposing``: go on as if what is due had been minted. ``audit``: where to, if not as configured.
        ``changed``: objects to see in the hub in place of those there.
        ``fleet`` False: look at the hub alone, and at no cluster.
        """
        configuration = loaded.configuration
        self.loaded = loaded
        self._started_with = configuration
        self.state_root = Path() if configuration.hub.in_a_cluster else state_root(loaded)
        self.metrics = Metrics()
        wanted = "" if observe else configuration.telemetry.audit_log
        self.audit = AuditLog(wanted if audit is None else audit)
        self._audits = not observe and audit is None
        hub_id = HubId(configuration.hub.id)
        self.shared = Shared(hub=hub_id, on_request=self.metrics.requested)
        self.reload = Reload(successful=True, succeeded_at=time.time())
        self._fleet = members(loaded, self.shared)
        self._rules = Latest(rules(configuration, self._fleet.home))
        parts = hub_parts(
            configuration,
            self._fleet.hub,
            self.shared,
            state=self.state_root,
            allowed=self._allowed,
            read_only=read_only,
        )
        self.hub_in_cluster = parts.cluster
        providers = Providers(time.time, lambda: tuple(self.loaded.configuration.sources.endpoints))
        self.ports = Ports(
            hub_id=hub_id,
            previous_hubs=tuple(HubId(one) for one in configuration.hub.previous_ids),
            hub=OverlaidHub(parts.hub, changed) if changed else parts.hub,
            store=CountedStore(parts.store, self.metrics.instruments.stored),
            provider=providers.provider_for,
            documented_life=providers.documented_life,
            members=Latest(self._fleet.members if fleet else ()),
            rules=self._rules,
            safety=Latest(safety(configuration)),
            configuration=Latest(ConfigurationView()),
            signals=ServiceSignals(self.metrics, self.audit),
            clock=time.time,
            rand=random.random,
            observe=observe,
            supposing=supposing,
            board=parts.cluster.board if parts.cluster is not None else None,
        )
        self.service = Service(self.ports)
        self.metrics.watch(self.snapshot)

    async def aclose(self) -> None:
        """Close what was connected to the hub, after everything else has ended."""
        if self.hub_in_cluster is not None:
            await self.hub_in_cluster.link.aclose()

    @property
    def hub_fingerprint(self) -> str:
        """Return what changes when the hub is reached in another way."""
        return self._fleet.hub.fingerprint if self._fleet.hub is not None else ""

    def _allowed(self, ref: SourceRef) -> bool:
        return self._rules.value.allowed(ref) is None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the configuration was read from."""
        return self._fleet.files

    def adopt(self, loaded: Loaded, fleet: Members) -> None:
        """Take up a new configuration; clusters that did not change are not touched."""
        before, after = self.loaded.configuration, loaded.configuration
        self.loaded = loaded
        self.ports.members.set(fleet.members)
        if rules_differ(before, after) or self._fleet.home != fleet.home:
            self.ports.rules.set(rules(after, fleet.home))
        if self.hub_in_cluster is not None and fleet.hub is not None:
            self.hub_in_cluster.link.adopt(fleet.hub)
            self.hub_in_cluster.hub.reconsider()
        self._fleet = fleet
        self.ports.safety.set_if_changed(safety(after))
        self._log_as(before.telemetry, after.telemetry)
        if stuck := needs_restart(self._started_with, after):
            self._refused(f"restart to take up changes of {', '.join(stuck)}; all else was taken up")
            log.warning("Configuration needs a restart", clusters=len(fleet.members), changed=stuck)
            return
        self.reload = Reload(successful=True, succeeded_at=time.time())
        self.ports.configuration.set(ConfigurationView())
        log.info("Configuration was taken up", clusters=len(fleet.members))

    def _log_as(self, before: Telemetry, after: Telemetry) -> None:
        if (before.log_format, before.log_level) != (after.log_format, after.log_level):
            configure_logging(after.log_format, after.log_level)
        if self._audits and before.audit_log != after.audit_log:
            self.audit.go_on_in(after.audit_log)

    def refuse(self, error: Exception) -> None:
        """Keep the last good configuration, and say so."""
        self._refused(str(error))
        log.error("Configuration cannot be used; the last good one stays in force", message=str(error))

    def _refused(self, message: str) -> None:
        """Say, in status and metrics alike, that not all of the newest configuration is in force."""
        self.reload = Reload(successful=False, succeeded_at=self.reload.succeeded_at)
        self.ports.configuration.set(ConfigurationView(last_reload_successful=False, error=message))

    def snapshot(self) -> MetricsSnapshot:
        """Look at everything that the metrics show."""
        service = self.service
        status = service.reporter.compute()
        return MetricsSnapshot(
            clusters=tuple(service.reporter.facts().reports.values()),
            policies={PolicyName(view.name): tuple(view.status.conditions) for view in status.policies},
            sources=tuple(service.world.value.sources.values()),
            queues={name: _queue(station.queue.counts()) for name, station in service.setting.stations.items()},
            hosts=self._fleet.hosts,
            configuration=self.reload,
            hub=Reload(successful=status.hub.whole),
        )


def rules(configuration: Configuration, home: tuple[str, ...] = ()) -> Rules:
    """Return what the configuration says about policies and sources; ``home``: the hub's own clusters in the fleet."""
    sources = configuration.sources
    rule = AmbientRule(
        everybody=configuration.ambient_namespaces is None,
        namespaces=configuration.ambient_namespaces or (),
        role_arns=tuple(sources.ambient_identity.role_arns),
    )
    names = tuple(configuration.default_clusters) or home

    def allowed(ref: SourceRef) -> str | None:
        if any(glob_match(pattern, ref.namespace) for pattern in sources.namespaces):
            return None
        return f"sources.namespaces of the configuration does not name {ref.namespace}"

    return Rules(
        interpret=interpreter(ambient=rule, endpoints=tuple(sources.endpoints)),
        allowed=allowed,
        qualify=lambda policy: with_default_clusters(policy, names),
        former_names=frozenset(SecretName(name) for name in configuration.hub.former_secret_names),
    )


def rules_differ(before: Configuration, after: Configuration) -> bool:
    """Say whether the rules for policies and sources changed."""
    return (before.sources, before.default_clusters, before.hub.former_secret_names) != (
        after.sources,
        after.default_clusters,
        after.hub.former_secret_names,
    )


def needs_restart(before: Configuration, after: Configuration) -> list[str]:
    """Return the parts that changed and are only read at start."""
    kept = after.hub.model_copy(update={"former_secret_names": before.hub.former_secret_names})
    parts = {"hub": before.hub == kept, "telemetry": _addresses(before) == _addresses(after)}
    return [name for name, same in parts.items() if not same]


def _addresses(configuration: Configuration) -> tuple[str, str, str]:
    telemetry = configuration.telemetry
    return telemetry.metrics_address, telemetry.health_address, telemetry.status_address


def _queue(counts: Counts) -> QueueCounts:
    return QueueCounts(counts.ready_urgent + counts.ready_routine, counts.adds, counts.retries)
