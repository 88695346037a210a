"""What the gauges show, as one frozen look at the service.

Made by app whenever somebody scrapes; read by ``gauges``. Everything here is a count, a time or a name that users gave.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct, field

from imps_multi.model.credential import SourceState
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.report import ClusterReport
from imps_multi.model.status import Condition


class QueueCounts(Struct, frozen=True):
    """One cluster's queue: what is due and waits for a worker, and what went through it since it was made."""

    depth: int = 0
    adds: int = 0
    retries: int = 0


class Reload(Struct, frozen=True):
    """How the last reading of the configuration went; ``succeeded_at`` in seconds since the epoch."""

    successful: bool = True
    succeeded_at: float | None = None


class MetricsSnapshot(Struct, frozen=True):
    """Everything that gauges show. Only what is configured now is in it; who left is noticed by its absence."""

    clusters: tuple[ClusterReport, ...] = ()
    policies: Mapping[PolicyName, tuple[Condition, ...]] = field(default_factory=dict)
    sources: tuple[SourceState, ...] = ()
    queues: Mapping[ClusterName, QueueCounts] = field(default_factory=dict)
    hosts: frozenset[str] | None = None
    """Every API server in use, as ``host:port``; None where that is not known: then no host's series ever goes."""
    configuration: Reload = Reload()
    hub: Reload = Reload()
    """``successful`` where the hub was whole when it was last read."""


Snapshot: TypeAlias = Callable[[], MetricsSnapshot]
