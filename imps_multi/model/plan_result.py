"""What a plan says: every write that a run would make now, and what stands in the way of knowing.

Values only; made by app, printed by the ``plan`` command. Holds no credential.
"""

from msgspec import Struct, field


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


class PlanResult(Struct, frozen=True, rename="camel"):
    """A plan over the fleet. ``unreachable``: the clusters that could not be looked at."""

    writes: list[PlannedWrite] = field(default_factory=list)
    problems: list[PlanProblem] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    targets: int = 0
    in_sync: int = 0
