"""The configuration file as pydantic models: what may be written, and its defaults.

Nothing is read here; ``load`` feeds these with the parsed file and turns their errors into places. Field names are the
file's. What this version does not do yet is refused by name in ``unsupported``.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from imps_multi.config.duration import Duration

Name = Annotated[str, Field(min_length=1, max_length=253)]
HubName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
"""A hub's id is a label value."""
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]
Labels = dict[str, str]


class Part(BaseModel):
    """One mapping of the file; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class HubConfig(Part):
    """Where policies and source Secrets are read from."""

    id: HubName = Field(description="The ownership mark on every written Secret. Keep it when the hub is rebuilt.")
    previous_ids: list[HubName] = Field(default=[], alias="previousIDs", description="Hubs whose Secrets are ours too.")
    directory: Path | None = Field(default=None, description="A directory of manifests.")
    state_directory: Path | None = Field(default=None, description="The state store; default in $XDG_STATE_HOME.")
    former_secret_names: list[Name] = Field(default=[], description="Target names used in the past.")
    kubeconfig: Path | None = Field(default=None, description="A Kubernetes cluster that has the CRD.")
    context: str | None = Field(default=None, description="The context in that kubeconfig.")
    in_cluster: bool = Field(default=False, description="The cluster that this runs in.")
    namespace: Name = Field(default="imps-system", description="State store and Leases of a hub in a cluster.")

    @model_validator(mode="after")
    def _one_place(self) -> "HubConfig":
        given = [self.directory is not None, self.kubeconfig is not None, self.in_cluster]
        if sum(given) != 1:
            raise ValueError("needs exactly one of directory, kubeconfig and inCluster")
        return self


class Overridable(Part):
    """Settings of a cluster that ``defaults`` and ``overrides`` may set too; None is not set."""

    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    max_in_flight: Annotated[int, Field(ge=1, le=256)] | None = None
    request_timeout: Duration | None = None
    connectivity: Literal["always", "intermittent"] | None = None


class ClusterOptions(Overridable):
    """Everything that can be said of one cluster beside how to reach it."""

    labels: Labels = {}
    paused: bool | None = None
    observe: bool | None = None
    decommission: bool | None = None


class Override(ClusterOptions):
    """Settings for some of an entry's contexts; later ones win."""

    contexts: Annotated[list[str], Field(min_length=1)]


class ClusterEntry(ClusterOptions):
    """One entry of the fleet: many contexts of one file, one context under a name, or the cluster this runs in."""

    kubeconfig: Path | None = None
    contexts: Annotated[list[str], Field(min_length=1)] | None = None
    exclude_contexts: list[str] = []
    overrides: list[Override] = []
    name: Name | None = None
    context: str | None = None
    in_cluster: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> "ClusterEntry":
        if self.in_cluster:
            if self.name is None or self.kubeconfig is not None or self.contexts is not None:
                raise ValueError("an inCluster entry needs a name, and neither kubeconfig nor contexts")
        elif self.kubeconfig is None:
            raise ValueError('needs kubeconfig with contexts (globs; ["*"] for all), or with name and context')
        elif (self.contexts is None) == (self.context is None):
            raise ValueError('needs contexts (globs; ["*"] for all) or name and context, and not both')
        elif self.context is not None and self.name is None:
            raise ValueError("needs a name for its context")
        elif self.contexts is not None and self.name is not None:
            raise ValueError("takes its names from its contexts; name is for a single context")
        if self.contexts is None and (self.overrides or self.exclude_contexts):
            raise ValueError("overrides and excludeContexts are for entries with contexts")
        return self


class AmbientIdentity(Part):
    """Whose source Secrets may use the process's own cloud identity."""

    namespaces: list[str] | None = None
    role_arns: list[str] = Field(default=["*"], alias="roleARNs")


class Sources(Part):
    """What source Secrets may do."""

    namespaces: list[str] = Field(default=["*"], description="Hub namespaces whose Secrets policies may name.")
    ambient_identity: AmbientIdentity = AmbientIdentity()
    endpoints: list[str] = Field(default=[], description="Host globs that a source's own endpoint URLs may name.")


class Limits(Part):
    """One of the brake's limits."""

    max_delete_percent: Percent
    max_delete_at_least: Count


class SafetyConfig(Part):
    """The brake."""

    per_cluster: Limits = Limits(max_delete_percent=25, max_delete_at_least=10)
    fleet: Limits = Limits(max_delete_percent=5, max_delete_at_least=50)
    max_new_targets: Count = 0


class Telemetry(Part):
    """What is seen from outside."""

    metrics_address: str = "127.0.0.1:8080"
    health_address: str = "127.0.0.1:8081"
    status_address: str = "127.0.0.1:8082"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    audit_log: str = ""


class Coordination(Part):
    """How replicas share the work."""

    mode: Literal["single", "leader", "sharded"] = "single"


class Configuration(Part):
    """The whole file."""

    hub: HubConfig
    clusters: list[ClusterEntry] = []
    defaults: Overridable = Overridable()
    default_clusters: list[str] = []
    sources: Sources = Sources()
    safety: SafetyConfig = SafetyConfig()
    telemetry: Telemetry = Telemetry()
    coordination: Coordination = Coordination()


RESERVED = frozenset({"discovery", "network", "verification"})
"""Names at the top that a later version will take."""


def unsupported(configuration: Configuration) -> list[tuple[str, str]]:
    """Return what is valid but not done by this version: (path, what to do)."""
    found = []
    if configuration.hub.directory is None:
        found.append(("hub", "a hub in a cluster is not supported by this version; use hub.directory"))
    if configuration.coordination.mode != "single":
        found.append(("coordination.mode", "only single is supported by this version"))
    if configuration.safety.max_new_targets:
        found.append(("safety.maxNewTargets", "is not supported by this version; leave it 0"))
    for index, entry in enumerate(configuration.clusters):
        if entry.decommission or any(override.decommission for override in entry.overrides):
            found.append((f"clusters[{index}].decommission", "is not supported by this version"))
    return found
