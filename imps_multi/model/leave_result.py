"""What leaving came to, or would come to: every Secret, and what stands in the way.

Values only; made by app, printed by the ``leave`` command. Holds no credential.
"""

from msgspec import Struct, field

DONE = "done"


class LeftSecret(Struct, frozen=True, rename="camel", order=True):
    """One Secret. ``operation``: delete or release; ``result``: empty until it is done, ``done``, or what failed."""

    cluster: str
    policy: str
    operation: str
    namespace: str
    secret: str
    uid: str
    result: str = ""


class LeaveProblem(Struct, frozen=True, rename="camel"):
    """What keeps us from knowing or doing all. ``away``: the cluster could not be reached."""

    subject: str
    reason: str
    message: str
    away: bool = False


class LeaveResult(Struct, frozen=True, rename="camel"):
    """All of it. ``refusal``: why nothing may be done at all; ``notes``: what else is to be done by hand."""

    manner: str
    secrets: list[LeftSecret] = field(default_factory=list)
    problems: list[LeaveProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refusal: str = ""
