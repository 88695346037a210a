"""The hub as a fold of its readings: what is wanted, whatever way it was read.

Pure. The hub watcher folds each ``HubReading`` in and publishes ``snapshot(state)``. Nothing is taken away because it
could not be read: an object is gone only when two whole readings at least a second apart lack it, and a policy that is
invalid, or in a file that is broken, keeps its last valid spec in force.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from imps_multi.model.hub import (
    HubObject,
    HubProblem,
    HubReading,
    HubSnapshot,
    PolicyRecord,
    SourceSecret,
    UnusableSource,
)
from imps_multi.model.names import POLICY_KIND, NamespaceName, PolicyName, Uid
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef
from imps_multi.model.policy_parse import parse_policy
from imps_multi.model.source_parse import parse_source

SECOND_LOOK: Final = 1.0
"""Seconds between the two whole readings that make an object gone."""
SOURCE_KIND: Final = "Secret"
KINDS: Final = frozenset({POLICY_KIND, SOURCE_KIND})
"""The kinds that a hub is read for; objects of any other kind are left alone."""


class ObjectKey(Struct, frozen=True, order=True):
    """What makes an object the same one."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``Kind namespace/name``, without a namespace where there is none."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class HubState(Struct, frozen=True):
    """Everything that the fold must remember. ``missing``: since when whole readings lack an object."""

    objects: Mapping[ObjectKey, HubObject] = field(default_factory=dict)
    """What this process has read, each in its last good content."""
    policies: Mapping[PolicyName, PolicyRecord] = field(default_factory=dict)
    sources: Mapping[SourceRef, SourceSecret | UnusableSource] = field(default_factory=dict)
    former: Mapping[PolicyName, Policy] = field(default_factory=dict)
    seen_deleted: frozenset[PolicyName] = frozenset()
    missing: Mapping[ObjectKey, float] = field(default_factory=dict)
    problems: tuple[HubProblem, ...] = ()
    whole: bool = False
    synced: bool = False


def restore(
    policies: Mapping[PolicyName, Policy],
    former: Mapping[PolicyName, Policy],
    sources: Mapping[SourceRef, SourceSecret] | None = None,
) -> HubState:
    """Start from what was stored: it is in force until readings say otherwise. Not synced before the first reading."""
    return HubState(
        policies={name: PolicyRecord(current=policy, in_force=policy) for name, policy in policies.items()},
        former={name: policy for name, policy in former.items() if name not in policies},
        sources=dict(sources or {}),
    )


def fold(
    state: HubState, reading: HubReading, now: float, usable: Callable[[Policy], bool] = lambda _: True
) -> HubState:
    """Take in one reading, made at ``now`` (a monotonic clock's seconds).

    ``usable`` says whether a policy that is valid in itself can be used under the configuration.
    """
    doubles = duplicates(reading.objects)
    whole = reading.whole and not doubles
    read = {_key(obj): obj for obj in reading.objects if obj.kind in KINDS}
    doubled = _doubled(reading.objects)
    taken = {key: obj for key, obj in read.items() if key not in doubled}
    missing = _missing(state, frozenset(read), whole=whole, now=now)
    seen_going = {_key(obj): obj for obj in reading.deleted}
    gone = frozenset(
        key for key, since in missing.items() if whole and (now - since >= SECOND_LOOK or key in seen_going)
    )
    policies = _policies(state, _as_they_went(state, seen_going.keys() & gone, seen_going) | taken, usable)
    deleted = {
        name: policies.pop(name) for key in gone if (name := PolicyName(key.name)) in policies and _is_policy(key)
    }
    return HubState(
        objects={key: obj for key, obj in {**state.objects, **taken}.items() if key not in gone},
        policies=policies,
        sources=_sources(state, taken, gone),
        former=_former(state, policies, deleted),
        seen_deleted=frozenset(state.seen_deleted | _read_here(state, deleted)) - policies.keys(),
        missing={key: since for key, since in missing.items() if key not in gone},
        problems=tuple(sorted((*reading.problems, *doubles))),
        whole=whole,
        synced=True,
    )


def snapshot(state: HubState) -> HubSnapshot:
    """Return what everybody works from."""
    return HubSnapshot(
        synced=state.synced,
        whole=state.synced and state.whole,
        problems=state.problems,
        policies=state.policies,
        former=state.former,
        seen_deleted=state.seen_deleted,
        unsure=needs_second_look_at(state) is not None,
        doubtful=frozenset(_doubtful(state)) if state.whole else frozenset(),
        sources=state.sources,
        source_uids=frozenset(_uids(state)),
    )


def _uids(state: HubState) -> Iterator[Uid]:
    for key, obj in state.objects.items():
        metadata = obj.content.get("metadata") if key.kind == SOURCE_KIND else None
        uid = metadata.get("uid") if isinstance(metadata, Mapping) else None
        if isinstance(uid, str) and uid:
            yield Uid(uid)


def _doubtful(state: HubState) -> Iterator[PolicyName | SourceRef]:
    for key in state.missing.keys() - state.objects.keys():
        yield PolicyName(key.name) if _is_policy(key) else _ref(key)


