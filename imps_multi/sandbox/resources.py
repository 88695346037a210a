"""The kinds this server keeps, and what sets each apart.

A table, not code: adding a kind means adding a row. No state, no I/O. Read by routing, discovery, validation and
the store.
"""

import msgspec
from msgspec.structs import force_setattr

__all__ = ["NAMESPACES", "PODS", "RESOURCES", "SECRETS", "Resource", "find"]


class Resource(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One served kind: compared and hashed by identity, as there is one of each."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    status: bool = False
    """Whether `/status` is a door of its own, and the main one leaves status alone."""
    unconditional_update: bool = True
    """Whether a PUT may omit resourceVersion."""
    custom: bool = False
    """Whether a CustomResourceDefinition serves it: generation is counted, list items name their kind."""
    returns_deleted: bool = False
    """Whether DELETE answers with the object instead of a Status."""
    name_is_label: bool = False
    """Whether its names are DNS labels instead of subdomains."""
    fields: tuple[str, ...] = ()
    """Dotted paths, besides metadata.name and .namespace, that a field selector may use."""
    short_names: tuple[str, ...] = ()

    api_version: str = ""
    """What its objects say under apiVersion; derived."""
    qualified: str = ""
    """Its name in messages, `leases.coordination.k8s.io`; derived."""
    header: bytes = b""
    """The first bytes of each object's JSON; derived."""

    def __post_init__(self) -> None:
        api_version = f"{self.group}/{self.version}" if self.group else self.version
        force_setattr(self, "api_version", api_version)
        force_setattr(self, "qualified", f"{self.plural}.{self.group}" if self.group else self.plural)
        force_setattr(self, "header", f'{{"kind":"{self.kind}","apiVersion":"{api_version}",'.encode())


_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

NAMESPACES = Resource(
    plural="namespaces",
    kind="Namespace",
    namespaced=False,
    status=True,
    returns_deleted=True,
    name_is_label=True,
    fields=("status.phase",),
    short_names=("ns",),
)
PODS = Resource(
    plural="pods",
    kind="Pod",
    status=True,
    returns_deleted=True,
    fields=(
        "status.phase",
        "status.podIP",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
    ),
    short_names=("po",),
)
SECRETS = Resource(plural="secrets", kind="Secret", fields=("type",))

RESOURCES = (
    NAMESPACES,
    PODS,
    SECRETS,
    Resource(plural="configmaps", kind="ConfigMap", short_names=("cm",)),
    Resource(plural="serviceaccounts", kind="ServiceAccount", returns_deleted=True, short_names=("sa",)),
    Resource(
        plural="events",
        kind="Event",
        fields=(*(f"involvedObject.{part}" for part in _INVOLVED), "reason", "type", "source", "reportingComponent"),
        short_names=("ev",),
    ),
    Resource(
        plural="events",
        kind="Event",
        group="events.k8s.io",
        fields=(*(f"regarding.{part}" for part in _INVOLVED), "reason", "type", "reportingController"),
        short_names=("ev",),
    ),
    Resource(
        plural="customresourcedefinitions",
        kind="CustomResourceDefinition",
        group="apiextensions.k8s.io",
        namespaced=False,
        status=True,
        unconditional_update=False,
        short_names=("crd", "crds"),
    ),
    Resource(plural="leases", kind="Lease", group="coordination.k8s.io", unconditional_update=False),
    Resource(
        plural="imagepullsecrets",
        kind="ImagePullSecret",
        group="images.banzaicloud.io",
        version="v1alpha1",
        namespaced=False,
        status=True,
        unconditional_update=False,
        custom=True,
        short_names=("imps",),
    ),
)

_BY_PATH = {(each.group, each.version, each.plural): each for each in RESOURCES}


def find(group: str, version: str, plural: str) -> Resource | None:
    """Return the kind served at that place, if any."""
    return _BY_PATH.get((group, version, plural))
