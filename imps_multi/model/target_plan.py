"""What a plan says: the state of a target for each policy that has to do with it, and the one write that is due.

Values only. Made by ``plan``, carried out by the cluster's workers, counted by ``tally``.
"""

import enum

from msgspec import Struct

from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, RegistryKey, SecretName, Uid
from imps_multi.model.wanted import Wanted


class State(enum.StrEnum):
    """How a target stands."""

    IN_SYNC = "in_sync"
    PENDING = "pending"
    FAILED = "failed"
    CONFLICT = "conflict"
    LINGERING = "lingering"
    HELD = "held"


class Wish(Struct, frozen=True, order=True):
    """A removal that the brake counts: a whole target, or the registries that a target would lose."""

    policy: PolicyName
    cluster: ClusterName
    namespace: NamespaceName
    secret: SecretName
    loses: tuple[RegistryKey, ...] = ()


class Line(Struct, frozen=True, gc=False):
    """One policy's view of a target. ``desired`` is False for what lies there unwanted."""

    policy: PolicyName
    state: State
    desired: bool = True
    reason: str = ""
    message: str = ""
    expires_at: float | None = None
    """The earliest expiry of what lies there, as far as it is known."""
    there: bool = False
    """Whether a Secret lies there that is this policy's by its marks: what the brake counts its wishes against."""
    by_pods: bool = False
    """Nothing but pods selects the namespace, or did when it was selected last: it lingers longer."""


class Create(Struct, frozen=True, gc=False):
    """POST."""

    wanted: Wanted


class Update(Struct, frozen=True, gc=False):
    """Change in place: a PUT where nothing foreign is on it, else a merge patch.

    ``wanted`` None changes marks only (``labels``/``annotations`` to set; None takes one away).
    """

    uid: Uid
    resource_version: int
    wanted: Wanted | None
    put: bool
    labels: tuple[tuple[str, str | None], ...] = ()
    annotations: tuple[tuple[str, str | None], ...] = ()
    drop_data: tuple[str, ...] = ()
    owners: str | None = None
    """The ownerReferences that stay, as a JSON list, where others go; None leaves them all."""


class Delete(Struct, frozen=True, gc=False):
    """DELETE with preconditions; with ``check``, only if nobody in the namespace names the Secret."""

    uid: Uid
    resource_version: int
    check: bool


Write = Create | Update | Delete


class TargetPlan(Struct, frozen=True, gc=False):
    """The plan of one Secret name in one namespace."""

    namespace: NamespaceName
    name: SecretName
    lines: tuple[Line, ...] = ()
    write: Write | None = None
    policy: PolicyName | None = None
    """On whose behalf the write is made."""
    why: str = ""
    wish: Wish | None = None
    wake_at: float | None = None
    """Wall-clock time at which the plan may change by itself."""
    marked: bool = False
    """The target carries the mark of one that is to go: its wish was let go before, by this process or another."""
