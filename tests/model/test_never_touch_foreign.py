"""Whatever is edited, restarted, lost or raced: what is not ours is never touched, and what was adopted never dies.

A cluster in which others write, and a book that is told late, restarted, and given one world after the other; a witness
judges every write.
"""

from copy import deepcopy
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from imps_multi.model.book import Book, Due
from imps_multi.model.failures import Failure
from imps_multi.model.names import HubId, NamespaceName, PolicyName, Uid
from imps_multi.model.observed import WatchEvent
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy
from imps_multi.model.target_plan import Delete, TargetPlan, Wish
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Resolved, Standing, World
from tests.model.naive_cluster import Key, NaiveCluster, RefusedError
from tests.model.objects import Object, made, metadata_of
from tests.model.scenes import CLUSTER, HOUR, HUB, NOW, changed, seen_from, source
from tests.model.strategies import (
    NAMESPACES,
    POLICY_NAMES,
    REGISTRIES,
    SECRET_NAMES,
    a_namespace,
    a_policy,
    a_resolved,
    a_secret,
    by_imps,
    dice,
    owned,
    rarely,
    spoilt,
)
from tests.model.witness import Witness

FORMER = HubId("former")
KEYS: tuple[Key, ...] = tuple((space, name) for space in NAMESPACES for name in SECRET_NAMES)
keys, policies = st.sampled_from(KEYS), st.sampled_from(POLICY_NAMES)


