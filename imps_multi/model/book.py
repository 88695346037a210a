"""The book of one cluster: what is wanted there, what is there, and what is therefore due.

Pure and synchronous, one writer (the cluster actor). Each method takes in one fact and returns the namespaces that need
a write, so that the actor has nothing to decide.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from imps_multi.model.brake import Wishes
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import SecretGone, SecretSeen, SecretsReplaced, SeenSecret, WatchEvent
from imps_multi.model.observed_fold import Observed
from imps_multi.model.ownership import Ours, owner
from imps_multi.model.plan import Gate, Planner
from imps_multi.model.report import PolicyTally
from imps_multi.model.tally import Tally, Where
from imps_multi.model.target_plan import Create, Delete, Line, State, TargetPlan, Update, Wish
from imps_multi.model.view import Candidate, View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.writing import after_create, after_update

CONTESTED_AFTER = 5
CONTEST_FORGOTTEN = 600.0


class Due(Struct, frozen=True):
    """A namespace that needs a worker: now, or ``at`` a wall-clock time. ``urgent``: missing, or edited by somebody."""

    namespace: NamespaceName
    urgent: bool = False
    at: float | None = None


class Failure(Struct, frozen=True):
    """Why the last write of a target failed."""

    reason: str
    message: str


class Contest(Struct, frozen=True):
    """How often somebody changed a target of ours lately, and when last."""

    count: int
    at: float


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
        self.writing: set[NamespaceName] = set()
        """Namespaces in which a write is due."""
        self.uid_changes = 0
        self.wish_changes = 0
        """Grows whenever what is wished away, or the number of our targets, changed."""
        self._cache = cache
        self._remembered: dict[Uid, PolicyName] = {}
        self._gate = Gate()
        self._planner = Planner(view, cache, self._remembered, self._gate)
        self._wishes: dict[Where, Wish] = {}
        self._looks: dict[Where, float] = {}
        self._look_delays: dict[Where, float] = {}
        self._failures: dict[Where, Failure] = {}
        self._contests: dict[Where, Contest] = {}
        self._last_uid: dict[Where, Uid] = {}
        self._excluded: dict[NamespaceName, frozenset[PolicyName]] = {}

    # facts come in

    def see(self, event: WatchEvent, *, now: float) -> list[Due]:
        """Take in what a watch saw."""
        drifted = self._drift(event, now)
        touched = self.observed.apply(event)
        if isinstance(event, SecretSeen):
            self._remember(event.name, event.namespace, event.secret)
        elif isinstance(event, SecretsReplaced):
            self.forbidden.pop(event.name, None)
            for namespace, secret in self.observed.secrets(event.name).items():
                self._remember(event.name, namespace, secret)
        return [due for namespace in touched for due in self.look(namespace, now=now, urgent=drifted)]

    def adopt(self, view: View) -> set[NamespaceName]:
        """Take in a new view; return the namespaces to look at again."""
        before, self.view = self.view, view
        self._renew()
        changed = frozenset(
            name
            for name in before.policies.keys() | view.policies.keys()
            if before.policies.get(name) != view.policies.get(name)
        )
        touched = self.tally.of_policies(changed)
        asked = [
            candidate
            for name in changed
            if (candidate := view.policies.get(name)) is not None and _asks_anew(before, candidate)
        ]
        touched |= {
            record.name
            for record in self.observed.namespaces.values()
            if any(candidate.selects(record) for candidate in asked)
        }
        if (before.whole, before.synced, before.hub_empty, before.seen_deleted) != (
            view.whole,
            view.synced,
            view.hub_empty,
            view.seen_deleted,
        ) or before.policies.keys() != view.policies.keys():
            touched |= self._where_ours()
        return touched

    def judge(self, released: frozenset[Wish], held: frozenset[Wish]) -> set[NamespaceName]:
        """Take in the brake's word; return the namespaces to look at again."""
        before = self._gate
        self._gate = structs.replace(before, released=released, held=held)
        self._renew()
        changed = (released ^ before.released) | (held ^ before.held)
        return {wish.namespace for wish in changed}

    def complete(self, *, whole_picture: bool) -> set[NamespaceName]:
        """Take in whether the whole picture is there; return the namespaces that waited for it."""
        if whole_picture == self._gate.whole_picture:
            return set()
        self._gate = structs.replace(self._gate, whole_picture=whole_picture)
        self._renew()
        return {namespace for namespace, _ in self._wishes} if whole_picture else set()

    @property
    def picture_is_whole(self) -> bool:
        """Whether everything that a deletion needs to know is known."""
        return self.view.synced and self.view.whole and self.synced

    @property
    def synced(self) -> bool:
        """Whether the namespaces and every watched name were listed whole."""
        return self.observed.namespaces_synced and all(self.observed.synced(name) for name in self.names)

    def forbid(self, name: SecretName, message: str) -> set[NamespaceName]:
        """Take in that a name may not be read; return the namespaces to look at again."""
        self.observed.unsync_name(name)
        self.forbidden[name] = message
        return set(self.observed.namespaces)

    # what follows

    def look(self, namespace: NamespaceName, *, now: float, urgent: bool = False) -> list[Due]:
        """Plan one namespace, record how it stands, and say whether a worker is needed."""
        plans = list(self._plans(namespace, now))
        self._note_excluded(namespace)
        writes = [plan for plan in plans if plan.write is not None]
        wakes = [plan.wake_at for plan in plans if plan.wake_at is not None]
        if not writes:
            self.writing.discard(namespace)
            return [Due(namespace, at=min(wakes))] if wakes else []
        self.writing.add(namespace)
        rushed = urgent or any(isinstance(plan.write, (Create, Delete)) for plan in writes)
        delay = max((self._contest_delay((plan.namespace, plan.name), now) for plan in writes), default=0.0)
        return [Due(namespace, urgent=rushed, at=now + delay if delay else None)]

    def writes(self, namespace: NamespaceName, *, now: float) -> list[TargetPlan]:
        """Return the plans of a namespace that have a write, as of now."""
        return [plan for plan in self._plans(namespace, now) if plan.write is not None]

    def wishes(self) -> Wishes:
        """Return what is wished away here, for the brake."""
        totals = {name: len(places) for name, places in self._ours_by_policy().items()}
        return Wishes(
            cluster=self.cluster, version=self.view.version, wishes=frozenset(self._wishes.values()), totals=totals
        )

    def policies(self) -> Mapping[PolicyName, PolicyTally]:
        """Return the counts by policy."""
        sums = dict(self.tally.sums())
        excluded = Counter(name for names in self._excluded.values() for name in names)
        for name, count in excluded.items():
            sums[name] = structs.replace(sums.get(name, PolicyTally()), excluded=count)
        return sums

    # what became of it

    def written(self, plan: TargetPlan, uid: Uid, resource_version: int, *, now: float) -> list[Due]:
        """Fold in the answer to a create or an update."""
        before = self.observed.secret(plan.name, plan.namespace)
        match plan.write:
            case Create() as create:
                after = after_create(create, uid, resource_version)
            case Update() as update if before is not None:
                after = after_update(before, update, uid, resource_version)
            case _:
                return self.look(plan.namespace, now=now)
        self._failures.pop((plan.namespace, plan.name), None)
        self.observed.apply(SecretSeen(plan.namespace, plan.name, after))
        self._remember(plan.name, plan.namespace, after)
        return self.look(plan.namespace, now=now)

    def gone(self, plan: TargetPlan, *, now: float) -> list[Due]:
        """Fold in that the target is not there: it was deleted, or a 404 said so."""
        known = self.observed.secret(plan.name, plan.namespace)
        where = (plan.namespace, plan.name)
        for memory in (self._failures, self._looks, self._look_delays):
            memory.pop(where, None)
        if known is not None:
            self.observed.apply(SecretGone(plan.namespace, plan.name, known.resource_version))
            self._remembered.pop(known.uid, None)
        if isinstance(plan.write, Delete):
            self._last_uid.pop(where, None)
        return self.look(plan.namespace, now=now)

    def terminating(self, namespace: NamespaceName, *, now: float) -> list[Due]:
        """Fold in that a namespace is going away, which a write found out before the watch did."""
        record = self.observed.namespaces.get(namespace)
        if record is not None:
            self.observed.namespaces[namespace] = structs.replace(record, terminating=True)
        return self.look(namespace, now=now)

    def referenced(self, plan: TargetPlan, *, now: float) -> list[Due]:
        """Put a deletion off: somebody names the Secret. Looked at again after 1 min … 1 h."""
        where = (plan.namespace, plan.name)
        delay = min(2 * self._look_delays.get(where, 30.0), 3600.0)
        self._look_delays[where] = delay
        self._looks[where] = now + delay
        self._gate = structs.replace(self._gate, looks=dict(self._looks))
        self._renew()
        return self.look(plan.namespace, now=now)

    def failed(self, plan: TargetPlan, failure: Failure) -> None:
        """Record why a write failed; the queue's backoff brings it back."""
        where = (plan.namespace, plan.name)
        self._failures[where] = failure
        self.tally.record(where, self._with_failure(where, plan.lines))

    def forgive(self) -> None:
        """Contact is back: forget what failed."""
        self._failures.clear()

    def drop_names(self, names: frozenset[SecretName]) -> frozenset[SecretName]:
        """Set the watched names; return those that are not watched any more."""
        dropped = self.names - names
        self.names = names
        for name in dropped:
            self.observed.forget(name)
        return dropped

    # inside

    def _plans(self, namespace: NamespaceName, now: float) -> Iterator[TargetPlan]:
        record = self.observed.namespaces.get(namespace)
        for name in self.names:
            if self.observed.synced(name):
                plan = self._planner.plan(record, name, self.observed.secret(name, namespace), now=now)
            elif name in self.forbidden:
                plan = self._planner.forbidden(record, name, self.forbidden[name])
            else:
                continue  # what was last known stands until it is listed again
            self._note((namespace, name), plan)
            if plan is not None:
                yield plan

    def _note(self, where: Where, plan: TargetPlan | None) -> None:
        if plan is None:
            self.tally.record(where, ())
            self._wish(where, None)
            return
        if plan.write is None:
            self._failures.pop(where, None)
        self.tally.record(where, self._with_failure(where, plan.lines))
        self._wish(where, plan.wish)

    def _wish(self, where: Where, wish: Wish | None) -> None:
        if self._wishes.get(where) == wish:
            return
        self.wish_changes += 1
        if wish is None:
            del self._wishes[where]
        else:
            self._wishes[where] = wish

    def _note_excluded(self, namespace: NamespaceName) -> None:
        record = self.observed.namespaces.get(namespace)
        excluded = self.view.excluded(record) if record is not None else frozenset()
        if excluded:
            self._excluded[namespace] = excluded
        else:
            self._excluded.pop(namespace, None)

    def _with_failure(self, where: Where, lines: tuple[Line, ...]) -> tuple[Line, ...]:
        failure = self._failures.get(where)
        contested = where in self._contests and self._contests[where].count > CONTESTED_AFTER
        if failure is None and not contested:
            return lines
        return tuple(_troubled(line, failure, contested=contested) for line in lines)

    def _renew(self) -> None:
        self._planner = Planner(self.view, self._cache, self._remembered, self._gate)

    def _remember(self, name: SecretName, namespace: NamespaceName, secret: SeenSecret) -> None:
        whose = owner(secret, self.view.hubs, self._remembered)
        if not isinstance(whose, Ours):
            return
        self._remembered[secret.uid] = whose.policy or PolicyName("")
        where = (namespace, name)
        before = self._last_uid.get(where)
        if before is not None and before != secret.uid:
            self.uid_changes += 1
            self._remembered.pop(before, None)
        self._last_uid[where] = secret.uid

    def _drift(self, event: WatchEvent, now: float) -> bool:
        """Say whether an event undoes what was in sync, and count how often that happens."""
        if not isinstance(event, (SecretSeen, SecretGone)):
            return False
        where = (event.namespace, event.name)
        if not any(line.state is State.IN_SYNC for line in self.tally.lines(where)):
            return False
        known = self.observed.secret(event.name, event.namespace)
        version = event.secret.resource_version if isinstance(event, SecretSeen) else event.resource_version
        if known is not None and version <= known.resource_version:
            return False
        if isinstance(event, SecretSeen) and known is not None and _alike(known, event.secret):
            return False
        before = self._contests.get(where)
        recent = before is not None and now - before.at < CONTEST_FORGOTTEN
        self._contests[where] = Contest(before.count + 1 if before is not None and recent else 1, now)
        return True

    def _contest_delay(self, where: Where, now: float) -> float:
        contest = self._contests.get(where)
        if contest is None or contest.count <= CONTESTED_AFTER:
            return 0.0
        if now - contest.at >= CONTEST_FORGOTTEN:
            del self._contests[where]
            return 0.0
        return max(0.0, contest.at + min(300.0, 2.0 ** (contest.count - CONTESTED_AFTER)) - now)

    def _ours_by_policy(self) -> Mapping[PolicyName, list[Where]]:
        found: dict[PolicyName, list[Where]] = {}
        for name, namespace, secret in self.observed.everything():
            policy = self._remembered.get(secret.uid)
            if policy is not None:
                found.setdefault(policy, []).append((namespace, name))
        return found

    def _where_ours(self) -> set[NamespaceName]:
        return {namespace for _, namespace, secret in self.observed.everything() if secret.uid in self._remembered}


def _asks_anew(before: View, candidate: Candidate) -> bool:
    old = before.policies.get(candidate.policy.name)
    return old is None or _asking(old) != _asking(candidate)


def _asking(candidate: Candidate) -> tuple[object, ...]:
    return candidate.reaches, candidate.policy, candidate.resolved.standing, candidate.resolved.waiting


def _alike(known: SeenSecret, seen: SeenSecret) -> bool:
    return (known.uid, known.content, known.marks, known.type) == (seen.uid, seen.content, seen.marks, seen.type)


def _troubled(line: Line, failure: Failure | None, *, contested: bool) -> Line:
    if line.state is not State.PENDING and not (failure and line.state is State.LINGERING):
        return line
    if failure is not None:
        return structs.replace(line, state=State.FAILED, reason=failure.reason, message=failure.message)
    if contested:
        return structs.replace(line, reason="Contested", message="somebody keeps changing it; repaired more slowly")
    return line
