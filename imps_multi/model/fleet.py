"""The fleet as values: one target cluster's settings as configured, with the defaults filled in.

Made by config and the kubeconfig reader, joined in app; read by the fleet actor. Holds no credential.
"""

import enum

from msgspec import Struct

from imps_multi.model.names import ClusterName
from imps_multi.model.observed import Pairs


class Connectivity(enum.Enum):
    """Whether a cluster's absence makes a policy not Ready."""

    ALWAYS = "always"
    INTERMITTENT = "intermittent"


class ClusterSettings(Struct, frozen=True):
    """How one cluster is treated. Rates per second, ``request_timeout`` in seconds, ``labels`` sorted by key."""

    name: ClusterName
    labels: Pairs = ()
    connectivity: Connectivity = Connectivity.ALWAYS
    paused: bool = False
    observe: bool = False
    decommission: bool = False
    """Everything of ours is taken away from it; no policy selects it."""
    home: bool = False
    """The hub lies in it, as far as the configuration shows: the source Secrets are there."""
    requests_per_second: float = 200.0
    burst: int = 400
    max_in_flight: int = 16
    request_timeout: float = 30.0


class BrakeLimits(Struct, frozen=True):
    """Held if the wishes are more than max(``at_least``, ``percent`` of the targets)."""

    percent: float
    at_least: int


class Safety(Struct, frozen=True):
    """The brake's figures. ``max_new_targets`` 0 means no limit."""

    per_cluster: BrakeLimits = BrakeLimits(percent=25.0, at_least=10)
    fleet: BrakeLimits = BrakeLimits(percent=5.0, at_least=50)
    max_new_targets: int = 0
