"""The configuration file as pydantic models: what may be written, and its defaults.

Nothing is read here; ``load`` feeds these with the parsed file and turns their errors into places. Field names are the
file's. What this version does not do yet is refused by ``unsupported``, and fields that do not go together by
``forms``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from imps_multi.config.checks import (
    Address,
    Endpoint,
    Labels,
    Mark,
    NamespaceText,
    NoBoolean,
    SecretNameText,
    Text,
)
from imps_multi.config.duration import Duration

Name = Annotated[str, Field(min_length=1, max_length=253)]
Percent = Annotated[float, Field(ge=0, le=100), NoBoolean]
Count = Annotated[int, Field(ge=0), NoBoolean]
Globs = list[Text]


class Part(BaseModel):
    """One mapping of the file; unknown fields are errors, and a known one that is empty counts as not written."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {name: item for name, item in value.items() if item is not None or name not in known}


class HubConfig(Part):
    """Where policies and source Secrets are read from."""

    id: Mark = Field(description="The ownership mark on every written Secret. Keep it when the hub is rebuilt.")
    previous_ids: list[Mark] = Field(default=[], alias="previousIDs", description="Hubs whose Secrets are ours too.")
    directory: Path | None = Field(default=None, description="A directory of manifests.")
    state_directory: Path | None = Field(default=None, description="The state store; default in $XDG_STATE_HOME.")
    former_secret_names: list[SecretNameText] = Field(default=[], description="Target names used in the past.")
    kubeconfig: Path | None = Field(default=None, description="A Kubernetes cluster that has the CRD.")
    context: Text | None = Field(default=None, description="The context in that kubeconfig; its current one.")
    in_cluster: bool = Field(default=False, description="The cluster that this runs in.")
    namespace: NamespaceText = Field(default="imps-system", description="State store of a hub in a cluster.")

    @property
    def in_a_cluster(self) -> bool:
        """Whether it is a Kubernetes cluster, and not a directory."""
        return self.directory is None


class Overridable(Part):
    """Settings of a cluster that ``defaults`` and ``overrides`` may set too; None is not set."""

    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False), NoBoolean] | None = Field(
        default=None, description="On average; 200."
    )
    burst: Annotated[int, Field(ge=1), NoBoolean] | None = Field(default=None, description="Requests at once; 400.")
    max_in_flight: Annotated[int, Field(ge=1, le=256), NoBoolean] | None = Field(
        default=None, description="Unanswered; 16."
    )
    request_timeout: Duration | None = Field(default=None, description="For one request; 30s.")
    connectivity: Literal["always", "intermittent"] | None = Field(
        default=None, description="Whether a cluster's absence makes a policy not Ready; always."
    )


class ClusterOptions(Overridable):
    """Everything that can be said of one cluster beside how to reach it."""

    labels: Labels = Field(default={}, description="For policies to select by.")
    paused: bool | None = Field(default=None, description="Read, never written.")
    observe: bool | None = Field(default=None, description="Everything computed and reported, nothing written.")
    decommission: bool | None = Field(default=None, description="Remove everything of ours from it, under the brake.")


class Override(ClusterOptions):
    """Settings for some of an entry's contexts; later ones win."""

    contexts: Annotated[Globs, Field(min_length=1, description="Globs of context names.")]


class ClusterEntry(ClusterOptions):
    """One entry of the fleet: many contexts of one file, one context under a name, or the cluster this runs in."""

    kubeconfig: Path | None = Field(default=None, description="Files are never merged with one another.")
    contexts: Annotated[Globs, Field(min_length=1)] | None = Field(
        default=None, description="Globs; each matching context becomes a cluster named after it."
    )
    exclude_contexts: Globs = Field(default=[], description="Globs of contexts to leave out.")
    overrides: list[Override] = Field(default=[], description="Settings for some of the contexts; later ones win.")
    name: Name | None = Field(default=None, description="The name of a single cluster.")
    context: Text | None = Field(default=None, description="The context of a single cluster.")
    in_cluster: bool = Field(default=False, description="The cluster that this runs in.")


class AmbientIdentity(Part):
    """Who may use the process's own cloud identity: inline sources, and whose source Secrets."""

    namespaces: Globs | None = Field(
        default=None, description="Hub namespaces whose Secrets may; default: a directory hub's, else hub.namespace."
    )
    role_arns: Globs = Field(
        default=["*"],
        alias="roleARNs",
        description="Roles and Google service accounts (e-mails) that may be assumed with it.",
    )


class Sources(Part):
    """What source Secrets may do."""

    namespaces: Globs = Field(default=["*"], description="Hub namespaces whose Secrets policies may name.")
    ambient_identity: AmbientIdentity = AmbientIdentity()
    endpoints: list[Endpoint] = Field(
        default=[],
        description=(
            "Hosts (HOST or HOST:PORT, globs) that a source's own endpoint URLs may name. Found by a glob, a host must "
            "have public addresses; written out, it may also have private and loopback ones."
        ),
    )


class Limits(Part):
    """One of the brake's limits: held if the wishes are more than the larger figure."""

    max_delete_percent: Percent
    max_delete_at_least: Count


class PerClusterLimits(Limits):
    """The brake per policy and cluster."""

    max_delete_percent: Percent = 25
    max_delete_at_least: Count = 10


class FleetLimits(Limits):
    """The brake over all clusters."""

    max_delete_percent: Percent = 5
    max_delete_at_least: Count = 50


class SafetyConfig(Part):
    """The brake."""

    per_cluster: PerClusterLimits = PerClusterLimits()
    fleet: FleetLimits = FleetLimits()
    max_new_targets: Count = Field(
        default=0, description="0: no limit; else a policy edit that adds more waits for approval."
    )


class Telemetry(Part):
    """What is seen from outside."""

    metrics_address: Address = "127.0.0.1:8080"
    health_address: Address = "127.0.0.1:8081"
    status_address: Address = "127.0.0.1:8082"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    audit_log: str = Field(default="", description='"" for none, stdout, or a path; one JSON line per write.')


class Coordination(Part):
    """How replicas share the work."""

    mode: Literal["single", "leader", "sharded"] = "single"


class Configuration(Part):
    """The whole file."""

    hub: HubConfig
    clusters: list[ClusterEntry] = Field(description="The fleet.")
    defaults: Overridable = Overridable()
    default_clusters: Globs = Field(default=[], description="For policies that name no clusters.")
    sources: Sources = Sources()
    safety: SafetyConfig = SafetyConfig()
    telemetry: Telemetry = Telemetry()
    coordination: Coordination = Coordination()

    @property
    def ambient_namespaces(self) -> tuple[str, ...] | None:
        """The hub namespaces whose Secrets may use the process's own cloud identity; None: all that there are."""
        given = self.sources.ambient_identity.namespaces
        if given is None:
            return (self.hub.namespace,) if self.hub.in_a_cluster else None
        return tuple(given)
