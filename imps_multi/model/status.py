"""What users are told, as values: the one model behind the status API, ``status -o json`` and a policy's status.

Field names follow the API (camelCase through ``rename``); times are RFC 3339 UTC strings. Filled by ``status_compute``
from reports; never holds a credential.
"""

from msgspec import Struct, field


class Condition(Struct, frozen=True, rename="camel", omit_defaults=False):
    """A Kubernetes condition."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: str
    observed_generation: int


class TargetCounts(Struct, frozen=True, rename="camel"):
    """How many targets are in which state; ``summary`` is ``inSync/desired``."""

    desired: int = 0
    in_sync: int = 0
    pending: int = 0
    failed: int = 0
    conflict: int = 0
    lingering: int = 0
    excluded: int = 0
    held: int = 0
    summary: str = "0/0"


class PolicyClusterStatus(Struct, frozen=True, rename="camel"):
    """One cluster as a policy sees it; ``reason`` is empty when all is well."""

    name: str
    in_sync: int = 0
    desired: int = 0
    reason: str = ""
    message: str = ""
    since: str | None = None
    next_attempt: str | None = None
    last_contact: str | None = None


class PolicyCredentialStatus(Struct, frozen=True, rename="camel"):
    """One source of a policy."""

    namespace: str
    name: str
    registries: list[str] = field(default_factory=list)
    expires_at: str | None = None
    refreshed_at: str | None = None
    reason: str = ""
    message: str = ""


class HeldStatus(Struct, frozen=True, rename="camel"):
    """A held set."""

    id: str
    deletions: int
    why: str
    policy: str = ""
    clusters: list[str] = field(default_factory=list)


class PolicyStatus(Struct, frozen=True, rename="camel"):
    """The status of an ImagePullSecret, IMPS's own fields first."""

    status: str = "Failed"
    reason: str = ""
    last_successful_reconciliation: str | None = None
    validity_seconds: int | None = None
    managed_namespaces: list[str] = field(default_factory=list)
    source_secret_status: dict[str, str] = field(default_factory=dict)
    observed_generation: int = 0
    managed_namespaces_total: int = 0
    conditions: list[Condition] = field(default_factory=list)
    targets: TargetCounts = TargetCounts()
    clusters: list[PolicyClusterStatus] = field(default_factory=list)
    credentials: list[PolicyCredentialStatus] = field(default_factory=list)
    held: HeldStatus | None = None
    last_handled_sync: str = ""


class PolicyView(Struct, frozen=True, rename="camel"):
    """A policy in the status API."""

    name: str
    generation: int
    secret_name: str
    status: PolicyStatus
    uid: str = ""
    """metadata.uid, where it has one and is valid: one that was made anew is another."""


class ProblemView(Struct, frozen=True, rename="camel"):
    """Why the hub is not whole."""

    file: str
    line: int
    column: int
    message: str


class HubView(Struct, frozen=True, rename="camel"):
    """The hub in the status API."""

    id: str
    synced: bool
    whole: bool
    problems: list[ProblemView] = field(default_factory=list)


class ConfigurationView(Struct, frozen=True, rename="camel"):
    """Whether the last reload of the configuration worked."""

    last_reload_successful: bool = True
    error: str = ""


class ClusterView(Struct, frozen=True, rename="camel"):
    """A cluster in the status API; ``state`` is Starting, Up, Degraded, Quarantined or Paused."""

    name: str
    uid: str
    labels: dict[str, str]
    state: str
    reason: str = ""
    message: str = ""
    since: str | None = None
    next_attempt: str | None = None
    last_contact: str | None = None
    version: str = ""
    targets: TargetCounts = TargetCounts()


class CredentialView(Struct, frozen=True, rename="camel"):
    """A source in the status API."""

    namespace: str
    name: str
    provider: str
    state: str
    registries: list[str] = field(default_factory=list)
    expires_at: str | None = None
    refreshed_at: str | None = None
    next_refresh: str | None = None
    reason: str = ""
    message: str = ""


class ServiceStatus(Struct, frozen=True, rename="camel"):
    """Everything, as GET /api/v1/status answers it."""

    version: str
    hub: HubView
    configuration: ConfigurationView = ConfigurationView()
    clusters: list[ClusterView] = field(default_factory=list)
    policies: list[PolicyView] = field(default_factory=list)
    credentials: list[CredentialView] = field(default_factory=list)
    held: list[HeldStatus] = field(default_factory=list)
