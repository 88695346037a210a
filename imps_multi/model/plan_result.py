"""What a plan says: every write that a run would make now, and what stands in the way of knowing.

Values only; made by app, printed by the ``plan`` command. Holds no credential.
"""

from typing import Final

from msgspec import Struct, field

from imps_multi.model.difference import gives_away
from imps_multi.model.names import UNWANTED_SINCE_ANNOTATION
from imps_multi.model.target_plan import Create, Delete, Update, Write

HELD_UNTIL: Final = "; held until "
"""What follows in ``why`` is the id of the held set."""


class PlannedWrite(Struct, frozen=True, rename="camel", order=True):
    """One write. ``operation``: create, update, mark, release or delete; ``held``: it waits for approval."""

    cluster: str
    namespace: str
    secret: str
    policy: str
    operation: str
    why: str
    held: bool = False


class PlanProblem(Struct, frozen=True, rename="camel"):
    """What keeps the plan from being whole: a cluster that cannot be reached, a policy or source that is wrong."""

    subject: str
    reason: str
    message: str


class PlannedPolicy(Struct, frozen=True, rename="camel", order=True):
    """How many targets a policy wants."""

    policy: str
    targets: int


class PlanResult(Struct, frozen=True, rename="camel"):
    """A plan over the fleet. ``unreachable``: clusters that could not be looked at; ``paused``: nobody writes there."""

    writes: list[PlannedWrite] = field(default_factory=list)
    problems: list[PlanProblem] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    policies: list[PlannedPolicy] = field(default_factory=list)
    targets: int = 0
    in_sync: int = 0
    mints: list[str] = field(default_factory=list)
    """The sources for which a run would ask for a token first."""
    paused: list[str] = field(default_factory=list)


def operation_of(write: Write | None) -> str:
    """Return what a write is called: create, update, mark, release, delete, or none."""
    match write:
        case Create():
            return "create"
        case Delete():
            return "delete"
        case Update() as update:
            if any(key == UNWANTED_SINCE_ANNOTATION and value for key, value in update.annotations):
                return "mark"
            return "release" if gives_away(update) else "update"
        case None:
            return "none"
