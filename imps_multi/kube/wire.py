"""The shapes of what an API server sends, as far as we look: narrow, decoded in one pass, forgotten at once.

Every field that may be missing has a default; unknown ones are skipped. The object of a watch's ERROR event is a
Status, so the objects carry its fields too. Feeds ``decode``, ``secret_calls`` and ``references``.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from imps_multi.kube.answers import StatusDetails


class OwnerReference(Struct, gc=False, rename="camel", omit_defaults=True):
    """An owner, whole: one that stays is written back as it was read."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class Meta(Struct, gc=False, rename="camel"):
    """An object's or a list's metadata. ``resource_version`` comes as digits in a string."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] | None = None
    owner_references: list[OwnerReference] | None = None


class ListMeta(Struct, gc=False, rename="camel"):
    """A list's metadata."""

    resource_version: int = 0
    continue_: str = field(name="continue", default="")


class NamespaceObject(Struct, gc=False):
    """A Namespace or a pod (whole or metadata only), or the Status of an ERROR event."""

    metadata: Meta = field(default_factory=Meta)
    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


class SecretObject(Struct, gc=False):
    """A Secret, whole or metadata only as ``kind`` says, or the Status of an ERROR event.

    ``data`` comes out of its base64.
    """

    kind: str = ""
    metadata: Meta = field(default_factory=Meta)
    type: str = "Opaque"
    data: Mapping[str, bytes | None] | None = None
    immutable: bool | None = None
    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None

    def __repr__(self) -> str:
        """Name it, without its data."""
        return f"SecretObject({self.metadata.namespace}/{self.metadata.name})"


class NamespaceFrame(Struct, gc=False):
    """One line of a watch over namespaces or pods."""

    type: str
    object: NamespaceObject


class SecretFrame(Struct, gc=False):
    """One line of a watch over Secrets."""

    type: str
    object: SecretObject


class NamespacePage(Struct, gc=False):
    """One page of a list of namespaces or pods."""

    metadata: ListMeta
    items: list[NamespaceObject] | None = None


class SecretPage(Struct, gc=False):
    """One page of a list of Secrets."""

    metadata: ListMeta
    items: list[SecretObject] | None = None


class Identified(Struct, gc=False):
    """Anything of which only the metadata matters."""

    metadata: Meta


# Not strict: a resourceVersion is a number in a string (KEP-5504), and is decoded as one.
NAMESPACE_FRAME = msgspec.json.Decoder(NamespaceFrame, strict=False)
NAMESPACE_PAGE = msgspec.json.Decoder(NamespacePage, strict=False)
SECRET_FRAME = msgspec.json.Decoder(SecretFrame, strict=False)
SECRET_PAGE = msgspec.json.Decoder(SecretPage, strict=False)
SECRET = msgspec.json.Decoder(SecretObject, strict=False)
IDENTIFIED = msgspec.json.Decoder(Identified, strict=False)
