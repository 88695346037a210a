"""What actors tell, joined: counted by the metrics, said in the log, written to the audit log.

Implements ``ports.Signals``. Never blocks, never raises; decides only how loudly a thing is said.
"""

import logging

import structlog

from imps_multi.model.names import ClusterName
from imps_multi.ports import WriteRecord
from imps_multi.telemetry.audit import AuditLog
from imps_multi.telemetry.metrics import Metrics

QUIET: float = 10.0
"""Seconds between two warnings about the same kind of failed write in one cluster."""
USUAL = frozenset({"ok", "Conflict", "AlreadyExists", "NamespaceTerminating", "NotFound"})
"""How a write may end without anything being wrong: the world moved on."""

log = structlog.get_logger()


class ServiceSignals:
    """One service's signals."""

    def __init__(self, metrics: Metrics, audit: AuditLog) -> None:
        self._metrics = metrics.instruments
        self._audit = audit
        self._tells_all = log.is_enabled_for(logging.DEBUG)
        self._said: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def write(self, record: WriteRecord) -> None:
        """Count, audit and log a write."""
        self._metrics.write(record.cluster, record.operation, record.result)
        self._audit.write(record)
        if record.result not in USUAL:
            self._warn(record)
        elif self._tells_all:
            log.debug("Secret written", **_fields(record))

    def onboarded(self, seconds: float) -> None:
        """Take in how long a namespace waited for its first target."""
        self._metrics.onboarded(seconds)

    def fanned_out(self, seconds: float) -> None:
        """Take in how long a change took to get everywhere."""
        self._metrics.fanned_out(seconds)
        log.info("Fan-out finished", seconds=round(seconds, 3))

    def refreshed(self, provider: str, *, ok: bool) -> None:
        """Count a mint."""
        self._metrics.refreshed(provider, ok=ok)

    def crashed(self, actor: str, error: Exception, *, incarnation: int) -> None:
        """Count a restart, and log why, once, with its traceback."""
        kind = actor_kind(actor)
        self._metrics.restarted(kind)
        where = {"target_cluster": actor[len(kind) + 1 :]} if kind == "cluster" else {}
        log.error("Actor failed and restarts", actor=actor, **where, incarnation=incarnation, exc_info=error)

    def quarantined(self, kind: str, name: str, *, active: bool) -> None:
        """Show and log a quarantine, or its end."""
        self._metrics.quarantined(kind, name, active=active)
        if active:
            log.error("Actor failed too often and is in quarantine", kind=kind, name=name)
        else:
            log.info("Actor left its quarantine", kind=kind, name=name)

    def uid_changed(self, cluster: ClusterName) -> None:
        """Count a target that was made anew."""
        self._metrics.uid_changed(cluster)

    def queued(self, waited: float) -> None:
        """Take in how long a key was due."""
        self._metrics.waited(waited)

    def _warn(self, record: WriteRecord) -> None:
        """Log a failed write, but not thousands alike: the metrics count them."""
        kind = (record.cluster, record.result)
        if record.time - self._said.get(kind, -QUIET) < QUIET:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said[kind] = record.time
        log.warning("Secret could not be written", **_fields(record), more_alike=self._unsaid.pop(kind, 0))


def actor_kind(actor: str) -> str:
    """Return what kind of actor it is: the name up to the first sign that is none of a word."""
    return next((actor[:index] for index, sign in enumerate(actor) if sign in "/: ["), actor)


def _fields(record: WriteRecord) -> dict[str, object]:
    return {
        "target_cluster": record.cluster,
        "namespace": record.namespace,
        "secret_name": record.name,
        "operation": record.operation,
        "policy": record.policy,
        "why": record.why,
        "result": record.result,
    }
