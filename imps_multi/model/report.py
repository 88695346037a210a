"""What one cluster reports: frozen snapshots for the reporter, the status and the metrics.

Made by ``tally`` and the cluster actor; holds names of namespaces, never a credential.
"""

import enum
from collections.abc import Mapping

from msgspec import Struct

from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.misses import Miss
from imps_multi.model.names import NamespaceName, PolicyName, SecretName


class Phase(enum.Enum):
    """How a cluster stands, as the status names it."""

    STARTING = "Starting"
    UP = "Up"
    DEGRADED = "Degraded"
    QUARANTINED = "Quarantined"
    PAUSED = "Paused"


class Trouble(Struct, frozen=True):
    """One target that is not as it should be."""

    namespace: NamespaceName
    secret: SecretName
    reason: str
    message: str


class PolicyTally(Struct, frozen=True):
    """One policy's targets in one cluster, counted. ``expires_at``: the earliest expiry that lies there."""

    desired: int = 0
    in_sync: int = 0
    pending: int = 0
    failed: int = 0
    conflict: int = 0
    lingering: int = 0
    held: int = 0
    excluded: int = 0
    expires_at: float | None = None
    reasons: Mapping[str, int] = {}
    troubles: tuple[Trouble, ...] = ()
    """At most a few, for messages."""
    namespaces: frozenset[NamespaceName] = frozenset()
    """Where the policy wants a target."""
    refused: str = ""
    """Why it is not known where else the policy wants one: the pods that it asks for may not be watched there."""


class Contact(Struct, frozen=True):
    """How the contact with a cluster stands. Times in seconds since the epoch."""

    phase: Phase = Phase.STARTING
    reason: str = ""
    message: str = ""
    since: float | None = None
    next_attempt: float | None = None
    last_contact: float | None = None
    uid: str = ""
    version: str = ""


class ClusterReport(Struct, frozen=True):
    """Everything that is told of one cluster. ``synced``: namespaces and every Secret name were listed whole.

    ``settled``: the version of the world for which nothing is left to write here, or -1.
    """

    settings: ClusterSettings
    contact: Contact = Contact()
    synced: bool = False
    listed: bool = False
    """The same, but for names that may not be read there, and with the pods that policies ask for."""
    lacks_pods: bool = False
    """Not listed, and for nothing but these pods."""
    settled: int = -1
    looked: int = -1
    """The version of the world for which every namespace that it touches was looked at."""
    given_up: bool = False
    """Whatever is left to write was tried three times and more, or is undone again and again."""
    policies: Mapping[PolicyName, PolicyTally] = {}
    forbidden: Mapping[SecretName, str] = {}
    """Secret names that may not be read or written here, with what was refused."""
    expires_at: float | None = None
    misses: Mapping[PolicyName, tuple[Miss, ...]] = {}
    """Names in selections that no namespace has here; known while it is listed."""
