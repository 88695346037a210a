"""Items of the state store as Secrets: their names, their manifests, and what is read back.

Pure. An item that is too large for one Secret lies in several: the head names the digest of the whole, and the further
parts carry that digest in their names, so that a head never points to parts of another writing. Feeds
``state_secrets``.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from imps_multi.kube.wire import ListMeta, Meta
from imps_multi.model.discreet import Discreet
from imps_multi.model.names import DOMAIN, HUB_LABEL, MANAGED_BY, MANAGED_BY_LABEL, HubId
from imps_multi.ports import Section

VERSION: Final = "1"
STATE_LABEL: Final = f"{DOMAIN}/state"
KEY_ANNOTATION: Final = f"{DOMAIN}/state-key"
VERSION_ANNOTATION: Final = f"{DOMAIN}/state-version"
SUM_ANNOTATION: Final = f"{DOMAIN}/state-sum"
PARTS_ANNOTATION: Final = f"{DOMAIN}/state-parts"
DATA_KEY: Final = "content"
PART_SIZE: Final = 768 << 10
"""Bytes in one Secret; an API server takes a megabyte, and etcd little more with all that is around it."""
MOST_PARTS: Final = 8


class Found(Struct):
    """A Secret of the store. ``data`` comes out of its base64."""

    metadata: Meta
    data: Mapping[str, bytes | None] | None = None

    def __repr__(self) -> str:
        """Name it, without its data."""
        return f"Found({self.metadata.namespace}/{self.metadata.name})"


class FoundPage(Struct):
    """One page of a list of them."""

    metadata: ListMeta
    items: list[Found] | None = None


FOUND: Final = msgspec.json.Decoder(Found, strict=False)
FOUND_PAGE: Final = msgspec.json.Decoder(FoundPage, strict=False)


class Part(Discreet, frozen=True):
    """One Secret to write."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    content: bytes

    def __repr__(self) -> str:
        """Name it, without its content."""
        return f"Part({self.name})"


class Item(Discreet, frozen=True):
    """An item as it was read. ``parts``: the names of the Secrets that it lies in, the head first."""

    key: str
    content: bytes
    parts: tuple[str, ...]

    def __repr__(self) -> str:
        """Name it, without its content."""
        return f"Item({self.key})"


class Unreadable(Struct, frozen=True):
    """A Secret that is no item that this program can read."""

    name: str
    why: str


class Contents(Struct):
    """What a section holds; ``stray`` are parts that no head points to."""

    items: list[Item] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


def head_name(hub: HubId, section: Section, key: str) -> str:
    """Return the name of an item's first Secret: always the same, and always valid."""
    digest = blake2b(f"{hub}\0{section.value}\0{key}".encode(), digest_size=16).hexdigest()
    return f"imps-multi-{section.value}-{digest}"


def selector(hub: HubId, section: Section) -> str:
    """Return the label selector of a section."""
    return ",".join(f"{key}={value}" for key, value in labels(hub, section).items())


def labels(hub: HubId, section: Section) -> dict[str, str]:
    """Return what every Secret of a section is labelled with."""
    return {MANAGED_BY_LABEL: MANAGED_BY, HUB_LABEL: hub, STATE_LABEL: section.value}


def parts_of(hub: HubId, section: Section, key: str, content: bytes) -> list[Part]:
    """Return the Secrets of an item, the head last, since it makes the others count.

    Raises:
        ValueError: it is too large.
    """
    chunks = [content[at : at + PART_SIZE] for at in range(0, len(content), PART_SIZE)] or [b""]
    if len(chunks) > MOST_PARTS:
        raise ValueError(f"{len(content)} bytes are more than the {MOST_PARTS * PART_SIZE} that the state store takes")
    head, digest = head_name(hub, section, key), checksum(key, content)
    marks = {VERSION_ANNOTATION: VERSION, KEY_ANNOTATION: key, SUM_ANNOTATION: digest}
    further = [
        Part(part_name(head, digest, number), labels(hub, section), marks, chunk)
        for number, chunk in enumerate(chunks[1:], 1)
    ]
    return [*further, Part(head, labels(hub, section), {**marks, PARTS_ANNOTATION: str(len(chunks))}, chunks[0])]


def part_name(head: str, digest: str, number: int) -> str:
    """Return the name of a further part."""
    return f"{head}-{digest[:12]}-{number}"


def manifest(part: Part, namespace: str, resource_version: int | None) -> bytes:
    """Return the Secret as JSON; with a resourceVersion it replaces exactly that one."""
    metadata: dict[str, Any] = {
        "name": part.name,
        "namespace": namespace,
        "labels": part.labels,
        "annotations": part.annotations,
    }
    if resource_version is not None:
        metadata["resourceVersion"] = str(resource_version)
    data = {DATA_KEY: b64encode(part.content).decode()}
    return msgspec.json.encode(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
    )


def contents(found: Iterable[Found]) -> Contents:
    """Put the items of a section together."""
    by_name = {one.metadata.name: one for one in found}
    read = Contents()
    used: set[str] = set()
    for one in by_name.values():
        if PARTS_ANNOTATION not in (one.metadata.annotations or {}):
            continue
        item = _item(one, by_name)
        if isinstance(item, Unreadable):
            read.unreadable.append(item)
        else:
            read.items.append(item)
            used.update(item.parts)
    damaged = tuple(one.name for one in read.unreadable)
    read.stray = [name for name in sorted(by_name.keys() - used) if not name.startswith(damaged)]
    return read


def _item(head: Found, by_name: Mapping[str, Found]) -> Item | Unreadable:
    name, marks = head.metadata.name, head.metadata.annotations or {}
    version, key, digest = (marks.get(one, "") for one in (VERSION_ANNOTATION, KEY_ANNOTATION, SUM_ANNOTATION))
    count = marks.get(PARTS_ANNOTATION, "")
    if version != VERSION:
        return Unreadable(name, f"it is of version {version or 'none'}; this program reads version {VERSION}")
    if not (count.isascii() and count.isdigit() and 1 <= int(count[:3]) <= MOST_PARTS):
        return Unreadable(name, "it does not say in how many parts it lies")
    names = (name, *(part_name(name, digest, number) for number in range(1, int(count))))
    content = b"".join(_content(by_name.get(one)) for one in names)
    if digest != checksum(key, content):
        return Unreadable(name, "its checksum is wrong, or a part of it is not there")
    return Item(key, content, names)


def _content(found: Found | None) -> bytes:
    return ((found.data or {}).get(DATA_KEY) or b"") if found is not None else b""


def checksum(key: str, content: bytes) -> str:
    """Return the digest of an item; it tells nothing of a content that cannot be guessed whole."""
    return blake2b(content, key=blake2b(key.encode(), digest_size=32).digest(), digest_size=16).hexdigest()
