"""The CustomResourceDefinition of policies as it stands in the hub: is it there, is it going, what does it lack.

Pure. When a definition is deleted the API server deletes every object of it first, and watches see that as so many
deletions; so no deletion of a policy is believed before the definition was looked at. Used by ``hub_cache`` and
``cluster_hub``.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from imps_multi.kube.transport import Call

NAME: Final = "imagepullsecrets.images.banzaicloud.io"
READ: Final = Call(
    f"read CustomResourceDefinition {NAME}",
    "GET",
    f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{NAME}",
)
INSTALL: Final = "imps-multi crd | kubectl apply --server-side -f -"
RENEW: Final = "imps-multi crd | kubectl apply --server-side --force-conflicts -f -"
"""Over one that another tool installed: the IMPS operator's is Helm's, and kubectl refuses to take its fields."""
NOT_INSTALLED: Final = f"the CustomResourceDefinition of ImagePullSecret is not installed; install it: {INSTALL}"
VERSION: Final = "v1alpha1"
LARGEST: Final = 4 << 20
ADDED: Final = (
    "spec.registry.credentials[].ecr",
    "spec.target.clusters",
    "spec.target.namespaces.exclude",
    "spec.conflictPolicy",
    "spec.deletionPolicy",
    "spec.suspend",
    "status.observedGeneration",
    "status.managedNamespacesTotal",
    "status.conditions",
    "status.targets",
    "status.clusters",
    "status.credentials",
    "status.held",
    "status.lastHandledSync",
)
"""What the resource has beyond IMPS's own: an API server drops those that its schema does not name."""


class Definition(Struct, frozen=True):
    """The definition as it was seen. ``missing``: the fields that its schema does not name."""

    uid: str
    terminating: bool = False
    missing: tuple[str, ...] = ()


class _Meta(Struct, rename="camel"):
    uid: str = ""
    deletion_timestamp: str | None = None


class _Condition(Struct):
    type: str = ""
    status: str = ""


class _Status(Struct):
    conditions: list[_Condition] | None = None


class _Version(Struct):
    name: str = ""
    schema: dict[str, Any] | None = None


class _Spec(Struct):
    versions: list[_Version] = field(default_factory=list)


class _Crd(Struct):
    metadata: _Meta
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


_DECODER: Final = msgspec.json.Decoder(_Crd)


def read_definition(body: bytes) -> Definition:
    """Read the definition. Raises msgspec.DecodeError."""
    found = _DECODER.decode(body)
    conditions = found.status.conditions or ()
    going = any(one.type == "Terminating" and one.status == "True" for one in conditions)
    schema = next((one.schema for one in found.spec.versions if one.name == VERSION), None)
    return Definition(
        uid=found.metadata.uid,
        terminating=going or found.metadata.deletion_timestamp is not None,
        missing=_missing((schema or {}).get("openAPIV3Schema")),
    )


def _missing(schema: object) -> tuple[str, ...]:
    return tuple(path for path in ADDED if not _names(schema, path.split(".")))


def _names(schema: object, path: list[str]) -> bool:
    """Say whether a schema keeps a field."""
    for step in path:
        if not isinstance(schema, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields"):
            return isinstance(schema, Mapping)
        properties, name = schema.get("properties"), step.removesuffix("[]")
        if not isinstance(properties, Mapping) or name not in properties:
            return False
        schema = properties[name].get("items") if step != name else properties[name]
    return True
