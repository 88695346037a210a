"""How the targets of one cluster stand: each as it was planned last, with what its plan does not know.

Pure; one writer, the cluster's book, which knows when something has changed and what has to be read first. The sums are
for the status, the wishes for the brake.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import structs

from imps_multi.model.claiming import EXPANSION_HELD
from imps_multi.model.exclusions import Exclusions
from imps_multi.model.failures import Failure
from imps_multi.model.gate import Gate
from imps_multi.model.listing import Listing
from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.observed_fold import Observed
from imps_multi.model.plan import Planner
from imps_multi.model.recollection import Recollection
from imps_multi.model.report import PolicyTally
from imps_multi.model.tally import Tally, Where
from imps_multi.model.target_plan import Line, State, TargetPlan
from imps_multi.model.troubles import Troubles
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.wishing import Wishing


class Targets:
    """``gate``: what may be taken away and made; ``troubles``: what goes wrong. A new view or gate needs ``renew``."""

    def __init__(self, cache: WantedCache, observed: Observed, listing: Listing, past: Recollection) -> None:
        self.tally = Tally()
        self.wishing = Wishing()
        self.troubles = Troubles()
        self.exclusions = Exclusions()
        self.gate = Gate(looks=self.wishing.looks)
        self._cache = cache
        self._observed = observed
        self._listing = listing
        self._past = past

    def renew(self, view: View, gate: Gate | None = None) -> None:
        """Plan from now on by this view and this word of the brake."""
        self.gate = self.gate if gate is None else gate
        self.planner = Planner(
            view,
            self._cache,
            self._past.remembered,
            self.gate,
            self._past.adopted,
            pods=self._observed.pods,
            last_said=self.tally.lines,
        )

    def plan(self, record: NamespaceRecord | None, where: Where, now: float) -> TargetPlan | None:
        """Plan one target and record how it stands; what was last known stands until it is listed again."""
        namespace, name = where
        if self._observed.synced(name) or (record is None and self._observed.namespaces_synced):
            plan = self.planner.plan(record, name, self._observed.secret(name, namespace), now=now)
        elif name in self._listing.forbidden:
            plan = self.planner.forbidden(record, name, self._listing.forbidden[name])
        else:
            return None
        self._note(where, plan, now)
        return plan

    def stood(self, where: Where, after: SeenSecret, now: float) -> None:
        """Record how a target stood after our write, where somebody was faster than the answer: it counts as undone."""
        record = self._observed.namespaces.get(where[0])
        self._note(where, self.planner.plan(record, where[1], after, now=now), now)

    def settle(self, where: Where, line: Line) -> None:
        """Record how a target stands, of which nothing else is to be said."""
        self.tally.record(where, (line,))
        self.wishing.note(where, None)

    def in_sync(self, where: Where) -> bool:
        """Say whether anybody's target was as it should be when it was looked at last."""
        return any(line.state is State.IN_SYNC for line in self.tally.lines(where))

    def failed(self, plan: TargetPlan, failure: Failure) -> None:
        """Record why a write failed; the queue's backoff brings it back."""
        where = (plan.namespace, plan.name)
        self.troubles.failures.note(where, failure)
        self.tally.record(where, self.troubles.failures.remark(where, plan.lines) or plan.lines)

    def contested(self, namespace: NamespaceName, now: float) -> bool:
        """Say whether somebody keeps changing a target in a namespace."""
        contests = self.troubles.contests
        return any(contests.end((namespace, name), now) is not None for name in self._listing.names)

    def unreadable(self, where: Where, failure: Failure) -> None:
        """Record why a target that moved on could not be read: nobody knows how it stands."""
        lines = self.tally.lines(where)
        if not lines:
            plan = self.planner.forbidden(self._observed.namespaces.get(where[0]), where[1], failure.message)
            lines = () if plan is None else plan.lines
        said = {"state": State.FAILED, "reason": failure.reason, "message": failure.message}
        self.tally.record(where, tuple(structs.replace(line, **said) for line in lines))

    def exclude(self, record: NamespaceRecord | None, namespace: NamespaceName) -> None:
        """Record which policies are kept out of a namespace."""
        view, pods = self.planner.view, self._observed.pods
        self.exclusions.note(namespace, view.excluded(record, pods) if record is not None else frozenset())

    def forget_names(self, names: frozenset[SecretName]) -> None:
        """Forget the targets of names that are not watched any more."""
        for name in names:
            self.tally.forget(name)
        for where in [where for where in self._memories() if where[1] in names]:
            self.wishing.note(where, None)
            self._forget(where)

    # what they add up to

    @property
    def wish_changes(self) -> int:
        """A number that grows whenever what is wished away, or the number of our targets, changed."""
        return self.wishing.changes + self.tally.owned_changes

    def policies(self) -> Mapping[PolicyName, PolicyTally]:
        """Return the counts by policy."""
        sums = dict(self.tally.sums())
        for name, count in self.exclusions.sums().items():
            sums[name] = structs.replace(sums.get(name, PolicyTally()), excluded=count)
        for name, message in self._unanswered():
            sums[name] = structs.replace(sums.get(name, PolicyTally()), refused=message)
        return sums

    def growth(self) -> Mapping[PolicyName, int]:
        """Return the new targets that wait until their policy's edit is admitted."""
        if self.gate.admitted is None:
            return {}
        waiting = {name: tally.reasons.get(EXPANSION_HELD, 0) for name, tally in self.tally.sums().items()}
        return {name: count for name, count in waiting.items() if count}

    def places(self, names: frozenset[PolicyName]) -> set[NamespaceName]:
        """Return the namespaces in which anything was said of these policies, be it that they are kept out."""
        return self.tally.of_policies(names) | self.exclusions.of_policies(names)

    def missing_somewhere(self) -> set[NamespaceName]:
        """Return the namespaces in which something waits to be made."""
        waiting = {name for name, tally in self.tally.sums().items() if tally.pending}
        return self.tally.of_policies(frozenset(waiting))

    # inside

    def _note(self, where: Where, plan: TargetPlan | None, now: float) -> None:
        if plan is None:
            self.tally.record(where, ())
            self.wishing.note(where, None)
            self._forget(where)
            return
        if plan.write is None:
            self.troubles.failures.forget(where)
        self.tally.record(where, self.troubles.remark(where, plan.lines, now))
        self.wishing.note(where, plan.wish, marked=plan.marked)

    def _forget(self, where: Where) -> None:
        """Forget what happened to a target that nobody has to do with any more."""
        self.troubles.forget(where)
        self.wishing.forget_looks(where)

    def _memories(self) -> Iterable[Where]:
        return {*self.wishing.wheres(), *self.wishing.looks, *self.troubles.wheres()}

    def _unanswered(self) -> Iterator[tuple[PolicyName, str]]:
        """Walk over the policies that ask for pods which may not be watched, with what was refused."""
        pods = self._observed.pods
        if not pods.forbidden:
            return
        for rivals in self.planner.view.by_name.values():
            for candidate in rivals:
                if refusal := pods.refusal(candidate.policy.pods.rules):
                    yield candidate.policy.name, refusal
