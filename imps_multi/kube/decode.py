"""What a watch or a list sends, read into the events that the cluster actor folds.

A ``Reader`` per watched kind: where to ask, and how to read a line or a page. A Secret is digested here and forgotten;
nothing that leaves this file holds a value of its data. Pure but for the clock that dates first sightings. Feeds
``reflector``.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from imps_multi.kube.answers import Status
from imps_multi.kube.frames import Bookmark, Fault, Frame, Lost, Page, Seen
from imps_multi.kube.interner import Interner
from imps_multi.kube.wire import (
    NAMESPACE_FRAME,
    NAMESPACE_PAGE,
    SECRET,
    SECRET_FRAME,
    SECRET_PAGE,
    ListMeta,
    Meta,
    NamespaceObject,
    OwnerReference,
    SecretObject,
)
from imps_multi.model.digest import content_digest, text_digest
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.matching import NAME_LABEL
from imps_multi.model.names import (
    DOCKERCONFIGJSON_KEY,
    OUR_ANNOTATIONS,
    OUR_LABELS,
    POLICY_API_VERSION,
    POLICY_KIND,
    NamespaceName,
    SecretName,
    Uid,
)
from imps_multi.model.observed import (
    NO_OWNERS,
    Marks,
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    Owners,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.ports import Clock

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
PARTIAL_KIND: Final = "PartialObjectMetadata"
PARTIAL: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
PARTIAL_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
WHOLE: Final = "application/json"
POLICY_GROUP: Final = POLICY_API_VERSION.partition("/")[0] + "/"


class NamespaceReader:
    """Namespaces, metadata only."""

    words = "namespaces"
    path = "/api/v1/namespaces"
    query = ""
    initial_accept = PARTIAL
    watch_accept = PARTIAL
    list_accept = PARTIAL_LIST

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._interner = Interner()

    def forget(self) -> None:
        """Empty the interner."""
        self._interner.clear()

    def frame(self, line: bytes, *, live: bool) -> Frame[WatchEvent]:
        """Read a line; a namespace that is ADDED to a complete list is dated."""
        frame = NAMESPACE_FRAME.decode(line)
        found = frame.object
        match frame.type:
            case "ADDED" | "MODIFIED":
                return self._seen(found.metadata, self._clock() if live and frame.type == "ADDED" else 0.0)
            case "DELETED":
                name = namespace_name(found.metadata.name)
                version = found.metadata.resource_version
                return Lost(name, version, NamespaceGone(name, version))
            case _:
                return aside(frame.type, found)

    def page(self, body: bytes) -> Page[WatchEvent]:
        """Read a page."""
        page = NAMESPACE_PAGE.decode(body)
        return page_of(page.metadata, (self._seen(item.metadata, 0.0) for item in page.items or ()))

    def replaced(self, seen: Iterable[WatchEvent], version: int, *, reset: bool) -> WatchEvent:
        """Return the list as one event."""
        records = tuple(event.record for event in seen if isinstance(event, NamespaceSeen))
        return NamespacesReplaced(records, version, reset=reset)

    def _seen(self, meta: Meta, seen_at: float) -> Seen[WatchEvent]:
        record = NamespaceRecord(
            name=namespace_name(meta.name),
            resource_version=meta.resource_version,
            labels=self._interner.pairs(meta.labels, without=(NAME_LABEL,)),
            annotations=self._interner.pairs(meta.annotations, without=(LAST_APPLIED,)),
            terminating=meta.deletion_timestamp is not None,
            seen_at=seen_at,
        )
        return Seen(record.name, record.resource_version, NamespaceSeen(record))


class SecretReader:
    """The Secrets of one name in every namespace: listed whole, so that their content can be digested.

    What changes after that is told as metadata alone. In a fan-out nearly all of it is our own doing, and our answers
    have said what is there: an API server spends more on telling it whole than on a quarter of the write, and would
    send every credential back. What somebody else changed is read (``TargetClient.read_secret``).
    """

    path = "/api/v1/secrets"
    initial_accept = WHOLE
    watch_accept = PARTIAL
    list_accept = WHOLE

    def __init__(self, name: SecretName) -> None:
        self._name = name
        self._interner = Interner()
        self.words = f"Secrets named {name}"
        self.query = "fieldSelector=" + quote(f"metadata.name={name}", safe="")

    def forget(self) -> None:
        """Empty the interner."""
        self._interner.clear()

    def frame(self, line: bytes, *, live: bool) -> Frame[WatchEvent]:  # noqa: ARG002 - a Secret is not dated
        """Read a line; a Secret of another name, which a server must not send, only moves the version on."""
        frame = SECRET_FRAME.decode(line)
        found = frame.object
        if frame.type not in {"ADDED", "MODIFIED", "DELETED"}:
            return aside(frame.type, found)
        meta = found.metadata
        if meta.name != self._name:
            return Bookmark(meta.resource_version)
        if frame.type == "DELETED":
            namespace = namespace_name(meta.namespace)
            return Lost(namespace, meta.resource_version, SecretGone(namespace, self._name, meta.resource_version))
        return self._moved(meta) if found.kind == PARTIAL_KIND else self._seen(found)

    def page(self, body: bytes) -> Page[WatchEvent]:
        """Read a page."""
        page = SECRET_PAGE.decode(body)
        mine = (self._seen(item) if item.metadata.name == self._name else None for item in page.items or ())
        return page_of(page.metadata, mine)

    def replaced(self, seen: Iterable[WatchEvent], version: int, *, reset: bool) -> WatchEvent:
        """Return the list as one event."""
        secrets = tuple((event.namespace, event.secret) for event in seen if isinstance(event, SecretSeen))
        return SecretsReplaced(self._name, secrets, version, reset=reset)

    def _moved(self, meta: Meta) -> Seen[WatchEvent]:
        namespace, version = namespace_name(meta.namespace), meta.resource_version
        event = SecretMoved(namespace, self._name, Uid(meta.uid), version, marks(meta, self._interner))
        return Seen(namespace, version, event)

    def _seen(self, found: SecretObject) -> Seen[WatchEvent]:
        namespace = namespace_name(found.metadata.namespace)
        secret = seen_secret(found, self._interner)
        return Seen(namespace, secret.resource_version, SecretSeen(namespace, self._name, secret))


def digested(answer: bytes) -> SeenSecret:
    """Read a single Secret. Raises msgspec.DecodeError."""
    return seen_secret(SECRET.decode(answer), Interner())


def seen_secret(found: SecretObject, interner: Interner) -> SeenSecret:
    """Digest a Secret."""
    data = found.data or {}
    raw = data.get(DOCKERCONFIGJSON_KEY) or b""
    content, registries = interner.made(("content", content_digest(raw)), lambda: fingerprint(raw))
    return SeenSecret(
        uid=Uid(found.metadata.uid),
        resource_version=found.metadata.resource_version,
        type=interner.one(found.type),
        content=interner.one(content),
        marks=marks(found.metadata, interner),
        registries=interner.one(registries),
        foreign_keys=interner.one(frozenset(data.keys() - {DOCKERCONFIGJSON_KEY})),
        immutable=bool(found.immutable),
    )


def marks(meta: Meta, interner: Interner) -> Marks:
    """Return what is written on a Secret; values that are not ours as digests."""
    labels, annotations = meta.labels or {}, meta.annotations or {}
    plain = not (meta.finalizers or meta.owner_references)
    if plain and labels.keys() <= OUR_LABELS and annotations.keys() <= OUR_ANNOTATIONS:  # then no value is a secret
        key = ("marks", tuple(labels.items()), tuple(annotations.items()))
        return interner.made(key, lambda: _marks(meta, interner))
    return interner.one(_marks(meta, interner))


def _marks(meta: Meta, interner: Interner) -> Marks:
    return Marks(
        labels=interner.pairs(veiled(meta.labels, OUR_LABELS)),
        annotations=interner.pairs(veiled(meta.annotations, OUR_ANNOTATIONS)),
        finalizers=bool(meta.finalizers),
        owners=interner.one(_owners(meta.owner_references)) if meta.owner_references else NO_OWNERS,
    )


def _owners(references: Sequence[OwnerReference]) -> Owners:
    others = [one for one in references if not _is_policy(one)]
    imps = len(others) < len(references)
    return Owners(
        there=True,
        controller=next((one.kind for one in others if one.controller), ""),
        imps=imps,
        others=msgspec.json.encode(others).decode() if imps else "",
    )


def _is_policy(owner: OwnerReference) -> bool:
    return owner.kind == POLICY_KIND and owner.api_version.startswith(POLICY_GROUP)


def veiled(values: dict[str, str] | None, clear: frozenset[str]) -> dict[str, str]:
    """Replace the values of all but our keys by their digests."""
    return {key: value if key in clear else text_digest(value) for key, value in (values or {}).items()}


def namespace_name(name: str) -> NamespaceName:
    """Return a namespace's name as the one object that all watches of all clusters share."""
    return NamespaceName(sys.intern(name))


def aside(kind: str, found: NamespaceObject | SecretObject) -> Frame[WatchEvent]:
    """Read an event that is about no object; one of an unknown type only moves the version on."""
    if kind == "ERROR":
        return Fault(Status(found.code, found.reason, found.message, found.details))
    ends = (found.metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
    return Bookmark(found.metadata.resource_version, ends_list=kind == "BOOKMARK" and ends)


def page_of(meta: ListMeta, items: Iterable[Seen[WatchEvent] | None]) -> Page[WatchEvent]:
    """Return a page as a list gives it."""
    return Page(items, meta.resource_version, meta.continue_)
