"""The hub as values: what one reading of it held, and the snapshot that everybody works from.

Adapters make a ``HubReading``; ``hub_fold`` folds readings into a ``HubSnapshot``; nobody else builds one.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from imps_multi.model.discreet import Discreet
from imps_multi.model.ecr_fields import ECR_TYPE
from imps_multi.model.names import PolicyName, Uid
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef


class Place(Struct, frozen=True, order=True):
    """Where something stands. Line and column start at 1; 0 where unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN``, without the parts that are unknown."""
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])


class HubProblem(Struct, frozen=True, order=True):
    """Why the hub is not whole, or a warning about it. ``message`` says what to do."""

    place: Place
    message: str
    fatal: bool = True
    """False for a warning that leaves the hub whole (an object of a kind that is ignored)."""


class HubObject(Discreet, frozen=True):
    """One manifest as read. ``content`` may hold secrets, so it is never shown."""

    kind: str
    namespace: str
    name: str
    place: Place
    content: Mapping[str, Any] = field(default_factory=dict)
    generation: int | None = None
    """As an API server counts it; None where nobody does, and what a manifest says of it means nothing."""

    def __repr__(self) -> str:
        """Name the object without its content."""
        return f"HubObject({self.kind} {self.namespace}/{self.name} at {self.place})"


class HubReading(Struct, frozen=True):
    """One look at the hub. ``whole`` is False as soon as anything of it could not be read."""

    objects: tuple[HubObject, ...]
    problems: tuple[HubProblem, ...] = ()
    whole: bool = True
    deleted: tuple[HubObject, ...] = ()
    """What was seen being deleted since the last reading, as it was then: gone without a second look."""


class SourceSecret(Discreet, frozen=True, weakref=True):
    """A source Secret's content, decoded. ``data`` is never shown."""

    ref: SourceRef
    type: str
    data: Mapping[str, bytes]
    annotations: Mapping[str, str] = field(default_factory=dict)
    place: Place | None = None

    def __repr__(self) -> str:
        """Name the Secret and its keys, never a value."""
        return f"SourceSecret({self.ref}, type={self.type!r}, keys={sorted(self.data)})"


def inline_secret(ref: SourceRef) -> SourceSecret:
    """Return the Secret that says the same as an inline source."""
    return SourceSecret(ref, ECR_TYPE, {key: value.encode() for key, value in ref.inline})


class UnusableSource(Struct, frozen=True):
    """A source Secret whose manifest cannot be decoded (base64, types). ``message`` never holds a value."""

    ref: SourceRef
    message: str
    place: Place | None = None


class PolicyRecord(Struct, frozen=True):
    """A policy in the hub: as it stands now, and the last valid spec (the same where the current one is valid)."""

    current: Policy | InvalidPolicy
    in_force: Policy | None
    place: Place | None = None


class HubSnapshot(Struct, frozen=True):
    """What is wanted. ``former`` holds the last valid spec of deleted policies while targets may carry them."""

    synced: bool = False
    whole: bool = False
    problems: tuple[HubProblem, ...] = ()
    policies: Mapping[PolicyName, PolicyRecord] = field(default_factory=dict)
    former: Mapping[PolicyName, Policy] = field(default_factory=dict)
    seen_deleted: frozenset[PolicyName] = frozenset()
    """Policies that this process saw being deleted."""
    unsure: bool = False
    """Something that is in force was missing when last looked; a second look will tell whether it is gone."""
    doubtful: frozenset[PolicyName | SourceRef] = frozenset()
    """What of it is known from the state store only: nothing new is made of it until that look."""
    source_uids: frozenset[Uid] = frozenset()
    """What the hub calls its source Secrets: a Secret with one of these is no copy, wherever it is met."""
    sources: Mapping[SourceRef, SourceSecret | UnusableSource] = field(default_factory=dict)
    """The Secrets; what stands in a policy itself is in its own reference."""

    def source(self, ref: SourceRef) -> SourceSecret | UnusableSource | None:
        """Return what a source holds, None where its Secret is not there."""
        return inline_secret(ref) if ref.inline else self.sources.get(ref)
