"""Objects in their two forms: a `Draft` that can be changed, and an `Entry` that is kept.

An entry is immutable and holds its JSON ready to send, so that lists and watches copy bytes and decode nothing. Pure:
no store, no clock. Writes make drafts into entries; lists and watches send entries.
"""

from collections.abc import Mapping

import msgspec

from imps_multi.sandbox.resources import Resource
from imps_multi.sandbox.status import bad_request

__all__ = ["Draft", "Entry", "Meta", "decode", "decode_document", "key_of", "render", "section", "text"]

_META_HEADER = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'


class Meta(msgspec.Struct, omit_defaults=True, rename="camel", kw_only=True):
    """`ObjectMeta`, as far as anybody here looks; managedFields and the unknown are dropped on reading."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[dict[str, object]] | None = None
    finalizers: list[str] | None = None


class Draft(msgspec.Struct):
    """An object being written: its metadata, and every other top-level field."""

    meta: Meta
    rest: dict[str, object]

    def same_as(self, other: "Draft") -> bool:
        """Whether writing this over the other would change nothing."""
        return self.meta == other.meta and self.rest == other.rest


class Entry(msgspec.Struct, frozen=True, gc=False, eq=False):
    """An object at one resourceVersion."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    version: int
    labels: dict[str, str]
    fields: tuple[str, ...]
    """Values of `resource.fields`, in that order."""
    tail: bytes
    """Its JSON after the kind and apiVersion."""

    @property
    def key(self) -> str:
        """Its place in the order of a list."""
        return key_of(self.namespace, self.name)

    @property
    def body(self) -> bytes:
        """The whole object."""
        return self.resource.header + self.tail

    @property
    def item(self) -> bytes:
        """The object as an item of a list, where only custom kinds name themselves."""
        return self.body if self.resource.custom else b"{" + self.tail

    @property
    def partial(self) -> bytes:
        """Its metadata alone, as PartialObjectMetadata."""
        return _META_HEADER + bytes(_RAW_META.decode(b"{" + self.tail).metadata) + b"}"

    def draft(self) -> Draft:
        """Return a copy to change."""
        return _split(_DOCUMENT.decode(b"{" + self.tail))


class _RawMeta(msgspec.Struct):
    metadata: msgspec.Raw


_RAW_META = msgspec.json.Decoder(_RawMeta)
_DOCUMENT = msgspec.json.Decoder(dict[str, object])
_ENCODER = msgspec.json.Encoder()


def key_of(namespace: str, name: str) -> str:
    """Return the key that orders objects as etcd does."""
    return f"{namespace}/{name}" if namespace else name


def decode_document(body: bytes) -> dict[str, object]:
    """Read a JSON object out of a request.

    Raises:
        ApiError: 400, the body is something else.
    """
    try:
        return _DOCUMENT.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error


def decode(resource: Resource, document: dict[str, object]) -> Draft:
    """Take a document apart, checking that it is of the kind that the URL names.

    Raises:
        ApiError: 400, another kind, or metadata that does not fit ObjectMeta.
    """
    kind, version = document.get("kind"), document.get("apiVersion")
    if kind not in {None, "", resource.kind}:
        raise bad_request(f'the kind in the data ({kind}) does not match the expected kind ("{resource.kind}")')
    if version not in {None, "", resource.api_version}:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    return _split(document)


def _split(document: dict[str, object]) -> Draft:
    rest = {key: value for key, value in document.items() if key not in {"kind", "apiVersion", "metadata"}}
    try:
        meta = msgspec.convert(document.get("metadata") or {}, Meta)
    except msgspec.ValidationError as error:
        raise bad_request(f"cannot be handled: metadata: {error}") from error
    # Go leaves empty maps and lists out, so that {} and nothing are one and the same.
    meta.labels = meta.labels or None
    meta.annotations = meta.annotations or None
    meta.owner_references = meta.owner_references or None
    meta.finalizers = meta.finalizers or None
    return Draft(meta, rest)


def render(resource: Resource, draft: Draft, version: int) -> Entry:
    """Make a draft into the entry of that resourceVersion."""
    meta = draft.meta
    meta.resource_version = str(version)
    tail = b'"metadata":' + _ENCODER.encode(meta)
    tail += b"," + _ENCODER.encode(draft.rest)[1:] if draft.rest else b"}"
    fields = tuple(text(draft.rest, *path.split(".")) for path in resource.fields)
    return Entry(resource, meta.namespace, meta.name, meta.uid, version, meta.labels or {}, fields, tail)


def section(document: Mapping[str, object], *path: str) -> dict[str, object]:
    """Return the mapping at a path, empty where there is none."""
    found: object = document
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def text(document: Mapping[str, object], *path: str) -> str:
    """Return the string at a path, empty where there is none."""
    value = section(document, *path[:-1]).get(path[-1]) if len(path) > 1 else document.get(path[0])
    return value if isinstance(value, str) else ""
