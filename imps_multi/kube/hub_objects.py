"""What a hub's API server sends, read into hub objects: policies, and the Secrets of one namespace that are named.

A Secret that no policy names is never kept, and its content never decoded. What means nothing here (managedFields, the
copy that kubectl keeps) is left out. Feeds ``reflector``, whose events ``hub_cache`` folds.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from imps_multi.kube.answers import Status, StatusDetails
from imps_multi.kube.decode import INITIAL_EVENTS_END, LAST_APPLIED
from imps_multi.kube.frames import Bookmark, Fault, Frame, Lost, Page, Seen
from imps_multi.kube.wire import ListMeta
from imps_multi.model.discreet import Discreet
from imps_multi.model.hub import HubObject, Place
from imps_multi.model.names import POLICY_API_VERSION, POLICY_KIND, NamespaceName

POLICIES: Final = f"/apis/{POLICY_API_VERSION}/imagepullsecrets"
JSON: Final = "application/json"
SECRET_META: Final = ("name", "namespace", "uid", "creationTimestamp", "annotations")
"""Of a source Secret's metadata only this is looked at."""


class HubItem(Discreet, frozen=True):
    """An object of the hub, and the version it was seen at."""

    object: HubObject
    uid: str
    version: int

    def __repr__(self) -> str:
        """Name the object without its content."""
        return f"HubItem({self.object!r} at {self.version})"


class ItemSeen(Struct, frozen=True):
    """An object is there."""

    item: HubItem


class ItemLost(Struct, frozen=True):
    """An object was deleted."""

    name: str
    version: int


class ItemsReplaced(Struct, frozen=True):
    """A whole list."""

    items: tuple[HubItem, ...]


HubEvent = ItemSeen | ItemLost | ItemsReplaced


class _Meta(Struct, rename="camel"):
    name: str = ""
    uid: str = ""
    resource_version: int = 0
    generation: int = 0
    annotations: dict[str, str] | None = None


class _Head(Struct):
    """What every object has, and the Status of an ERROR event."""

    metadata: _Meta = field(default_factory=_Meta)
    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


class _Line(Struct):
    type: str
    object: msgspec.Raw


class _List(Struct):
    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


_HEAD: Final = msgspec.json.Decoder(_Head, strict=False)
_LINE: Final = msgspec.json.Decoder(_Line, strict=False)
_LIST: Final = msgspec.json.Decoder(_List, strict=False)
_WHOLE: Final = msgspec.json.Decoder(dict[str, Any])


class ObjectReader:
    """One kind of the hub; a ``frames.Reader``. ``wanted`` says which names are kept."""

    query = ""
    initial_accept = JSON
    watch_accept = JSON
    list_accept = JSON

    def __init__(
        self,
        *,
        words: str,
        path: str,
        read: Callable[[_Head, dict[str, Any]], HubObject],
        wanted: Callable[[str], bool],
    ) -> None:
        self.words = words
        self.path = path
        self._read = read
        self._wanted = wanted

    def forget(self) -> None:
        """Nothing is kept."""

    def frame(self, line: bytes, *, live: bool) -> Frame[HubEvent]:  # noqa: ARG002  # nothing is dated here
        """Read a line; an object that is not wanted only moves the version on."""
        frame = _LINE.decode(line)
        head = _HEAD.decode(frame.object)
        meta = head.metadata
        match frame.type:
            case "ADDED" | "MODIFIED":
                return self._seen(head, frame.object) or Bookmark(meta.resource_version)
            case "DELETED" if self._wanted(meta.name):
                return Lost(meta.name, meta.resource_version, ItemLost(meta.name, meta.resource_version))
            case "ERROR":
                return Fault(Status(head.code, head.reason, head.message, head.details))
            case _:
                ends = (meta.annotations or {}).get(INITIAL_EVENTS_END) == "true"
                return Bookmark(meta.resource_version, ends_list=frame.type == "BOOKMARK" and ends)

    def page(self, body: bytes) -> Page[HubEvent]:
        """Read a page."""
        page = _LIST.decode(body)
        items = (self._seen(_HEAD.decode(item), item) for item in page.items or ())
        return Page(items, page.metadata.resource_version, page.metadata.continue_)

    def replaced(self, seen: Iterable[HubEvent], version: int, *, reset: bool) -> HubEvent:  # noqa: ARG002  # a list is whole either way
        """Return the list as one event."""
        return ItemsReplaced(tuple(event.item for event in seen if isinstance(event, ItemSeen)))

    def _seen(self, head: _Head, raw: msgspec.Raw) -> Seen[HubEvent] | None:
        meta = head.metadata
        if not self._wanted(meta.name):
            return None
        item = HubItem(self._read(head, _WHOLE.decode(raw)), meta.uid, meta.resource_version)
        return Seen(meta.name, meta.resource_version, ItemSeen(item))


def policy_reader(place: str) -> ObjectReader:
    """Return the reader of all policies."""

    def read(head: _Head, content: dict[str, Any]) -> HubObject:
        name = head.metadata.name
        given = {**content, "apiVersion": POLICY_API_VERSION, "kind": POLICY_KIND, "metadata": _plain(content)}
        where = Place(f"{place}: {POLICY_KIND} {name}")
        return HubObject(POLICY_KIND, "", name, where, given, generation=head.metadata.generation or None)

    return ObjectReader(words="ImagePullSecrets", path=POLICIES, read=read, wanted=lambda _: True)


def secret_reader(place: str, namespace: NamespaceName, wanted: Callable[[str], bool]) -> ObjectReader:
    """Return the reader of a namespace's Secrets of these names."""

    def read(head: _Head, content: dict[str, Any]) -> HubObject:
        name = head.metadata.name
        meta = {key: value for key, value in _plain(content).items() if key in SECRET_META}
        kept: dict[str, Any] = {key: content[key] for key in ("type", "data") if key in content}
        where = Place(f"{place}: Secret {namespace}/{name}")
        return HubObject(
            "Secret", namespace, name, where, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, **kept}
        )

    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets"
    return ObjectReader(words=f"Secrets in namespace {namespace}", path=path, read=read, wanted=wanted)


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without managedFields, and without the copy of everything that kubectl keeps."""
    metadata = {key: value for key, value in content["metadata"].items() if key != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    return metadata
