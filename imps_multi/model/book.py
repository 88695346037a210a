"""The book of one cluster: what is wanted there, what is there, and what is therefore due.

Pure and synchronous, one writer (the cluster actor). Each method takes in one fact and returns the namespaces that need
a write, so that the actor has nothing to decide. What it keeps stands in parts: ``listing`` (what was listed whole),
``unread`` (what has to be read first), ``answers`` (which are asked for whole), ``targets`` (how each stands),
``recollection`` and ``backlog``.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from imps_multi.model.adoption import traced
from imps_multi.model.answers import Answers, undone
from imps_multi.model.backlog import Backlog
from imps_multi.model.brake import Wishes
from imps_multi.model.contest import Author
from imps_multi.model.difference import gives_away
from imps_multi.model.listing import Listing
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
from imps_multi.model.payload import unknown
from imps_multi.model.pods import PodEvent, PodGone, PodsAsked, PodSeen, PodsReplaced
from imps_multi.model.pods_fold import Pods, Shift
from imps_multi.model.recollection import Recollection, known_of
from imps_multi.model.settling import settled
from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Create, Delete, TargetPlan, Update, Wish
from imps_multi.model.targets import Targets
from imps_multi.model.touched import by_pods, by_view
from imps_multi.model.unread import Basis, Unread
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.writing import after_create, after_update

AT_ONCE = 500
"""So many namespaces are looked at in one go, which takes some milliseconds."""


class Due(Struct, frozen=True, gc=False):
    """A namespace that needs a worker: now, or ``at`` a wall-clock time. ``urgent``: missing, or edited by somebody."""

    namespace: NamespaceName
    urgent: bool = False
    at: float | None = None


class Book:
    """State of one cluster."""

    def __init__(self, cluster: ClusterName, view: View, cache: WantedCache) -> None:
        self.cluster = cluster
        self.view = view
        self.observed = Observed()
        self.listing = Listing(self.observed)
        self.past = Recollection(self.observed)
        self.answers = Answers()
        self.targets = Targets(cache, self.observed, self.listing, self.past)
        self.tally = self.targets.tally
        self.unlooked: dict[NamespaceName, None] = {}
        """Namespaces that a long list touched, until they are looked at."""
        self.looks = 0
        """A number that grows with every namespace that is planned."""
        self._backlog = Backlog()
        self._unread = Unread(self.observed, self.tally, self.past)
        self.targets.renew(view)
        self.pods.ask(view.pod_rules)

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
        was_in_sync = where is not None and self.targets.in_sync(where)
        if isinstance(event, SecretsReplaced):
            self._backlog.outdate()  # it may be on a version that is no more, though nothing else differs
        elif where is not None:
            self._backlog.outdate(where[0])
        before = known_of(self.observed, event)
        touched = self.observed.apply(event)
        if isinstance(event, SecretsReplaced):
            self.listing.allow(event.name)
        elif isinstance(event, NamespaceGone):
            self.past.forget((event.name, name) for name in self.listing.names)
        self.past.compare(before, event, self.view.hubs)
        self.answers.compare(before, self.observed, event)
        if where is None:
            return self._look_at_all(touched, now)
        if not touched:
            return []
        known = before.get(where)
        sent = undone(known, event.secret) if known is not None and isinstance(event, SecretSeen) else None
        drifted = self._follow(where, now, sent) if was_in_sync or sent is not None else False
        return self.look(where[0], now=now, urgent=drifted and sent is None)

    def adopt(self, view: View) -> set[NamespaceName]:
        """Take in a new view; return the namespaces to look at again."""
        before, self.view = self.view, view
        self._backlog.outdate()
        self.targets.renew(view)
        shift = self.pods.ask(view.pod_rules)
        if before.hubs != view.hubs:
            return set(self.observed.namespaces)
        touched = by_view(before, view, self.observed, self.targets) | self._shifted(shift)
        return touched | self._backlog.awaiting

    def judge(
        self,
        released: frozenset[Wish],
        held: frozenset[Wish],
        admitted: Mapping[PolicyName, int] | None = None,
    ) -> set[NamespaceName]:
        """Take in the brake's word; return the namespaces to look at again."""
        before = self.targets.gate
        gate = structs.replace(before, released=released, held=held, admitted=admitted)
        if gate != before:
            self._backlog.outdate()
        self.targets.renew(self.view, gate)
        changed = (released ^ before.released) | (held ^ before.held)
        touched = {wish.namespace for wish in changed if wish.cluster == self.cluster}
        return touched if admitted == before.admitted else touched | self.targets.missing_somewhere()

    def complete(self, *, whole_picture: bool) -> set[NamespaceName]:
        """Take in whether the whole picture is there; return the namespaces for which that matters."""
        gate = self.targets.gate
        if whole_picture == gate.whole_picture:
            return set()
        self.targets.renew(self.view, structs.replace(gate, whole_picture=whole_picture))
        return {namespace for namespace, _ in self.targets.wishing.wheres()}

    def forbid(self, name: SecretName, message: str) -> set[NamespaceName]:
        """Take in that a name may not be read; return the namespaces to look at again."""
        return set(self.observed.namespaces) if self.listing.forbid(name, message) else set()

    def forbid_pods(self, asked: PodsAsked, message: str) -> set[NamespaceName]:
        """Take in that pods may not be watched; return the namespaces to look at again."""
        return self._shifted(self.pods.forbid(asked, message))

    def forgive(self) -> None:
        """Contact is back: forget what failed, and what the server did with writes before."""
        self.answers.begin()
        self.targets.troubles.failures.clear()

    def drop_names(self, names: frozenset[SecretName]) -> frozenset[SecretName]:
        """Set the watched names; return those that are not watched any more."""
        dropped = self.listing.watch(names)
        self._backlog.outdate()
        self.targets.forget_names(dropped)
        self.past.forget_names(dropped)
        return dropped

    # what follows

    @property
    def writing(self) -> set[NamespaceName]:
        """The namespaces in which a write is due."""
        return self._backlog.namespaces

    @property
    def picture_is_whole(self) -> bool:
        """Whether everything that a deletion needs to know is known."""
        return self.view.synced and self.view.whole and self.listing.whole

    @property
    def pods(self) -> Pods:
        """What is known of the pods here."""
        return self.observed.pods

    def look(self, namespace: NamespaceName, *, now: float, urgent: bool = False) -> list[Due]:
        """Plan one namespace, record how it stands, and say whether a worker is needed."""
        self.looks += 1
        if self.unlooked:
            self.unlooked.pop(namespace, None)
            if not self.unlooked:
                self.unlooked.clear()  # gives its table back, which popping does not
        record = self.observed.namespaces.get(namespace)
        unread = self._unread.names(record, self.listing.names, self.view)
        plans = self._plan_all(namespace, record, unread, now)
        self.targets.exclude(record, namespace)
        if unread:
            self._backlog.expect(namespace)
            return [Due(namespace, urgent=urgent)]
        writes = [plan for plan in plans if plan.write is not None]
        wakes = [plan.wake_at for plan in plans if plan.wake_at is not None]
        troubles = self.targets.troubles
        wakes += troubles.ends(plans, now)
        if not writes:
            self._backlog.settle(namespace)
            return [Due(namespace, at=min(wakes))] if wakes else []
        self._backlog.add(namespace, writes, now=now, more=bool(wakes))
        rushed = urgent or any(isinstance(plan.write, (Create, Delete)) for plan in writes)
        delay = troubles.delay(writes, now)
        return [Due(namespace, urgent=rushed, at=now + delay if delay else None)]

    def unread(self, namespace: NamespaceName) -> list[SecretName]:
        """Return what a worker has to read in a namespace: it moved on, and matters to us."""
        return self._unread.names(self.observed.namespaces.get(namespace), self.listing.names, self.view)

    def to_read(self, namespace: NamespaceName, name: SecretName) -> SecretMoved | None:
        """Return the word because of which a Secret has to be read; None where it has not."""
        return self._unread.word(self.observed.namespaces.get(namespace), name, self.view)

    def plans(self, namespace: NamespaceName, now: float) -> list[TargetPlan]:
        """Plan every watched name in a namespace that has not to be read first, and record how each stands."""
        return self._plan_all(namespace, self.observed.namespaces.get(namespace), self.unread(namespace), now)

    def writes(self, namespace: NamespaceName, *, now: float) -> list[TargetPlan]:
        """Return the plans of a namespace that have a write, as of now; what is contested waits."""
        plans = self._backlog.take(namespace, now=now)
        if plans is None:
            plans = [plan for plan in self.plans(namespace, now) if plan.write is not None]
        return self.targets.troubles.ready(plans, now)

    def wishes(self) -> Wishes:
        """Return what is wished away here, for the brake."""
        return Wishes(
            cluster=self.cluster,
            version=self.view.version,
            wishes=self.targets.wishing.all(),
            totals=self.tally.owned(),
            marked=self.targets.wishing.marked(),
            growth=self.targets.growth(),
        )

    # what became of it

    def sending(self, plan: TargetPlan) -> None:
        """Take in that a write is about to be sent: its answer may never come."""
        self._unread.send(plan, self.targets.planner)
        if isinstance(plan.write, Update) and gives_away(plan.write):
            self.past.part(plan.write.uid, plan.write.resource_version)

    def sent(self, plan: TargetPlan) -> None:
        """Take in that nothing is to be expected of a write any more: it was answered, or will not be."""
        self._unread.sent((plan.namespace, plan.name))

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

    def written(
        self, plan: TargetPlan, uid: Uid, resource_version: int, *, now: float, stored: SeenSecret | None = None
    ) -> list[Due]:
        """Fold in the answer to a create or an update; ``stored``: what it made, where that was asked for whole."""
        where = (plan.namespace, plan.name)
        if stored is not None:
            return self._written_whole(plan, stored, now)
        basis = self._unread.sent(where)
        before = self.observed.secret(plan.name, plan.namespace)
        match plan.write:
            case Create() as create:
                after = after_create(create, uid, resource_version)
            case Update() as update if before is not None:
                after = after_update(before, update, uid, resource_version)
            case _:
                return self.look(plan.namespace, now=now)
        self.targets.troubles.failures.forget(where)
        stands = self.observed.answer(plan.name, plan.namespace, after)
        self.past.note(where, before, after, self.view.hubs)
        let_go = self.past.give_away(after, self.view.hubs)
        if stands and not let_go and self._settles(where, plan, after, basis):
            return []
        known = self.observed.secret(plan.name, plan.namespace)
        same = known is not None and same_secret(known, after)
        if same and not stands and not let_go and plan.namespace not in self.writing:
            return []  # a list was first, and left nothing to do
        sent = None
        if not (stands or same) and known is not None and known.resource_version == resource_version:
            self.answers.hear(where, plan.write, known)  # a list was first, or it was no new version at all
            sent = after.content
        spoilt = not (stands or same) and known is not None and self._follow(where, now, sent)
        if stands and self.to_read(plan.namespace, plan.name) is not None:
            self.targets.stood(where, after, now)
        return self.look(plan.namespace, now=now, urgent=spoilt and sent is None)

    def gone(self, plan: TargetPlan, *, now: float) -> list[Due]:
        """Fold in that the target is not there: it was deleted, or a 404 said so."""
        self.sent(plan)
        known = self.observed.secret(plan.name, plan.namespace)
        where = (plan.namespace, plan.name)
        self.targets.troubles.failures.forget(where)
        self.targets.wishing.forget_looks(where)
        if known is not None:
            self.observed.apply(SecretGone(plan.namespace, plan.name, known.resource_version))
            self.past.lose(where, known, self.view.hubs)
        if isinstance(plan.write, Delete):
            self.past.forget([where])
        return self.look(plan.namespace, now=now)

    def terminating(self, namespace: NamespaceName, *, now: float) -> list[Due]:
        """Fold in that a namespace is going away, which a write found out before the watch did."""
        record = self.observed.namespaces.get(namespace)
        if record is not None:
            self.observed.namespaces[namespace] = structs.replace(record, terminating=True)
        return self.look(namespace, now=now)

    def referenced(self, plan: TargetPlan, *, now: float) -> list[Due]:
        """Put a deletion off: somebody names the Secret. Looked at again after 1 min … 1 h."""
        self.targets.wishing.put_off((plan.namespace, plan.name), now)
        return self.look(plan.namespace, now=now)

    # inside

    def _see_pods(self, event: PodEvent, now: float) -> list[Due]:
        return self._look_at_all(self._shifted(self.pods.apply(event)), now)

    def _hear(self, event: SecretMoved, now: float) -> list[Due]:
        """Take in that a Secret moved on: by our own write, whose answer says it all, or by somebody's."""
        if not self._unread.hear(event):
            return []
        return self.look(event.namespace, now=now, urgent=self.targets.in_sync((event.namespace, event.name)))

    def _look_at_all(self, touched: Iterable[NamespaceName], now: float) -> list[Due]:
        """Look at what a list touched; of a long one the actor looks at a few at a time."""
        namespaces = sorted(touched)  # two runs of the same plan in the same order
        if len(namespaces) > AT_ONCE:
            self._backlog.outdate()
            self.unlooked.update(dict.fromkeys(namespaces))
            return []
        return [due for namespace in namespaces for due in self.look(namespace, now=now)]

    def _shifted(self, shift: Shift) -> set[NamespaceName]:
        """Return the namespaces to look at after what is known of pods became different."""
        touched = by_pods(shift, self.view, self.targets)
        return touched | self._backlog.awaiting if shift.rules else touched

    def _plan_all(
        self, namespace: NamespaceName, record: NamespaceRecord | None, unread: list[SecretName], now: float
    ) -> list[TargetPlan]:
        plan = self.targets.plan
        plans = [plan(record, (namespace, name), now) for name in self.listing.names if name not in unread]
        return [one for one in plans if one is not None]

    def _settles(self, where: Where, plan: TargetPlan, after: SeenSecret, basis: Basis | None) -> bool:
        """Record how a target stands after its write without planning it again, if that can be said."""
        record = self.observed.namespaces.get(where[0])
        as_planned = basis is not None and basis[0] is self.targets.planner and basis[1] is record
        if not as_planned or self.view.pod_rules or not self._backlog.ends_with_one(where[0]):
            return False
        holder = self.view.policies.get(plan.policy) if plan.policy else None
        if holder is None or unknown(holder.resolved.sources):
            return False
        if self.observed.moved(where[1], where[0]) is not None or (line := settled(plan, after)) is None:
            return False
        self._backlog.settle(where[0])
        self.targets.settle(where, line)
        return True

    def _written_whole(self, plan: TargetPlan, stored: SeenSecret, now: float) -> list[Due]:
        """Fold in an answer that says what was stored: first what was sent, and then that, if it is something else."""
        if isinstance(plan.write, (Create, Update)):
            self.answers.hear((plan.namespace, plan.name), plan.write, stored)
        dues = self.written(plan, stored.uid, stored.resource_version, now=now)
        return dues + self.see(SecretSeen(plan.namespace, plan.name, stored), now=now)

    def _follow(self, where: Where, now: float, sent: bytes | None = None) -> bool:
        """Count that a target of ours was changed; say whether that needs a write.

        ``sent``: the content that we wrote, where the server itself stored something else.
        """
        record = self.observed.namespaces.get(where[0])
        if self._unread.word(record, where[1], self.view) is not None:
            return False
        plan = self.targets.plan(record, where, now)
        if plan is None or plan.write is None:
            return False
        seen = self.observed.secret(where[1], where[0])
        by_imps = seen is not None and traced(seen.marks)
        author = Author.ADMISSION if sent is not None else Author.IMPS if by_imps else Author.SOMEBODY
        self.targets.troubles.contests.count(where, now, author, sent or b"")
        return True