class Neighbours(RuleBasedStateMachine):
    """One cluster, its watches, its book, and everybody else."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = NaiveCluster()
        self.witness = Witness((HUB, FORMER), ("a", "b"))
        self.world = World(synced=True, whole=True)
        self.book = Book(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
        self.due: set[NamespaceName] = set()
        self.now = NOW
        self.let_go: set[Wish] = set()
        self.named: set[Key] = set()
        self.decommission = False

    @initialize(die=dice)
    def others_were_first(self, die: Random) -> None:
        for name in NAMESPACES:
            self.cluster.set_space(structs.replace(a_namespace(die, name), terminating=False))
        for key in KEYS:
            if not rarely(die, 3):
                self.cluster.add(key, somebodys(die, self.world, key))
        self.world = structs.replace(self.world, policies={name: lively(die, name) for name in POLICY_NAMES[:2]})
        self.restart()

    @invariant()
    def whose_is_what(self) -> None:
        self.witness.look(self.cluster.secrets.values())

    # what is wanted

    @rule(name=policies, die=dice)
    def a_policy_is_written(self, name: PolicyName, die: Random) -> None:
        made_anew = a_resolved(die, name) if rarely(die, 3) else lively(die, name)
        self.take_up({**self.world.policies, name: made_anew})

    @rule(name=policies, conflict=st.sampled_from(ConflictPolicy), deletion=st.sampled_from(DeletionPolicy))
    def a_policy_is_edited(self, name: PolicyName, conflict: ConflictPolicy, deletion: DeletionPolicy) -> None:
        if (found := self.world.policies.get(name)) is not None:
            spec = structs.replace(found.policy, conflict_policy=conflict, deletion_policy=deletion)
            self.take_up({**self.world.policies, name: structs.replace(found, policy=spec)})

    @rule(name=policies, standing=st.sampled_from(Standing))
    def a_policy_stands_otherwise(self, name: PolicyName, standing: Standing) -> None:
        if (found := self.world.policies.get(name)) is not None:
            self.take_up({**self.world.policies, name: structs.replace(found, standing=standing)})

    @rule(name=policies, seen=st.booleans())
    def a_policy_goes(self, name: PolicyName, *, seen: bool) -> None:
        left = {one: resolved for one, resolved in self.world.policies.items() if one != name}
        self.world = structs.replace(self.world, seen_deleted=frozenset({name}) if seen else frozenset())
        self.take_up(left)

    @rule()
    def the_cluster_is_decommissioned_or_taken_back(self) -> None:
        self.decommission = not self.decommission
        self.take_up(dict(self.world.policies))

    # what the others do

    @rule(key=keys, die=dice)
    def somebody_makes_a_secret(self, key: Key, die: Random) -> None:
        if key not in self.cluster.secrets and key[0] in self.cluster.spaces:
            self.cluster.add(key, somebodys(die, self.world, key))

    @rule(key=keys, die=dice)
    def somebody_edits_a_secret(self, key: Key, die: Random) -> None:
        if (found := self.cluster.secrets.get(key)) is not None and not found.get("immutable"):
            after = strip(found) if rarely(die, 3) else spoilt(die, deepcopy(found))
            self.cluster.change(key, after)

    @rule(key=keys)
    def imps_writes_over_a_secret(self, key: Key) -> None:
        found = self.cluster.secrets.get(key)
        if found is not None and not found.get("immutable"):
            self.cluster.change(key, by_imps(deepcopy(found), b'{"auths":{}}'))

    @rule(key=keys)
    def somebody_deletes_a_secret(self, key: Key) -> None:
        if key in self.cluster.secrets:
            self.cluster.remove(key)

    @rule(name=st.sampled_from(NAMESPACES), die=dice)
    def a_namespace_changes(self, name: NamespaceName, die: Random) -> None:
        if name in self.cluster.spaces and rarely(die, 3):
            self.cluster.end_space(name)
        else:
            self.cluster.set_space(a_namespace(die, name))

    @rule(key=keys)
    def a_pod_names_a_secret_or_does_not_any_more(self, key: Key) -> None:
        self.named ^= {key}

    # what happens to the service

    @rule(count=st.integers(1, 8))
    def the_watch_tells(self, count: int) -> None:
        told, self.cluster.told = self.cluster.told[:count], self.cluster.told[count:]
        for event in told:
            self.see(event)

    @rule()
    def the_watch_lists_anew(self) -> None:
        for event in self.cluster.lists():
            self.see(event)
        self.settle_picture()

    @rule()
    def restart(self) -> None:
        self.witness.forget(self.cluster.secrets.values())
        self.book = Book(CLUSTER, View.empty(CLUSTER, HUB), WantedCache(HUB))
        self.book.drop_names(frozenset(SECRET_NAMES))
        self.due = set()
        self.let_go.clear()
        self.look(self.book.adopt(self.view()))
        self.the_watch_lists_anew()

    @rule(seconds=st.sampled_from((1.0, HOUR, 24 * HOUR, 8 * 24 * HOUR)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.look(set(self.cluster.spaces))

    @rule(all_of_them=st.booleans(), die=dice)
    def the_brake_speaks(self, die: Random, *, all_of_them: bool) -> None:
        wishes = sorted(self.book.wishes().wishes)
        released = frozenset(one for one in wishes if all_of_them or rarely(die, 2))
        self.let_go |= released
        self.look(self.book.judge(released, frozenset(wishes) - released))

    @precondition(lambda self: bool(self.due))
    @rule(die=dice, lost=st.booleans())
    def a_worker_works(self, die: Random, *, lost: bool) -> None:
        namespace = die.choice(sorted(self.due))
        self.due.discard(namespace)
        for plan in self.book.writes(namespace, now=self.now):
            self.carry_out(plan, lost=lost)

    @rule()
    def everything_settles(self) -> None:
        """Nobody else does anything for a while."""
        for _ in range(12):
            self.the_watch_lists_anew()
            self.look(set(self.cluster.spaces))
            for namespace in sorted(self.due):
                for plan in self.book.writes(namespace, now=self.now):
                    self.carry_out(plan)

    # how it goes

    def take_up(self, chosen: dict[PolicyName, Resolved]) -> None:
        self.world = structs.replace(self.world, policies=chosen, hub_empty=not chosen, version=self.world.version + 1)
        self.look(self.book.adopt(self.view()))
        self.settle_picture()

    def view(self) -> View:
        return seen_from(self.world, previous=(FORMER,), decommission=self.decommission)

    def see(self, event: WatchEvent) -> None:
        self.enqueue(self.book.see(event, now=self.now))

    def settle_picture(self) -> None:
        self.look(self.book.complete(whole_picture=self.book.picture_is_whole))

    def look(self, namespaces: set[NamespaceName]) -> None:
        for namespace in sorted(namespaces):
            self.enqueue(self.book.look(namespace, now=self.now))

    def enqueue(self, dues: list[Due]) -> None:
        self.due |= {due.namespace for due in dues}

    def carry_out(self, plan: TargetPlan, *, lost: bool = False) -> None:
        """Make a write; ``lost``: its answer never comes."""
        key = plan.namespace, plan.name
        if isinstance(plan.write, Delete):
            assert plan.marked or plan.wish in self.let_go, "a Secret is deleted that was not let go"
            if plan.write.check and key in self.named:
                self.enqueue(self.book.referenced(plan, now=self.now))
                return
        before = deepcopy(self.cluster.secrets.get(key))
        self.book.sending(plan)
        try:
            after = self.cluster.write(plan)
        except RefusedError as refusal:
            if str(refusal) == "NotFound":
                self.enqueue(self.book.gone(plan, now=self.now))
            elif str(refusal) == "NamespaceTerminating":
                self.enqueue(self.book.terminating(plan.namespace, now=self.now))
            return
        self.witness.judge(before, after, adopts=self.adopts(plan))
        if lost:
            self.witness.doubt(after)
            self.book.targets.failed(plan, Failure("Transient", "the answer was lost"))
            self.due.add(plan.namespace)
        elif after is None:
            self.enqueue(self.book.gone(plan, now=self.now))
        else:
            metadata = metadata_of(after)
            version = int(str(metadata["resourceVersion"]))
            self.enqueue(self.book.written(plan, uid_of(metadata), version, now=self.now))

    def adopts(self, plan: TargetPlan) -> bool:
        """Say whether the policy for which a write is made asks for the target and says Adopt."""
        candidate = self.book.view.policies.get(plan.policy or PolicyName(""))
        record = self.book.observed.namespaces[plan.namespace]
        return (
            candidate is not None
            and candidate.able
            and candidate.selects(record)
            and candidate.policy.secret.name == plan.name
            and candidate.policy.conflict_policy is ConflictPolicy.ADOPT
        )


def lively(die: Random, name: PolicyName) -> Resolved:
    """Put a policy in force that has what it needs."""
    return Resolved(
        structs.replace(a_policy(die, name), suspend=False), Standing.VALID, (source(die.choice(REGISTRIES)),)
    )


def somebodys(die: Random, there: World, key: Key) -> Object:
    """Make what may lie there before we come: mostly a plain one of somebody else, or of IMPS, or of a former hub."""
    plain = made(b'{"auths":{"theirs.example.com":{}}}', name=key[1], namespace=key[0], labels={"team": "x"})
    former = changed(plain, labels={"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": FORMER})
    found = (
        plain,
        by_imps(deepcopy(plain), b"{}"),
        owned(deepcopy(plain), "Other", controls=die.random() < 0.5),
        changed(former, annotations={"imps-multi.io/policy": die.choice(POLICY_NAMES)}),
        made(name=key[1], namespace=key[0], kind="Opaque"),
        a_secret(die, there, *key) or plain,
    )
    return deepcopy(die.choice((plain, *found)))


def strip(found: Object) -> Object:
    """Take every mark of ours off."""
    marks = ("app.kubernetes.io/managed-by", "imps-multi.io/hub")
    names = ("policy", "deletion-policy", "adopted", "unwanted-since", "linger", "expires-at")
    return changed(
        deepcopy(found), labels=dict.fromkeys(marks), annotations={f"imps-multi.io/{name}": None for name in names}
    )


def uid_of(metadata: Object) -> Uid:
    return Uid(str(metadata["uid"]))


Neighbours.TestCase.settings = settings(stateful_step_count=50)
TestNeighbours = Neighbours.TestCase
