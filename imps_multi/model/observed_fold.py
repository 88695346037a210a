"""The fold: one cluster's observed state, changed only by ``apply``.

One writer (the cluster actor), fed by the watches and by the answers to our own writes; ``plan`` reads it. Whatever
way the events are split, lost or doubled, the same last look gives the same state. An event that is older than what is
known of a key, or than the list it follows, is ignored, so that a slow watch never undoes the answer to a write.
A watch that tells metadata alone says that a Secret moved on; until it is read, or our own answer names that version,
what is known of it is out of date (``moved``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, assert_never

from msgspec import structs

from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    ObjectEvent,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
)
from imps_multi.model.pods_fold import Pods

Item = TypeVar("Item")


class Observed:
    """What is there. ``apply`` returns the namespaces whose plan may have changed."""

    def __init__(self) -> None:
        self.namespaces: dict[NamespaceName, NamespaceRecord] = {}
        self.namespaces_synced = False
        self.pods = Pods()
        """What is known of pods, where a policy asks; a fold of its own."""
        self._secrets: dict[SecretName, dict[NamespaceName, SeenSecret]] = {}
        self._graves: dict[tuple[SecretName, NamespaceName], int] = {}
        """Versions at which a key was seen to go, so that an older event does not bring it back."""
        self._namespace_graves: dict[NamespaceName, int] = {}
        self._moved: dict[tuple[SecretName, NamespaceName], SecretMoved] = {}
        """The newest word of what is at a version that nobody has read."""
        self._listed: dict[SecretName, int] = {}
        """The version of the last list of a name: a watch tells only of what came after it."""
        self._namespaces_listed = 0
        self._synced_names: set[SecretName] = set()

    def apply(self, event: ObjectEvent) -> Iterable[NamespaceName]:
        """Take one event in; return the namespaces that it touched."""
        match event:
            case NamespaceSeen(record=record):
                return self._see_namespace(record)
            case NamespaceGone(name=name, resource_version=version):
                return (name,) if self._lose_namespace(name, version) else ()
            case NamespacesReplaced():
                return self._replace_namespaces(event)
            case SecretsReplaced():
                return self._replace_secrets(event)
            case SecretSeen() | SecretMoved() | SecretGone():
                return (event.namespace,) if self._apply_secret(event) else ()
            case _:
                assert_never(event)

    def answer(self, name: SecretName, namespace: NamespaceName, secret: SeenSecret) -> bool:
        """Take in the answer to a write of ours; return False where that version, or a later one, has been seen.

        What was seen is what is there, also where the server changed what was sent; an answer is what was sent. So one
        whose labels a watch told otherwise has still to be read.
        """
        known = self.secret(name, namespace)
        if known is not None and known.resource_version >= secret.resource_version:
            return False
        told = self.moved(name, namespace)
        stands = self._see_secret(name, namespace, secret)
        if told is not None and told.resource_version == secret.resource_version and not _fits(told, secret):
            self._moved[name, namespace] = told
        return stands

    @property
    def anything_moved(self) -> bool:
        """Whether anything at all has to be read."""
        return bool(self._moved)

    def moved(self, name: SecretName, namespace: NamespaceName) -> SecretMoved | None:
        """Return what a watch told of a version that nobody has read; None where what is known is the newest."""
        return self._moved.get((name, namespace)) if self._moved else None

    def secret(self, name: SecretName, namespace: NamespaceName) -> SeenSecret | None:
        """Return what is there under a name, as far as it was seen."""
        held = self._secrets.get(name)
        return held.get(namespace) if held else None

    def secrets(self, name: SecretName) -> Mapping[NamespaceName, SeenSecret]:
        """Return every Secret of a name by namespace."""
        return self._secrets.get(name, {})

    def shows(self, event: SecretSeen) -> bool:
        """Say whether an event tells what is known already, down to the version."""
        known, seen = self.secret(event.name, event.namespace), event.secret
        if self.moved(event.name, event.namespace) is not None:
            return False
        return known is not None and known.resource_version == seen.resource_version and same_secret(known, seen)

    def everything(self) -> Iterator[tuple[SecretName, NamespaceName, SeenSecret]]:
        """Walk over every Secret that is known."""
        for name, held in self._secrets.items():
            for namespace, secret in held.items():
                yield name, namespace, secret

    def synced(self, name: SecretName) -> bool:
        """Say whether the namespaces and the Secrets of this name were listed whole."""
        return self.namespaces_synced and name in self._synced_names

    def forget(self, name: SecretName) -> None:
        """Drop a name that is no longer watched."""
        self._secrets.pop(name, None)
        self._listed.pop(name, None)
        self._synced_names.discard(name)
        self._graves = {key: version for key, version in self._graves.items() if key[0] != name}
        self._moved = {key: told for key, told in self._moved.items() if key[0] != name}

    def unsync(self) -> None:
        """Contact was lost: what is known stays as the last known, and is not the whole picture any more."""
        self.namespaces_synced = False
        self._synced_names.clear()
        self.pods.unsync()

    def unsync_name(self, name: SecretName) -> None:
        """The watch of one name broke: what is known of it is not the whole picture any more."""
        self._synced_names.discard(name)

    def _apply_secret(self, event: SecretSeen | SecretMoved | SecretGone) -> bool:
        match event:
            case SecretSeen(namespace=namespace, name=name, secret=secret):
                return self._see_secret(name, namespace, secret)
            case SecretMoved():
                return self._move_secret(event)
            case SecretGone(namespace=namespace, name=name, resource_version=version):
                return self._lose_secret(name, namespace, version)

    def _see_namespace(self, record: NamespaceRecord) -> Iterable[NamespaceName]:
        known = self.namespaces.get(record.name)
        oldest = max(self._namespaces_listed, self._namespace_graves.get(record.name, 0))
        if record.resource_version <= (known.resource_version if known is not None else oldest):
            return ()
        self._namespace_graves.pop(record.name, None)
        self.namespaces[record.name] = record if known is None else _first_seen(known, record)
        return () if known is not None and _same_namespace(known, record) else (record.name,)

    def _lose_namespace(self, name: NamespaceName, version: int) -> bool:
        known = self.namespaces.get(name)
        if known is not None and version < known.resource_version:
            return False
        self._namespace_graves[name] = max(version, self._namespace_graves.get(name, 0))
        return self.namespaces.pop(name, None) is not None

    def _replace_namespaces(self, event: NamespacesReplaced) -> Iterable[NamespaceName]:
        before = self.namespaces
        self.namespaces = {
            record.name: _first_seen(known, record) if (known := before.get(record.name)) is not None else record
            for record in event.records
        }
        self._namespace_graves.clear()
        self._namespaces_listed = event.resource_version
        first, self.namespaces_synced = not self.namespaces_synced, True
        if first:
            return before.keys() | self.namespaces.keys()
        return _changed(before, self.namespaces, _same_namespace)

    def _see_secret(self, name: SecretName, namespace: NamespaceName, secret: SeenSecret) -> bool:
        held = self._secrets.get(name)
        if held is None:
            held = self._secrets[name] = {}
        known = held.get(namespace)
        if known is None:
            oldest = max(self._listed.get(name, 0), self._graves.get((name, namespace), 0))
            if secret.resource_version <= oldest:
                return False
        elif secret.resource_version < known.resource_version:
            return False
        if self._graves:
            self._graves.pop((name, namespace), None)
        awaited = self._settle(name, namespace, secret.resource_version)
        held[namespace] = secret
        return awaited or known is None or not same_secret(known, secret)

    def _move_secret(self, told: SecretMoved) -> bool:
        key, version = (told.name, told.namespace), told.resource_version
        known, before = self.secret(*key), self._moved.get(key)
        if before is not None and version <= before.resource_version:
            return False
        if known is None:
            if version <= max(self._listed.get(told.name, 0), self._graves.get(key, 0)):
                return False
        elif version < known.resource_version or (version == known.resource_version and _fits(told, known)):
            return False
        self._moved[key] = told
        return True

    def _settle(self, name: SecretName, namespace: NamespaceName, version: int) -> bool:
        """Take in that a version was read, or that it went; say whether that was awaited."""
        told = self.moved(name, namespace)
        if told is None or told.resource_version > version:
            return False
        del self._moved[name, namespace]
        return True

    def _lose_secret(self, name: SecretName, namespace: NamespaceName, version: int) -> bool:
        known = self._secrets.get(name, {}).get(namespace)
        if known is not None and version < known.resource_version:
            return False
        self._graves[name, namespace] = max(version, self._graves.get((name, namespace), 0))
        awaited = self._settle(name, namespace, version)
        if known is None:
            return awaited
        del self._secrets[name][namespace]
        return True

    def _replace_secrets(self, event: SecretsReplaced) -> Iterable[NamespaceName]:
        before = self._secrets.get(event.name, {})
        after = dict(event.secrets)
        if not event.reset:
            for namespace, known in before.items():
                listed = after.get(namespace)
                answered_later = known.resource_version > event.resource_version
                if answered_later and (listed is None or listed.resource_version < known.resource_version):
                    after[namespace] = known
            for namespace in [space for space in after if self._dug(event, space, after[space])]:
                del after[namespace]
        self._graves = {
            key: version
            for key, version in self._graves.items()
            if key[0] != event.name or (version > event.resource_version and not event.reset)
        }
        awaited = {
            key[1]
            for key, told in self._moved.items()
            if key[0] == event.name and (told.resource_version <= event.resource_version or event.reset)
        }
        for namespace in awaited:
            del self._moved[event.name, namespace]
        self._secrets[event.name] = after
        self._listed[event.name] = event.resource_version
        first = event.name not in self._synced_names
        self._synced_names.add(event.name)
        if first:
            return before.keys() | after.keys() | self.namespaces.keys()
        return awaited | _changed(before, after, same_secret)

    def _dug(self, event: SecretsReplaced, namespace: NamespaceName, secret: SeenSecret) -> bool:
        return self._graves.get((event.name, namespace), 0) > max(event.resource_version, secret.resource_version)


def _first_seen(known: NamespaceRecord, record: NamespaceRecord) -> NamespaceRecord:
    """Keep when it was first seen: 0.0 where a list had it."""
    return record if known.seen_at == record.seen_at else structs.replace(record, seen_at=known.seen_at)


def _same_namespace(known: NamespaceRecord, seen: NamespaceRecord) -> bool:
    return (known.labels, known.annotations, known.terminating) == (seen.labels, seen.annotations, seen.terminating)


def same_secret(known: SeenSecret, seen: SeenSecret) -> bool:
    """Say whether two looks at a Secret give the same plan, versions aside."""
    return known.uid == seen.uid and known.marks == seen.marks and same_data(known, seen)


def same_data(known: SeenSecret, seen: SeenSecret) -> bool:
    """Say whether two looks at a Secret show the same data: all of it but its metadata."""
    return (
        known.content == seen.content
        and known.type == seen.type
        and known.foreign_keys == seen.foreign_keys
        and known.immutable == seen.immutable
    )


def _fits(told: SecretMoved, secret: SeenSecret) -> bool:
    """Say whether metadata may be that of a Secret as it is known, versions aside."""
    return told.uid == secret.uid and told.marks == secret.marks


def _changed(
    before: Mapping[NamespaceName, Item], after: Mapping[NamespaceName, Item], same: Callable[[Item, Item], bool]
) -> set[NamespaceName]:
    gone = before.keys() - after.keys()
    differing = (name for name, item in after.items() if (known := before.get(name)) is None or not same(known, item))
    return gone | set(differing)
