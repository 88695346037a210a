"""How a target stands once its write was answered, where that follows from the plan alone.

Pure. Planning again would say the same, as the planner's properties have it: this saves half of a fan-out's planning.
Asked by ``book``, which plans again whenever there is no answer here, or anything has changed since the plan was made.
"""

from imps_multi.model.observed import SeenSecret
from imps_multi.model.planning import expiry_there
from imps_multi.model.target_plan import Create, Line, State, TargetPlan, Update
from imps_multi.model.wanted import Wanted


def settled(plan: TargetPlan, after: SeenSecret) -> Line | None:
    """Return the only line of a target that holds what was sent; None where more has to be known.

    The write replaced everything, for the one policy that has to do with the target, and nothing waits beside it.
    """
    if len(plan.lines) != 1 or plan.wish is not None or plan.wake_at is not None or plan.marked:
        return None
    line = plan.lines[0]
    if line.state is not State.PENDING or line.reason or not line.desired or line.policy != plan.policy:
        return None
    match plan.write:
        case Create() | Update(wanted=Wanted(), put=True):
            return Line(line.policy, State.IN_SYNC, expires_at=expiry_there(after), there=True, by_pods=line.by_pods)
        case _:
            return None
