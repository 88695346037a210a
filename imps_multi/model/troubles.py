"""What goes wrong with targets and no plan knows: that a write failed, and that somebody keeps undoing what is right.

Pure; one writer, the cluster's book. Asked at each look, so it costs next to nothing where nothing goes wrong.
"""

from collections.abc import Iterable, Sequence

from imps_multi.model.contest import Contests
from imps_multi.model.failures import Failures
from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Line, TargetPlan


class Troubles:
    """What is remembered of the targets of one cluster."""

    def __init__(self) -> None:
        self.failures = Failures()
        self.contests = Contests()

    def remark(self, where: Where, lines: tuple[Line, ...], now: float) -> tuple[Line, ...]:
        """Say of a target what its plan does not know: that its write failed, that somebody keeps undoing it."""
        failed = self.failures.remark(where, lines)
        return failed if failed is not None else self.contests.remark(where, lines, now)

    def ends(self, plans: Iterable[TargetPlan], now: float) -> list[float]:
        """Return when targets stop being contested."""
        ends = (self.contests.end((plan.namespace, plan.name), now) for plan in plans)
        return [end for end in ends if end is not None]

    def delay(self, plans: Sequence[TargetPlan], now: float) -> float:
        """Return for how many seconds the first of some writes has to wait."""
        return min(self.contests.delay(plan, now) for plan in plans)

    def ready(self, plans: Iterable[TargetPlan], now: float) -> list[TargetPlan]:
        """Return the plans that need not wait."""
        return [plan for plan in plans if not self.contests.delay(plan, now)]

    def forget(self, where: Where) -> None:
        """Forget a target that nobody has to do with any more."""
        self.contests.forget(where)
        self.failures.forget(where)

    def wheres(self) -> set[Where]:
        """Return every target of which anything is remembered."""
        return self.failures.wheres() | self.contests.wheres()
