"""Where the objects live: one global resourceVersion, an index and a history per kind, snapshots for paged lists.

Every change goes through `write` or `remove`, which number it, keep it and tell the watches, in one step without an
await. It checks nothing: what may be written is decided by the request handlers, and tests that reach in through
`put` and `delete` may write anything. No HTTP here.
"""

import bisect
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from imps_multi.sandbox.history import Event, History
from imps_multi.sandbox.objects import Draft, Entry, decode, decode_document, key_of, render, text
from imps_multi.sandbox.resources import NAMESPACES, RESOURCES, Resource
from imps_multi.sandbox.status import not_found

__all__ = ["Store", "utc_now"]

_FIRST_VERSION = 1000  # above anything a client could call ancient: 1 is always too old
_SNAPSHOTS = 64
_BORN_WITH = ("default", "kube-system", "kube-public", "kube-node-lease")

Scope = tuple[int, Resource, str]


def utc_now() -> datetime:
    """Return the present; the clock a store has unless it is given another."""
    return datetime.now(UTC)


def _take_as_sent(_resource: Resource, _draft: Draft) -> None:
    """Change nothing."""


class Store:
    """The state of one cluster."""

    def __init__(self, *, now: Callable[[], datetime] = utc_now, history: int = 10_000) -> None:
        self.version = _FIRST_VERSION
        self.admission: Callable[[Resource, Draft], None] = _take_as_sent
        """What mutating admission does to whatever a request writes."""
        self._now = now
        self._entries: dict[Resource, dict[str, Entry]] = {each: {} for each in RESOURCES}
        self._order: dict[Resource, list[str]] = {each: [] for each in RESOURCES}
        self._histories = {each: History(length=history, version=_FIRST_VERSION) for each in RESOURCES}
        self._snapshots: OrderedDict[Scope, list[Entry]] = OrderedDict()
        for name in _BORN_WITH:
            self.add_namespace(name)

    # -- what the request handlers use -------------------------------------------------------------------------

    def timestamp(self) -> str:
        """Return now, as object metadata writes it."""
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def find(self, resource: Resource, namespace: str, name: str) -> Entry | None:
        """Return an object, or None."""
        return self._entries[resource].get(key_of(namespace, name))

    def fetch(self, resource: Resource, namespace: str, name: str) -> Entry:
        """Return an object.

        Raises:
            ApiError: 404.
        """
        entry = self.find(resource, namespace, name)
        if entry is None:
            raise not_found(resource, name)
        return entry

    def entries(self, resource: Resource, namespace: str = "") -> list[Entry]:
        """Return the objects of a kind, in one namespace or in all, in the order of their keys."""
        keys, found = self._order[resource], self._entries[resource]
        if namespace:
            # "0" is the character after "/": everything between is in that namespace
            start, end = bisect.bisect_left(keys, f"{namespace}/"), bisect.bisect_left(keys, f"{namespace}0")
            keys = keys[start:end]
        return [found[key] for key in keys]

    def history(self, resource: Resource) -> History:
        """Return the events of a kind."""
        return self._histories[resource]

    def write(self, resource: Resource, draft: Draft) -> Entry:
        """Keep a draft as the newest version of its object, new or not."""
        meta = draft.meta
        meta.uid = meta.uid or str(uuid.uuid4())
        meta.creation_timestamp = meta.creation_timestamp or self.timestamp()
        self.version += 1
        entry = render(resource, draft, self.version)
        key = entry.key
        previous = self._entries[resource].get(key)
        if previous is None:
            bisect.insort(self._order[resource], key)
        self._entries[resource][key] = entry
        self._histories[resource].append(Event(entry, previous))
        return entry

    def remove(self, entry: Entry) -> Entry:
        """Delete an object and return its last state, numbered as the deletion."""
        resource, key = entry.resource, entry.key
        previous = self._entries[resource].pop(key)
        order = self._order[resource]
        del order[bisect.bisect_left(order, key)]
        self.version += 1
        last = render(resource, entry.draft(), self.version)
        self._histories[resource].append(Event(last, previous, deleted=True))
        return last

    def remember(self, resource: Resource, namespace: str) -> int:
        """Keep today's list for a client that pages through it; returns its version."""
        scope = (self.version, resource, namespace)
        if scope not in self._snapshots:
            self._snapshots[scope] = self.entries(resource, namespace)
            while len(self._snapshots) > _SNAPSHOTS:
                self._snapshots.popitem(last=False)
        return self.version

    def recall(self, version: int, resource: Resource, namespace: str) -> list[Entry] | None:
        """Return the list as it was at a version, or None where that is forgotten."""
        if version == self.version:
            return self.entries(resource, namespace)
        return self._snapshots.get((version, resource, namespace))

    # -- what tests, demo and benchmarks use ---------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """The UID of kube-system: which cluster this is."""
        return self.fetch(NAMESPACES, "", "kube-system").uid

    def add_namespace(
        self, name: str, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
    ) -> Entry:
        """Create a namespace, or give an existing one these labels and annotations."""
        return self.put(
            {
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "labels": {**(labels or {}), "kubernetes.io/metadata.name": name},
                    "annotations": dict(annotations or {}),
                },
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
        )

    def put(self, document: dict[str, object]) -> Entry:
        """Write an object past every check, watches notwithstanding; its UID and age stay if it was there."""
        resource = _resource(text(document, "kind"), text(document, "apiVersion"))
        draft = decode(resource, document)
        if resource.namespaced != bool(draft.meta.namespace):
            raise ValueError(f"{resource.kind} {draft.meta.name}: metadata.namespace is missing or too much")
        current = self.find(resource, draft.meta.namespace, draft.meta.name)
        if current is not None:
            before = current.draft().meta
            draft.meta.uid = draft.meta.uid or before.uid
            draft.meta.creation_timestamp = draft.meta.creation_timestamp or before.creation_timestamp
        return self.write(resource, draft)

    def put_all(self, documents: Iterable[dict[str, object]]) -> None:
        """Write many objects."""
        for document in documents:
            self.put(document)

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, object] | None:
        """Return an object as a document, or None; `kind` as in `Secret`."""
        entry = self.find(_resource(kind), namespace, name)
        return None if entry is None else decode_document(entry.body)

    def all(self, kind: str, namespace: str = "") -> list[dict[str, object]]:
        """Return every object of a kind as documents."""
        return [decode_document(entry.body) for entry in self.entries(_resource(kind), namespace)]

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object past every finalizer; a namespace goes with all that is in it."""
        resource = _resource(kind)
        entry = self.fetch(resource, namespace, name)
        if resource is NAMESPACES:
            self.empty(name)
        self.remove(entry)

    def empty(self, namespace: str) -> None:
        """Delete everything in a namespace."""
        for resource in RESOURCES:
            if resource.namespaced:
                for entry in self.entries(resource, namespace):
                    self.remove(entry)

    def compact(self) -> None:
        """Forget all history: older versions are 410 from here on, and so are open continue tokens."""
        self._snapshots.clear()
        for history in self._histories.values():
            history.forget(self.version - 1)  # etcd keeps the revision at which it is compacted


def _resource(kind: str, api_version: str = "") -> Resource:
    for each in RESOURCES:
        if each.kind == kind and api_version in {"", each.api_version}:
            return each
    raise KeyError(f"no such kind here: {api_version} {kind}")
