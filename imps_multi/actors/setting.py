"""What every cluster's actor shares: the snapshots it reads, where it reports to, and the fleet's limits.

Built once by app; holds no state of a cluster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from imps_multi.actors.claims import Claims
from imps_multi.model.brake import Wishes
from imps_multi.model.names import ClusterName, HubId, PolicyName
from imps_multi.model.report import ClusterReport
from imps_multi.model.target_plan import Wish
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import World
from imps_multi.ports import Clock, Signals
from imps_multi.runtime.backoff import Rand
from imps_multi.runtime.latest import Latest
from imps_multi.runtime.places import Places
from imps_multi.runtime.shutdown import InFlight, StopSignal
from imps_multi.runtime.window import Rush

if TYPE_CHECKING:
    from imps_multi.actors.station import Station

ROUTINE_AT_ONCE = 128
"""Routine writes under way at once: enough to keep the loop busy, little enough to be through in a moment."""
ROUTINE_HOLD_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The brake's word, for every cluster."""

    released: frozenset[Wish] = frozenset()
    held: frozenset[Wish] = frozenset()
    admitted: Mapping[PolicyName, int] | None = None
    """The generation of each policy that may make new targets; None where there is no limit."""
    waiting: Mapping[PolicyName, frozenset[ClusterName]] = field(default_factory=dict)
    """Where it may not yet all the same: those clusters were away when it was admitted."""

    def admitted_in(self, cluster: ClusterName) -> Mapping[PolicyName, int] | None:
        """Return what may make new targets in a cluster."""
        if self.admitted is None or not self.waiting:
            return self.admitted
        away = self.waiting
        return {name: generation for name, generation in self.admitted.items() if cluster not in away.get(name, ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Shared by all clusters' actors."""

    hub: HubId
    previous_hubs: tuple[HubId, ...]
    world: Latest[World]
    verdict: Latest[Verdict]
    cache: WantedCache
    claims: Claims
    probes: anyio.CapacityLimiter
    report: Callable[[ClusterReport], None]
    wish: Callable[[ClusterName, Wishes | None], None]
    signals: Signals
    clock: Clock
    rand: Rand
    stations: dict[ClusterName, "Station"] = field(default_factory=dict)
    """The stations of the clusters that run now; only looked at from outside, by ``plan``."""
    places: Places = field(default_factory=lambda: Places(ROUTINE_AT_ONCE, hold=ROUTINE_HOLD_SECONDS))
    """For routine writes of the whole fleet."""
    rush: Rush = field(default_factory=Rush)
    """Whether anything anywhere cannot wait, so that routine work takes less room."""
    turn: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    """Held by the one cluster that plans many namespaces, so that the loop is free between two handfuls of them."""
    in_flight: InFlight = field(default_factory=InFlight)
    closing: StopSignal = field(default_factory=StopSignal)
    """Set when no new write may begin."""
    observe: bool = False
