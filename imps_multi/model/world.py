"""What is wanted, resolved: every policy with its sources' states, as one frozen snapshot for the whole fleet.

Made by the composer from the hub and the tokens; read by each cluster's planner. Contents of credentials are reachable
from here (the payloads are built from them), so nothing of it is ever shown.
"""

import enum
from collections.abc import Mapping

from msgspec import Struct, field

from imps_multi.model.credential import Entry, SourceState
from imps_multi.model.names import PolicyName, RegistryKey, SecretName, Uid
from imps_multi.model.policy import Policy, SourceRef, SpecProblem


class Standing(enum.Enum):
    """How a policy stands in the hub."""

    VALID = "valid"
    INVALID = "invalid"
    """What is there now cannot be used; ``Resolved.policy`` is the last valid spec."""
    DELETED = "deleted"


class Retained(Struct, frozen=True):
    """An entry that a policy had before: kept fresh where its removal was not let go."""

    entry: Entry
    expires_at: float | None = None
    renewable: bool = True
    """Whether its source is still there; else it stays as it was delivered last, until it expires."""
    issued_at: float | None = None


class Resolved(Struct, frozen=True):
    """A policy in force, with the states of its sources in merge order."""

    policy: Policy
    standing: Standing
    sources: tuple[SourceState, ...]
    retained: Mapping[RegistryKey, Retained] = field(default_factory=dict)
    waiting: bool = False
    """A source is being asked for the first time: nothing is created until it has answered, for a moment."""
    history_known: bool = True
    """What it wrote before is known: a registry in a target that is neither wanted nor retained is not from us."""
    past_labels: frozenset[str] = frozenset()
    past_annotations: frozenset[str] = frozenset()
    handled_sync: str = ""
    """The value of the sync annotation that was acted on last."""
    revision: int = 0
    """Changes whenever anything above does; what was built for it stays good while it stands."""


class InvalidView(Struct, frozen=True):
    """A policy that is invalid as it stands: what to show of it."""

    name: PolicyName
    generation: int
    secret_name: str
    problems: tuple[SpecProblem, ...]


class World(Struct, frozen=True):
    """Everything that is wanted. ``version`` grows with every change."""

    version: int = 0
    synced: bool = False
    whole: bool = False
    policies: Mapping[PolicyName, Resolved] = field(default_factory=dict)
    invalid: Mapping[PolicyName, InvalidView] = field(default_factory=dict)
    sources: Mapping[SourceRef, SourceState] = field(default_factory=dict)
    seen_deleted: frozenset[PolicyName] = frozenset()
    hub_empty: bool = False
    """The hub holds no policy at all."""
    source_uids: frozenset[Uid] = frozenset()
    """What the hub calls its source Secrets."""
    names: frozenset[SecretName] = frozenset()
    """Every Secret name that anything of ours may have, now or from before."""
