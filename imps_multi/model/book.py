"""The book of one cluster: what is wanted there, what is there, and what is therefore due.

Pure and synchronous, one writer (the cluster actor). Each method takes in one fact and returns the namespaces that need
a write, so that the actor has nothing to decide.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, structs

from imps_multi.model.adoption import traced
from imps_multi.model.backlog import Backlog
from imps_multi.model.brake import Wishes
from imps_multi.model.claiming import EXPANSION_HELD
from imps_multi.model.contest import Contests
from imps_multi.model.difference import gives_away
from imps_multi.model.exclusions import Exclusions
from imps_multi.model.failures import Failure, Failures
from imps_multi.model.gate import Gate
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.model.observed_fold import Observed, same_secret
from imps_multi.model.ownership import Ours, owner
from imps_multi.model.payload import unknown
from imps_multi.model.plan import Planner
from imps_multi.model.pods import PodEvent, PodGone, PodsAsked, PodSeen, PodsReplaced
from imps_multi.model.pods_fold import Pods, Shift
from imps_multi.model.recollection import Looks, Recollection, known_of
from imps_multi.model.report import PolicyTally
from imps_multi.model.settling import settled
from imps_multi.model.tally import Tally, Where
from imps_multi.model.target_plan import Create, Delete, Line, State, TargetPlan, Update, Wish
from imps_multi.model.view import Candidate, View, asking_anew, changed_policies, circumstances
from imps_multi.model.wanted import WantedCache
from imps_multi.model.wishing import Wishing
from imps_multi.model.writing import after_create, after_update

AT_ONCE = 500
"""So many namespaces are looked at in one go, which takes some milliseconds."""


class Due(Struct, frozen=True, gc=False):
    """A namespace that needs a worker: now, or ``at`` a wall-clock time. ``urgent``: missing, or edited by somebody."""

    namespace: NamespaceName
    urgent: bool = False
    at: float | None = None


Basis = tuple[Planner, NamespaceRecord | None]


class Book:
    """State of one cluster. ``names``: the Secret names that are watched there."""

    def __init__(self, cluster: ClusterName, view: View, cache: WantedCache) -> None:
        self.cluster = cluster
        self.view = view
        self.observed = Observed()
        self.tally = Tally()
        self.names: frozenset[SecretName] = frozenset()
        self.forbidden: dict[SecretName, str] = {}
        """Names that may not be read here, with what was refused."""
        self.unlooked: dict[NamespaceName, None] = {}
        """Namespaces that a long list touched, until they are looked at."""
        self.looks = 0
        """A number that grows with every namespace that is planned."""
        self._backlog = Backlog()
        self._sending: dict[Where, Basis] = {}
        """Where an answer is still to come, and from what the write was planned."""
        self._cache = cache
        self._past = Recollection()
        self._wishing = Wishing()
        self.gate = Gate(looks=self._wishing.looks)
        self._renew()
        self.pods.ask(view.pod_rules)
        self._failures = Failures()
        self._contests = Contests()
        self._exclusions = Exclusions()

    # facts come in

    def see(self, event: WatchEvent, *, now: float) -> list[Due]:
        """Take in what a watch saw."""
        if isinstance(event, (PodSeen, PodGone, PodsReplaced)):
            return self._see_pods(event, now)
        if isinstance(event, SecretMoved):
            return self._hear(event, now)
        if isinstance(event, SecretSeen) and self.observed.shows(event):
            return []  # as a write of ours was answered, or as it was read
        where = (event.namespace, event.name) if isinstance(event, (SecretSeen, SecretGone)) else None
        was_in_sync = where is not None and self._in_sync(where)
        if isinstance(event, SecretsReplaced):
            self._backlog.outdate()  # it may be on a version that is no more, though nothing else differs
        elif where is not None:
            self._backlog.outdate(where[0])
        before = known_of(self.observed, event)
        touched = self.observed.apply(event)
        if isinstance(event, SecretsReplaced):
            self.forbidden.pop(event.name, None)
        elif isinstance(event, NamespaceGone):
            self._past.forget((event.name, name) for name in self.names)
        self._compare(before, event)
        if where is None:
            return self._look_at_all(touched, now)
        if not touched:
            return []
        drifted = self._follow(where, now) if was_in_sync else False
        return self.look(where[0], now=now, urgent=drifted)

    def adopt(self, view: View) -> set[NamespaceName]:
        """Take in a new view; return the namespaces to look at again."""
        before, self.view = self.view, view
        self._backlog.outdate()
        self._renew()
        shift = self.pods.ask(view.pod_rules)
        if before.hubs != view.hubs:
            return set(self.observed.namespaces)
        changed = changed_policies(before, view)
        touched = self.tally.of_policies(changed) | self._exclusions.of_policies(changed)
        asked = asking_anew(before, view, changed)
        touched |= {
            record.name
            for record in self.observed.namespaces.values()
            if any(_asks(candidate, record, self.pods) for candidate in asked)
        }
        touched |= self._shifted(shift)
        if circumstances(before) != circumstances(view):
            touched |= {where[0] for where, lines in self.tally.places() if _needs_the_whole(lines)}
        return touched | self._backlog.awaiting

    def judge(
        self,
        released: frozenset[Wish],
        held: frozenset[Wish],
        admitted: Mapping[PolicyName, int] | None = None,
    ) -> set[NamespaceName]:
        """Take in the brake's word; return the namespaces to look at again."""
        before = self.gate
        self.gate = structs.replace(before, released=released, held=held, admitted=admitted)
        if self.gate != before:
            self._backlog.outdate()
        self._renew()
        changed = (released ^ before.released) | (held ^ before.held)
        touched = {wish.namespace for wish in changed if wish.cluster == self.cluster}
        return touched if admitted == before.admitted else touched | self._missing_somewhere()

    def _missing_somewhere(self) -> set[NamespaceName]:
        """Return the namespaces in which something waits to be made."""
        waiting = {name for name, tally in self.tally.sums().items() if tally.pending}
        return self.tally.of_policies(frozenset(waiting))

    def complete(self, *, whole_picture: bool) -> set[NamespaceName]:
        """Take in whether the whole picture is there; return the namespaces for which that matters."""
        if whole_picture == self.gate.whole_picture:
            return set()
        self.gate = structs.replace(self.gate, whole_picture=whole_picture)
        self._renew()
        return {namespace for namespace, _ in self._wishing.wheres()}

    @property
    def writing(self) -> set[NamespaceName]:
        """The namespaces in which a write is due."""
        return self._backlog.namespaces

    @property
    def picture_is_whole(self) -> bool:
        """Whether everything that a deletion needs to know is known."""
        return self.view.synced and self.view.whole and self.listed

    @property
    def listed(self) -> bool:
        """Whether the namespaces, every watched name and the pods asked for, if they may be read, were listed whole."""
        return self._secrets_listed and self.pods.listed

    @property
    def lacks_pods(self) -> bool:
        """Whether nothing but pods has still to be listed: that concerns the policies that ask for them alone."""
        return self._secrets_listed and not self.pods.listed

    @property
    def _secrets_listed(self) -> bool:
        return self.observed.namespaces_synced and all(
            self.observed.synced(name) or name in self.forbidden for name in self.names
        )

    @property
    def synced(self) -> bool:
        """Whether the namespaces and every watched name were listed whole."""
        return self.observed.namespaces_synced and all(self.observed.synced(name) for name in self.names)

    def forbid(self, name: SecretName, message: str) -> set[NamespaceName]:
        """Take in that a name may not be read; return the namespaces to look at again."""
        self.observed.unsync_name(name)
        if self.forbidden.get(name) == message:
            return set()
        self.forbidden[name] = message
        return set(self.observed.namespaces)

    @property
    def pods(self) -> Pods:
        """What is known of the pods here."""
        return self.observed.pods

    def forbid_pods(self, asked: PodsAsked, message: str) -> set[NamespaceName]:
        """Take in that pods may not be watched; return the namespaces to look at again."""
        return self._shifted(self.pods.forbid(asked, message))

    # what follows

    def look(self, namespace: NamespaceName, *, now: float, urgent: bool = False) -> list[Due]:
        """Plan one namespace, record how it stands, and say whether a worker is needed."""
        self.looks += 1
        if self.unlooked:
            self.unlooked.pop(namespace, None)
            if not self.unlooked:
                self.unlooked.clear()  # gives its table back, which popping does not
        plans = self.plans(namespace, now)
        self._note_excluded(namespace)
        if self.unread(namespace):
            self._backlog.expect(namespace)
            return [Due(namespace, urgent=urgent)]
        writes = [plan for plan in plans if plan.write is not None]
        wakes = [plan.wake_at for plan in plans if plan.wake_at is not None]
        wakes += self._ends_of_contests(plans, now)
        if not writes:
            self._backlog.settle(namespace)
            return [Due(namespace, at=min(wakes))] if wakes else []
        self._backlog.add(namespace, writes, now=now, more=bool(wakes))
        rushed = urgent or any(isinstance(plan.write, (Create, Delete)) for plan in writes)
        delay = min(self._contests.delay((plan.namespace, plan.name), now) for plan in writes)
        return [Due(namespace, urgent=rushed, at=now + delay if delay else None)]

    def unread(self, namespace: NamespaceName) -> list[SecretName]:
        """Return what a worker has to read in a namespace: it moved on, and matters to us."""
        if not self.observed.anything_moved:
            return []
        return [name for name in self.names if self.to_read(namespace, name) is not None]

    def to_read(self, namespace: NamespaceName, name: SecretName) -> SecretMoved | None:
        """Return the word because of which a Secret has to be read; None where it has not."""
        record = self.observed.namespaces.get(namespace)
        return self.observed.moved(name, namespace) if self._is_unread(record, (namespace, name)) else None

    def plans(self, namespace: NamespaceName, now: float) -> list[TargetPlan]:
        """Plan every watched name in a namespace, and record how each stands."""
        record = self.observed.namespaces.get(namespace)
        plans = (self._plan(record, (namespace, name), now) for name in self.names)
        return [plan for plan in plans if plan is not None]

    def writes(self, namespace: NamespaceName, *, now: float) -> list[TargetPlan]:
        """Return the plans of a namespace that have a write, as of now; what is contested waits."""
        plans = self._backlog.take(namespace, now=now)
        if plans is None:
            plans = [plan for plan in self.plans(namespace, now) if plan.write is not None]
        return [plan for plan in plans if not self._contests.delay((plan.namespace, plan.name), now)]

    def wishes(self) -> Wishes:
        """Return what is wished away here, for the brake."""
        return Wishes(
            cluster=self.cluster,
            version=self.view.version,
            wishes=self._wishing.all(),
            totals=self.tally.owned(),
            marked=self._wishing.marked(),
            growth=self.growth(),
        )

    def growth(self) -> Mapping[PolicyName, int]:
        """Return the new targets that wait until their policy's edit is admitted."""
        if self.gate.admitted is None:
            return {}
        waiting = {name: tally.reasons.get(EXPANSION_HELD, 0) for name, tally in self.tally.sums().items()}
        return {name: count for name, count in waiting.items() if count}

    @property
    def remembered(self) -> dict[Uid, PolicyName]:
        """What was seen as ours and does not say so itself any more."""
        return self._past.remembered

    @property
    def uid_changes(self) -> int:
        """How often a target was found made anew."""
        return self._past.uid_changes

    @property
    def wish_changes(self) -> int:
        """A number that grows whenever what is wished away, or the number of our targets, changed."""
        return self._wishing.changes + self.tally.owned_changes

    def policies(self) -> Mapping[PolicyName, PolicyTally]:
        """Return the counts by policy."""
        sums = dict(self.tally.sums())
        for name, count in self._exclusions.sums().items():
            sums[name] = structs.replace(sums.get(name, PolicyTally()), excluded=count)
        for name, message in self._unanswered():
            sums[name] = structs.replace(sums.get(name, PolicyTally()), refused=message)
        return sums

    def sending(self, plan: TargetPlan) -> None:
        """Take in that a write is about to be sent: its answer may never come."""
        self._sending[plan.namespace, plan.name] = self._planner, self.observed.namespaces.get(plan.namespace)
        if isinstance(plan.write, Update) and gives_away(plan.write):
            self._past.part(plan.write.uid, plan.write.resource_version)

    def sent(self, plan: TargetPlan) -> None:
        """Take in that nothing is to be expected of a write any more: it was answered, or will not be."""
        self._sending.pop((plan.namespace, plan.name), None)

    # what became of it

    def read(self, told: SecretMoved, secret: SeenSecret | None, *, now: float) -> list[Due] | None:
        """Take in what was read because of this word; None: it is not there, at that version or an earlier one.

        Returns None where that was too old an answer, and nothing better is known yet.
        """
        namespace, name = told.namespace, told.name
        if secret is not None:
            dues = self.see(SecretSeen(namespace, name, secret), now=now)
        else:
            dues = self.see(SecretGone(namespace, name, told.resource_version), now=now)
        if self.observed.moved(name, namespace) is told:
            return None
        return dues or self.look(namespace, now=now)

    def written(self, plan: TargetPlan, uid: Uid, resource_version: int, *, now: float) -> list[Due]:
        """Fold in the answer to a create or an update."""
        basis = self._sending.pop((plan.namespace, plan.name), None)
        before = self.observed.secret(plan.name, plan.namespace)
        match plan.write:
            case Create() as create:
                after = after_create(create, uid, resource_version)
            case Update() as update if before is not None:
                after = after_update(before, update, uid, resource_version)
            case _:
                return self.look(plan.namespace, now=now)
        where = (plan.namespace, plan.name)
        self._failures.forget(where)
        stands = self.observed.answer(plan.name, plan.namespace, after)
        self._past.note(where, before, after, self.view.hubs)
        let_go = self._past.give_away(after, self.view.hubs)
        known = self.observed.secret(plan.name, plan.namespace)
        same = known is not None and same_secret(known, after)
        if same and not stands and not let_go and plan.namespace not in self.writing:
            return []  # a list was first, and left nothing to do
        if stands and not let_go and self._settles(plan, after, basis):
            return []
        spoilt = not (stands or same) and known is not None and self._follow(where, now)
        if stands:
            self._stood(where, after, now)
        return self.look(plan.namespace, now=now, urgent=spoilt)

    def _stood(self, where: Where, after: SeenSecret, now: float) -> None:
        """Record how a target stood after our write, where somebody was faster than the answer: it counts as undone."""
        record = self.observed.namespaces.get(where[0])
        if self._is_unread(record, where):
            self._note(where, self._planner.plan(record, where[1], after, now=now), now)

    def _settles(self, plan: TargetPlan, after: SeenSecret, basis: Basis | None) -> bool:
        """Record how a target stands after its write without planning it again, if that can be said."""
        where, record = (plan.namespace, plan.name), self.observed.namespaces.get(plan.namespace)
        as_planned = basis is not None and basis[0] is self._planner and basis[1] is record
        if not as_planned or self.view.pod_rules or not self._backlog.ends_with_one(plan.namespace):
            return False
        holder = self.view.policies.get(plan.policy) if plan.policy else None
        if holder is None or unknown(holder.resolved.sources):
            return False
        if self.observed.moved(plan.name, plan.namespace) is not None or (line := settled(plan, after)) is None:
            return False
        self._backlog.settle(plan.namespace)
        self.tally.record(where, (line,))
        self._wishing.note(where, None)
        return True

    def gone(self, plan: TargetPlan, *, now: float) -> list[Due]:
        """Fold in that the target is not there: it was deleted, or a 404 said so."""
        self.sent(plan)
        known = self.observed.secret(plan.name, plan.namespace)
        where = (plan.namespace, plan.name)
        self._failures.forget(where)
        self._wishing.forget_looks(where)
        if known is not None:
            self.observed.apply(SecretGone(plan.namespace, plan.name, known.resource_version))
            self._lose(where, known)
        if isinstance(plan.write, Delete):
            self._past.forget([where])
        return self.look(plan.namespace, now=now)

    def terminating(self, namespace: NamespaceName, *, now: float) -> list[Due]:
        """Fold in that a namespace is going away, which a write found out before the watch did."""
        record = self.observed.namespaces.get(namespace)
        if record is not None:
            self.observed.namespaces[namespace] = structs.replace(record, terminating=True)
        return self.look(namespace, now=now)

    def referenced(self, plan: TargetPlan, *, now: float) -> list[Due]:
        """Put a deletion off: somebody names the Secret. Looked at again after 1 min … 1 h."""
        self._wishing.put_off((plan.namespace, plan.name), now)
        return self.look(plan.namespace, now=now)

    def failed(self, plan: TargetPlan, failure: Failure) -> None:
        """Record why a write failed; the queue's backoff brings it back."""
        where = (plan.namespace, plan.name)
        self._failures.note(where, failure)
        self.tally.record(where, self._failures.remark(where, plan.lines) or plan.lines)

    def unreadable(self, namespace: NamespaceName, name: SecretName, failure: Failure) -> None:
        """Record why a target that moved on could not be read: nobody knows how it stands."""
        lines = self.tally.lines((namespace, name))
        if not lines:
            plan = self._planner.forbidden(self.observed.namespaces.get(namespace), name, failure.message)
            lines = () if plan is None else plan.lines
        said = {"state": State.FAILED, "reason": failure.reason, "message": failure.message}
        self.tally.record((namespace, name), tuple(structs.replace(line, **said) for line in lines))

    def forgive(self) -> None:
        """Contact is back: forget what failed."""
        self._failures.clear()

    def drop_names(self, names: frozenset[SecretName]) -> frozenset[SecretName]:
        """Set the watched names; return those that are not watched any more."""
        dropped = self.names - names
        self.names = names
        self._backlog.outdate()
        for name in dropped:
            self.observed.forget(name)
            self.forbidden.pop(name, None)
            self.tally.forget(name)
        for where in [where for where in self._memories() if where[1] in dropped]:
            self._wishing.note(where, None)
            self._forget(where)
        self._past.forget_names(dropped)
        return dropped

    # inside

    def _see_pods(self, event: PodEvent, now: float) -> list[Due]:
        return self._look_at_all(self._shifted(self.pods.apply(event)), now)

    def _look_at_all(self, touched: Iterable[NamespaceName], now: float) -> list[Due]:
        """Look at what a list touched; of a long one the actor looks at a few at a time."""
        namespaces = list(touched)
        if len(namespaces) > AT_ONCE:
            self._backlog.outdate()
            self.unlooked.update(dict.fromkeys(namespaces))
            return []
        return [due for namespace in namespaces for due in self.look(namespace, now=now)]

    def _shifted(self, shift: Shift) -> set[NamespaceName]:
        """Return the namespaces to look at after what is known of pods became different."""
        if not shift.rules:
            return set(shift.namespaces)
        asking = (one for one in self.view.policies.values() if not shift.rules.isdisjoint(one.policy.pods.rules))
        names = frozenset(one.policy.name for one in asking)
        said = self.tally.of_policies(names) | self._exclusions.of_policies(names)
        return set(shift.namespaces) | said | self._backlog.awaiting

    def _unanswered(self) -> Iterator[tuple[PolicyName, str]]:
        """Walk over the policies that ask for pods which may not be watched, with what was refused."""
        if not self.pods.forbidden:
            return
        for rivals in self.view.by_name.values():
            for candidate in rivals:
                if refusal := self.pods.refusal(candidate.policy.pods.rules):
                    yield candidate.policy.name, refusal

    def _plan(self, record: NamespaceRecord | None, where: Where, now: float) -> TargetPlan | None:
        """Plan one target and record how it stands; what was last known stands until it is listed, or read, again."""
        namespace, name = where
        if self._is_unread(record, where):
            return None
        if self.observed.synced(name) or (record is None and self.observed.namespaces_synced):
            plan = self._planner.plan(record, name, self.observed.secret(name, namespace), now=now)
        elif name in self.forbidden:
            plan = self._planner.forbidden(record, name, self.forbidden[name])
        else:
            return None
        self._note(where, plan, now)
        return plan

    def _hear(self, event: SecretMoved, now: float) -> list[Due]:
        """Take in that a Secret moved on: by our own write, whose answer says it all, or by somebody's."""
        where = (event.namespace, event.name)
        if not self.observed.apply(event) or where in self._sending:
            return []
        return self.look(event.namespace, now=now, urgent=self._in_sync(where))

    def _is_unread(self, record: NamespaceRecord | None, where: Where) -> bool:
        """Say whether a Secret has to be read before it can be planned; what nobody wants, and is not ours, has not."""
        told = self.observed.moved(where[1], where[0])
        if told is None or where in self._sending or not self.observed.synced(where[1]):
            return False
        if record is None or record.terminating:
            return False
        if self.tally.lines(where) or isinstance(owner(told, self.view.hubs, self.remembered), Ours):
            return True
        return any(one.selects(record, self.pods) for one in self.view.by_name.get(where[1], ()))

    def _note(self, where: Where, plan: TargetPlan | None, now: float) -> None:
        if plan is None:
            self.tally.record(where, ())
            self._wishing.note(where, None)
            self._forget(where)
            return
        if plan.write is None:
            self._failures.forget(where)
        self.tally.record(where, self._with_trouble(where, plan.lines, now))
        self._wishing.note(where, plan.wish, marked=plan.marked)

    def _forget(self, where: Where) -> None:
        """Forget what happened to a target that nobody has to do with any more."""
        self._contests.forget(where)
        self._failures.forget(where)
        self._wishing.forget_looks(where)

    def _memories(self) -> set[Where]:
        return {
            *self._wishing.wheres(),
            *self._wishing.looks,
            *self._failures.wheres(),
            *self._contests.wheres(),
        }

    def _note_excluded(self, namespace: NamespaceName) -> None:
        record = self.observed.namespaces.get(namespace)
        self._exclusions.note(namespace, self.view.excluded(record, self.pods) if record is not None else frozenset())

    def _with_trouble(self, where: Where, lines: tuple[Line, ...], now: float) -> tuple[Line, ...]:
        """Say of a target what its plan does not know: that its write failed, that somebody keeps undoing it."""
        failed = self._failures.remark(where, lines)
        return failed if failed is not None else self._contests.remark(where, lines, now)

    def _ends_of_contests(self, plans: list[TargetPlan], now: float) -> list[float]:
        ends = (self._contests.end((plan.namespace, plan.name), now) for plan in plans)
        return [end for end in ends if end is not None]

    def _renew(self) -> None:
        self._planner = Planner(
            self.view,
            self._cache,
            self.remembered,
            self.gate,
            self._past.adopted,
            pods=self.pods,
            last_said=self.tally.lines,
        )

    def _in_sync(self, where: Where) -> bool:
        return any(line.state is State.IN_SYNC for line in self.tally.lines(where))

    def _follow(self, where: Where, now: float) -> bool:
        """Count that a target of ours was changed by somebody; say whether that needs a write."""
        plan = self._plan(self.observed.namespaces.get(where[0]), where, now)
        if plan is None or plan.write is None:
            return False
        seen = self.observed.secret(where[1], where[0])
        self._contests.count(where, now, by_imps=seen is not None and traced(seen.marks))
        return True

    def _compare(self, before: Looks, event: WatchEvent) -> None:
        """Remember what an event took from targets of ours: their marks, or themselves."""
        if not isinstance(event, (SecretSeen, SecretGone, SecretsReplaced)):
            return
        self._past.compare(before, known_of(self.observed, event), self.view.hubs)
        for where, known in before.items():
            if self.observed.secret(where[1], where[0]) is None:
                self._lose(where, known)

    def _lose(self, where: Where, known: SeenSecret) -> None:
        self._past.lose(where, known, self.observed.namespaces.get(where[0]), self.view.hubs)


def _needs_the_whole(lines: tuple[Line, ...]) -> bool:
    """Say whether a target's plan may depend on more than the policies that it names."""
    return any(not line.desired or line.state is State.CONFLICT for line in lines)


def _asks(candidate: Candidate, record: NamespaceRecord, pods: Pods) -> bool:
    return candidate.selects(record, pods) or candidate.excludes(record, pods)
