"""What is known of a hub in a cluster: policies, named source Secrets, and how far each watched part can be trusted.

Synchronous, and without I/O: ``cluster_hub`` tells it every event and every failure, and asks it for readings. A policy
that vanished stays in the readings until somebody looked at the definition and says that the deletion is to be
believed; one that went with a definition of another UID is never believed to be deleted.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, structs

from imps_multi.kube.hub_definition import INSTALL, Definition
from imps_multi.kube.hub_objects import HubEvent, HubItem, ItemLost, ItemSeen, ItemsReplaced
from imps_multi.model.hub import HubObject, HubProblem, HubReading, Place
from imps_multi.model.names import NamespaceName, PolicyName
from imps_multi.model.policy import SourceRef
from imps_multi.model.wording import counted

SHOWN: Final = 5

Allowed = Callable[[SourceRef], bool]
"""Says whether a source may be named at all; what may not is not watched."""


class Part(Struct, frozen=True):
    """A watched part of the hub: the policies, or the Secrets of a namespace."""

    namespace: NamespaceName | None = None


POLICIES: Final = Part()


class Stand(enum.Enum):
    """How far a part can be trusted."""

    WAITING = "waiting"
    """Nothing is known of it yet, or a newly named Secret of it was not looked at."""
    SYNCED = "synced"
    BROKEN = "broken"


class News(enum.IntEnum):
    """What an event or a failure amounts to."""

    NONE = 0
    STATUS = 1
    """Only how policies stand, as it is written on them: there is no hurry."""
    CONTENT = 2


class Held(Struct, frozen=True):
    """A policy, and the UID of the definition that it was seen under."""

    item: HubItem
    definition: str


class HubCache:
    """One hub's memory. Methods that take something in say whether anybody should look again."""

    def __init__(self, place: str, allowed: Allowed) -> None:
        self.place = place
        self.definition: Definition | None = None
        self._allowed = allowed
        self._policies: dict[str, Held] = {}
        self._secrets: dict[NamespaceName, dict[str, HubItem]] = {}
        self._stands: dict[Part, Stand] = {POLICIES: Stand.WAITING}
        self._problems: dict[Part, str] = {}
        self._needed: frozenset[SourceRef] = frozenset()
        self._named: dict[NamespaceName, frozenset[str]] = {}
        self._rounds: Counter[NamespaceName] = Counter()
        self._vanished: set[str] = set()
        self._going = False
        self._suspicion = ""
        self._deleted: dict[str, HubObject] = {}

    # What is asked

    @property
    def named(self) -> Mapping[NamespaceName, frozenset[str]]:
        """The source Secrets that are named, by namespace."""
        return self._named

    @property
    def rounds(self) -> Mapping[NamespaceName, int]:
        """The namespaces with named Secrets; the number is another each time that one is to be listed from the start.

        What is not named is forgotten: a Secret that is named again is read again, however short the time between.
        """
        return {namespace: self._rounds[namespace] for namespace in self._named}

    @property
    def waiting(self) -> bool:
        """Whether some part was not looked at even once."""
        return Stand.WAITING in self._stands.values()

    @property
    def doubtful(self) -> frozenset[str]:
        """Policies that vanished, of which nobody knows yet whether they were deleted."""
        return frozenset(self._vanished - self._orphans())

    def policy(self, name: PolicyName) -> HubItem | None:
        """Return a policy as it was last seen."""
        held = self._policies.get(name)
        return None if held is None or name in self._vanished else held.item

    def names_wanted(self, namespace: NamespaceName) -> Callable[[str], bool]:
        """Return what says whether a Secret of a namespace is named, now or later."""
        return lambda name: name in self._named.get(namespace, ())

    def reading(self) -> HubReading:
        """Look at everything."""
        problems = tuple(HubProblem(Place(self.place), message) for message in self._told())
        whole = not problems and all(stand is Stand.SYNCED for stand in self._stands.values())
        objects = [held.item.object for held in self._policies.values()]
        objects += [item.object for secrets in self._secrets.values() for item in secrets.values()]
        deleted, self._deleted = tuple(self._deleted.values()), {} if whole else self._deleted
        return HubReading(tuple(objects), problems, whole=whole, deleted=deleted if whole else ())

    # What is told

    def need(self, sources: frozenset[SourceRef]) -> bool:
        """Take in what the policies in force name; say whether other Secrets are to be watched now."""
        self._needed = sources
        return self._renamed()

    def define(self, definition: Definition) -> bool:
        """Take in the definition as it stands."""
        before, self.definition = (self.definition, self._going), definition
        self._going = definition.terminating
        return before != (definition, definition.terminating)

    def see_policies(self, event: HubEvent) -> News:
        """Fold in an event about policies."""
        match event:
            case ItemSeen(item=item):
                return News.NONE if self._is_old(item) else self._see(item)
            case ItemLost(name=name):
                self._vanish([name])
                return News.NONE
            case ItemsReplaced(items=items):
                news = [self._see(item) for item in items]
                self._vanish(self._policies.keys() - {item.object.name for item in items})
                return max([News.CONTENT if self._mend(POLICIES) else News.NONE, *news])

    def see_secrets(self, namespace: NamespaceName, event: HubEvent) -> bool:
        """Fold in an event about a namespace's Secrets."""
        known = self._secrets.setdefault(namespace, {})
        match event:
            case ItemSeen(item=item):
                before = known.get(item.object.name)
                known[item.object.name] = item
                return before is None or before.object != item.object
            case ItemLost(name=name):
                return known.pop(name, None) is not None
            case ItemsReplaced(items=items):
                fresh = {item.object.name: item for item in items}
                changed = _objects(fresh) != _objects(known)
                self._secrets[namespace] = fresh
                return self._mend(Part(namespace)) or changed

    def believe(self, names: Iterable[str]) -> bool:
        """Take policies as deleted that vanished while the definition stood as it does."""
        gone = [name for name in names if name in self.doubtful]
        for name in gone:
            self._vanished.discard(name)
            self._deleted[name] = self._policies.pop(name).item.object
        return bool(gone) | self._renamed()

    def suspect(self, message: str) -> bool:
        """Note why nobody can say whether policies were deleted; empty when somebody can."""
        changed, self._suspicion = self._suspicion != message, message
        return changed

    def wait_for(self, namespace: NamespaceName) -> bool:
        """Note that a namespace is being looked at anew."""
        return self._stand(Part(namespace), Stand.WAITING)

    def leave(self, namespace: NamespaceName) -> bool:
        """Forget a namespace that nobody names any more."""
        self._secrets.pop(namespace, None)
        self._problems.pop(Part(namespace), None)
        return self._stands.pop(Part(namespace), None) is not None

    def break_off(self, part: Part, message: str) -> bool:
        """Note why a part cannot be followed for now; what is known of it stays."""
        changed = self._problems.get(part) != message
        self._problems[part] = message
        return self._stand(part, Stand.BROKEN) or changed

    def undefine(self, message: str) -> bool:
        """Note that there is no definition."""
        self._going = False
        return self.break_off(POLICIES, message)

    def note(self, name: PolicyName, version: int) -> None:
        """Take in the version that a write of ours gave a policy."""
        held = self._policies.get(name)
        if held is not None and held.item.version < version:
            self._policies[name] = structs.replace(held, item=structs.replace(held.item, version=version))

    def reconsider(self) -> bool:
        """Look anew at which sources may be named."""
        return self._renamed()

    # How

    def _see(self, item: HubItem) -> News:
        name, before = item.object.name, self._policies.get(item.object.name)
        again = name in self._vanished
        self._vanished.discard(name)
        self._policies[name] = Held(item, self.definition.uid if self.definition is not None else "")
        if before is not None and not again and _wanted(before.item.object) == _wanted(item.object):
            return News.STATUS if before.item.object != item.object else News.NONE
        self._renamed()
        return News.CONTENT

    def _is_old(self, item: HubItem) -> bool:
        """Say whether a write of ours was answered with a newer version than this."""
        before = self._policies.get(item.object.name)
        return before is not None and before.item.uid == item.uid and item.version < before.item.version

    def _vanish(self, names: Iterable[str]) -> None:
        self._vanished.update(name for name in names if name in self._policies)

    def _orphans(self) -> set[str]:
        """Return those that went with a definition that is gone itself."""
        uid = self.definition.uid if self.definition is not None else ""
        return {name for name in self._vanished if self._policies[name].definition != uid}

    def _mend(self, part: Part) -> bool:
        told = self._problems.pop(part, None) is not None
        return self._stand(part, Stand.SYNCED) or told

    def _stand(self, part: Part, stand: Stand) -> bool:
        before, self._stands[part] = self._stands.get(part), stand
        return before is not stand

    def _renamed(self) -> bool:
        refs = self._needed.union(*(_refs(held.item.object) for held in self._policies.values()))
        named: dict[NamespaceName, set[str]] = {}
        for ref in refs:
            if self._allowed(ref):
                named.setdefault(ref.namespace, set()).add(ref.name)
        before, self._named = self._named, {space: frozenset(names) for space, names in named.items()}
        for namespace, names in self._named.items():
            if names - before.get(namespace, frozenset()):
                self._rounds[namespace] += 1
                self.wait_for(namespace)
            kept = self._secrets.get(namespace, {})
            self._secrets[namespace] = {name: item for name, item in kept.items() if name in names}
        return before != self._named

    def _told(self) -> Iterable[str]:
        yield from dict.fromkeys(self._problems.values())
        for part, stand in self._stands.items():
            if stand is Stand.WAITING:
                what = "the policies" if part.namespace is None else f"the Secrets in namespace {part.namespace}"
                yield f"{what} could not be listed yet"
        if self._suspicion:
            yield f"policies vanished, and nobody can say whether they were deleted: {self._suspicion}"
        if self._going:
            yield (
                "the CustomResourceDefinition of ImagePullSecret is being deleted; nothing is taken away for it. "
                f"Install it again when it is gone ({INSTALL}), and apply the policies again"
            )
        elif orphans := sorted(self._orphans()):
            named = ", ".join(orphans[:SHOWN]) + (", …" if len(orphans) > SHOWN else "")
            missed = counted(len(orphans), "policy is", "policies are")
            yield (
                f"the CustomResourceDefinition was deleted and made anew, and {missed} not back "
                f"({named}); apply them again. They stay in force, and nothing is taken away, until then or a restart"
            )


def _objects(items: Mapping[str, HubItem]) -> dict[str, HubObject]:
    return {name: item.object for name, item in items.items()}


def _wanted(obj: HubObject) -> dict[str, Any]:
    """Return what a policy says; its status is what we say, and the version changes with either."""
    metadata = {key: value for key, value in _mapping(obj.content.get("metadata")).items() if key != "resourceVersion"}
    return {**{key: value for key, value in obj.content.items() if key != "status"}, "metadata": metadata}


def _refs(obj: HubObject) -> frozenset[SourceRef]:
    """Return the sources that a policy names, valid or not."""
    registry = _mapping(_mapping(obj.content.get("spec")).get("registry"))
    credentials = registry.get("credentials")
    given = [_mapping(one) for one in credentials] if isinstance(credentials, list) else []
    pairs = [(one.get("namespace"), one.get("name")) for one in given]
    return frozenset(
        SourceRef(NamespaceName(space), name)
        for space, name in pairs
        if isinstance(space, str) and isinstance(name, str)
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