def needs_second_look_at(state: HubState) -> float | None:
    """Say when to read again, on the clock that ``fold`` was given, to be sure of what was missing; None: no need."""
    return min(state.missing.values()) + SECOND_LOOK if state.whole and state.missing else None


def forget(state: HubState, names: Iterable[PolicyName]) -> HubState:
    """Drop former policies that no target carries any more."""
    dropped = frozenset(names)
    return replace(state, former={name: policy for name, policy in state.former.items() if name not in dropped})


def duplicates(objects: Iterable[HubObject]) -> tuple[HubProblem, ...]:
    """Find objects that stand in the hub more than once; each further place is a problem that names the first."""
    first: dict[ObjectKey, HubObject] = {}
    problems = []
    for obj in sorted(objects, key=lambda each: each.place):
        earlier = first.setdefault(_key(obj), obj)
        if earlier is not obj:
            message = f"{_key(obj)} stands at {earlier.place} already; take one of the two away"
            problems.append(HubProblem(obj.place, message))
    return tuple(problems)


def _doubled(objects: Iterable[HubObject]) -> frozenset[ObjectKey]:
    once: set[ObjectKey] = set()
    twice: set[ObjectKey] = set()
    for obj in objects:
        (twice if _key(obj) in once else once).add(_key(obj))
    return frozenset(twice)


def _key(obj: HubObject) -> ObjectKey:
    return ObjectKey(obj.kind, "" if obj.kind == POLICY_KIND else obj.namespace, obj.name)


def _is_policy(key: ObjectKey) -> bool:
    return key.kind == POLICY_KIND


def _as_they_went(
    state: HubState, gone: Iterable[ObjectKey], seen: Mapping[ObjectKey, HubObject]
) -> dict[ObjectKey, HubObject]:
    """Return the last content of policies that go now: an edit and the deletion after it may come in one reading."""
    return {key: seen[key] for key in gone if _is_policy(key) and key.name in state.policies}


def _missing(state: HubState, read: frozenset[ObjectKey], *, whole: bool, now: float) -> Mapping[ObjectKey, float]:
    """Keep count of what is lacking; only a whole reading starts the count, and any reading that has it ends it."""
    before = {key: since for key, since in state.missing.items() if key not in read}
    if not whole:
        return before
    return {key: before.get(key, now) for key in _present(state) - read}


def _present(state: HubState) -> set[ObjectKey]:
    """Everything that is in force, whether read or restored."""
    policies = {ObjectKey(POLICY_KIND, "", name) for name in state.policies}
    sources = {ObjectKey(SOURCE_KIND, ref.namespace, ref.name) for ref in state.sources}
    return policies | sources


def _policies(
    state: HubState, taken: Mapping[ObjectKey, HubObject], usable: Callable[[Policy], bool]
) -> dict[PolicyName, PolicyRecord]:
    read = {PolicyName(key.name): _record(state, key, obj, usable) for key, obj in taken.items() if _is_policy(key)}
    return dict(sorted({**state.policies, **read}.items()))


def _record(state: HubState, key: ObjectKey, obj: HubObject, usable: Callable[[Policy], bool]) -> PolicyRecord:
    """Read a policy, or keep the record where nothing changed."""
    name = PolicyName(key.name)
    before = state.policies.get(name)
    if before is not None and state.objects.get(key) == obj:
        return before
    current = parse_policy(obj.content, generation=obj.generation)
    last = before.in_force if before is not None else state.former.get(name)
    if isinstance(current, InvalidPolicy):
        return PolicyRecord(current=replace(current, name=name), in_force=last, place=obj.place)
    in_force = current if last is None or usable(current) else last
    return PolicyRecord(current=current, in_force=in_force, place=obj.place)


def _sources(
    state: HubState, taken: Mapping[ObjectKey, HubObject], gone: frozenset[ObjectKey]
) -> dict[SourceRef, SourceSecret | UnusableSource]:
    sources = dict(state.sources)
    for key, obj in taken.items():
        if key.kind == SOURCE_KIND and (_ref(key) not in sources or state.objects.get(key) != obj):
            sources[_ref(key)] = parse_source(obj)
    for key in gone:
        if key.kind == SOURCE_KIND:
            sources.pop(_ref(key), None)
    return dict(sorted(sources.items()))


def _ref(key: ObjectKey) -> SourceRef:
    return SourceRef(NamespaceName(key.namespace), key.name)


def _former(
    state: HubState, policies: Mapping[PolicyName, PolicyRecord], deleted: Mapping[PolicyName, PolicyRecord]
) -> dict[PolicyName, Policy]:
    """Deleted policies with a valid spec join; one that is there again leaves."""
    left = {name: record.in_force for name, record in deleted.items() if record.in_force is not None}
    return {name: policy for name, policy in sorted({**state.former, **left}.items()) if name not in policies}


def _read_here(state: HubState, deleted: Mapping[PolicyName, PolicyRecord]) -> frozenset[PolicyName]:
    """Of the deleted, those that this process had read itself; a restored one may be gone for long."""
    return frozenset(name for name in deleted if ObjectKey(POLICY_KIND, "", name) in state.objects)
