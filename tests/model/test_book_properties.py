"""The book, kept up fact by fact, equals one that is written anew from what is known, and it comes to rest."""

from random import Random

from hypothesis import given, settings
from msgspec import structs

from imps_multi.model.book import Book, Due
from imps_multi.model.choosing import rules_matched
from imps_multi.model.failures import Failure
from imps_multi.model.names import NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretMoved,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.model.pods import PodGone, PodSeen, PodsReplaced
from imps_multi.model.target_plan import Create, Delete, Line, TargetPlan, Wish
from imps_multi.model.view import View
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import World
from tests.model.objects import Object, carry_out, made, metadata_of, observe
from tests.model.scenes import CLUSTER, HUB, NOW, changed, seen_from
from tests.model.strategies import NAMESPACES, SECRET_NAMES, a_namespace, a_secret, a_world, dice

TURNS = 25


class Cluster:
    """A cluster, its watches and its book; turned by a die."""

    def __init__(self, die: Random) -> None:
        self.die = die
        self.version = 100
        self.spaces: dict[NamespaceName, NamespaceRecord] = {}
        self.secrets: dict[tuple[NamespaceName, SecretName], Object] = {}
        self.told: list[WatchEvent] = []
        self.pods: dict[tuple[NamespaceName, str], dict[str, str]] = {}
        self.due: set[NamespaceName] = set()
        self.world = a_world(die)
        self.released: frozenset[Wish] = frozenset()
        self.cache = WantedCache(HUB)
        self.book = Book(CLUSTER, View.empty(CLUSTER, HUB), self.cache)
        self.book.drop_names(frozenset(SECRET_NAMES))
        for name in NAMESPACES:
            self.set_space(a_namespace(die, name))
            for secret in SECRET_NAMES:
                found = a_secret(die, self.world, name, secret)
                if found is not None:
                    self.set_secret(name, secret, self.anew_made(found))
        self.told.clear()
        self.adopt(self.world)
        self.relist()

    def turn(self) -> None:
        """Let one thing happen."""
        often = (self.edit, self.work, self.work, self.deliver, self.deliver)
        now_and_then = (self.take_away, self.namespace_changes, self.new_world, self.judge, self.lose_contact)
        pods = (self.pod_changes, self.list_pods, self.list_pods)
        self.die.choice((*often, *often, *now_and_then, self.complete, *pods))()

    # what happens in the cluster

    def next_version(self) -> int:
        self.version += 1
        return self.version

    def set_space(self, record: NamespaceRecord) -> None:
        self.spaces[record.name] = structs.replace(record, resource_version=self.next_version())
        self.told.append(NamespaceSeen(self.spaces[record.name]))

    def set_secret(self, space: NamespaceName, name: SecretName, found: Object) -> SeenSecret:
        metadata = {**metadata_of(found), "resourceVersion": str(self.next_version())}
        self.secrets[space, name] = {**found, "metadata": metadata}
        seen = observe(self.secrets[space, name])
        assert seen is not None
        whole = SecretSeen(space, name, seen)
        moved = SecretMoved(space, name, seen.uid, seen.resource_version, seen.marks)
        self.told.append(whole if self.die.random() < 0.2 else moved)
        return seen

    def anew_made(self, found: Object) -> Object:
        return {**found, "metadata": {**metadata_of(found), "uid": f"uid-{self.version}"}}

    def edit(self) -> None:
        space, name = self.die.choice(NAMESPACES), self.die.choice(SECRET_NAMES)
        found = self.secrets.get((space, name))
        if space not in self.spaces:
            return
        if found is None:
            planted = a_secret(self.die, self.world, space, name) or made(name=name, namespace=space)
            self.set_secret(space, name, self.anew_made(planted))
            return
        edits = (
            changed(found, content=b"{}"),
            changed(found, labels={"imps-multi.io/hub": self.die.choice((None, "mgmt", "other"))}),
            changed(found, labels={"foreign": "1"}),
            changed(found, annotations={"imps-multi.io/policy": self.die.choice(("p1", "p2"))}),
            changed(found, annotations={"imps-multi.io/unwanted-since": "2027-01-15T07:30:00Z"}),
        )
        self.set_secret(space, name, self.die.choice(edits))

    def take_away(self) -> None:
        if self.secrets:
            space, name = self.die.choice(sorted(self.secrets))
            del self.secrets[space, name]
            self.told.append(SecretGone(space, name, self.next_version()))

    def namespace_changes(self) -> None:
        name = self.die.choice(NAMESPACES)
        if name in self.spaces and self.die.random() < 0.3:
            for key in [key for key in self.secrets if key[0] == name]:
                del self.secrets[key]
                self.told.append(SecretGone(*key, self.next_version()))
            del self.spaces[name]
            self.told.append(NamespaceGone(name, self.next_version()))
        else:
            self.set_space(a_namespace(self.die, name))

    def pod_changes(self) -> None:
        """Let a pod come, go or change; every watch that was listed tells of it at once."""
        key, version = (self.die.choice(NAMESPACES), self.die.choice(("pod-1", "pod-2"))), self.next_version()
        if key in self.pods and self.die.random() < 0.5:
            del self.pods[key]
        else:
            self.pods[key] = {"app": self.die.choice(("web", "db", "other"))}
        for asked in list(self.book.pods.watches):
            matches = rules_matched(asked, self.pods.get(key, {}), self.pods.get(key, {}))
            seen = PodSeen(asked, *key, matches, version) if matches else PodGone(asked, *key, version)
            self.enqueue(self.book.see(seen, now=NOW))

    def list_pods(self) -> None:
        """List the pods of one watch."""
        watches = sorted(self.book.pods.watches.items(), key=lambda item: item[1])
        if not watches:
            return
        asked = self.die.choice(watches)[0]
        if self.die.random() < 0.1:
            self.look(self.book.forbid_pods(asked, "pods is forbidden"))
        else:
            found = ((*key, rules_matched(asked, pod, pod)) for key, pod in self.pods.items())
            self.enqueue(
                self.book.see(PodsReplaced(asked, tuple(one for one in found if one[2]), self.version), now=NOW)
            )
        self.settle_picture()

    # what the actor does

    def enqueue(self, dues: list[Due]) -> None:
        self.due |= {due.namespace for due in dues if due.at is None or due.namespace in self.book.writing}

    def look(self, namespaces: set[NamespaceName]) -> None:
        for namespace in namespaces:
            self.enqueue(self.book.look(namespace, now=NOW))

    def settle_picture(self) -> None:
        self.look(self.book.complete(whole_picture=self.book.picture_is_whole))

    def adopt(self, world: World) -> None:
        self.world = world
        self.look(self.book.adopt(seen_from(world)))
        self.settle_picture()

    def new_world(self) -> None:
        other = a_world(self.die)
        if self.die.random() < 0.5:  # one policy only
            name = self.die.choice((*self.world.policies, PolicyName("p1")))
            changed_policies = dict(self.world.policies)
            changed_policies.pop(name, None)
            changed_policies |= {name: other.policies[name]} if name in other.policies else {}
            other = structs.replace(self.world, policies=changed_policies)
        self.adopt(structs.replace(other, version=self.world.version + 1))

    def judge(self) -> None:
        wishes = self.book.wishes().wishes
        released = frozenset(one for one in sorted(wishes) if self.die.random() < 0.5)
        held = frozenset(one for one in sorted(wishes - released) if self.die.random() < 0.5)
        self.released = released
        self.look(self.book.judge(released, held))

    def complete(self) -> None:
        self.settle_picture()

    def deliver(self) -> None:
        if self.told and self.book.observed.namespaces_synced:
            self.enqueue(self.book.see(self.told.pop(0), now=NOW))

    def lose_contact(self) -> None:
        self.book.observed.unsync()
        self.settle_picture()
        self.die.choice((self.edit, self.take_away, self.namespace_changes))()
        self.relist()

    def relist(self) -> None:
        """List everything, which overtakes what was not told yet."""
        self.told.clear()
        lists: list[WatchEvent] = [NamespacesReplaced(tuple(self.spaces.values()), self.version)]
        for name in SECRET_NAMES:
            there = [(key[0], observe(found)) for key, found in self.secrets.items() if key[1] == name]
            lists.append(SecretsReplaced(name, tuple((key, one) for key, one in there if one), self.version))
        for one in self.die.sample(lists, len(lists)):
            self.enqueue(self.book.see(one, now=NOW))
        self.settle_picture()

    def work(self, *, luck: float = 0.8) -> None:
        if not self.due:
            return
        namespace = self.die.choice(sorted(self.due))
        self.due.discard(namespace)
        if unread := self.book.unread(namespace):
            self.read(namespace, unread, luck)
            return
        if not (plans := self.book.writes(namespace, now=NOW)):
            self.look({namespace})
        for plan in plans:
            self.book.sending(plan)
            self.write(plan, luck)
            self.book.sent(plan)
            if self.book.unread(namespace):
                self.look({namespace})

    def read(self, namespace: NamespaceName, names: list[SecretName], luck: float) -> None:
        for name in names:
            if self.die.random() > luck:
                self.due.add(namespace)  # no answer: tried again
                return
            if (told := self.book.to_read(namespace, name)) is not None:
                dues = self.book.read(told, observe(self.secrets.get((namespace, name))), now=NOW)
                assert dues is not None
                self.enqueue(dues)

    def write(self, plan: TargetPlan, luck: float) -> None:
        key = (plan.namespace, plan.name)
        found = self.secrets.get(key)
        there = observe(found)
        if plan.namespace not in self.spaces or isinstance(plan.write, Create) is not (there is None):
            if isinstance(plan.write, Create):
                self.due.add(plan.namespace)  # refused: tried again
            else:
                self.enqueue(self.book.gone(plan, now=NOW))
            return
        if (
            there is not None
            and not isinstance(plan.write, Create | None)
            and plan.write.resource_version != there.resource_version
        ):
            self.due.add(plan.namespace)  # 409: tried again
            return
        if self.die.random() > luck:
            self.book.targets.failed(plan, Failure("Transient", "no luck"))
            self.book.forgive()
            self.look({plan.namespace})
            return
        after = carry_out(found, plan)
        if isinstance(plan.write, Delete):
            del self.secrets[key]
            self.told.append(SecretGone(*key, self.next_version()))
            self.enqueue(self.book.gone(plan, now=NOW))
            return
        assert after is not None
        if isinstance(plan.write, Create):
            after = self.anew_made(after)
        whole = self.book.answers.whole(plan.name)
        seen = self.set_secret(*key, self.admit(after))
        if self.die.random() < 0.2:  # somebody, or something, is faster than the answer
            self.die.choice((self.edit, self.take_away, self.namespace_changes, self.new_world, self.judge))()
        if self.die.random() < 0.3:  # the watch is
            while self.told:
                self.deliver_now()
        stored = seen if whole else None
        self.enqueue(self.book.written(plan, Uid(seen.uid), seen.resource_version, now=NOW, stored=stored))

    def admit(self, after: Object) -> Object:
        """Do what admission does to a write: nothing."""
        return after

    def deliver_now(self) -> None:
        self.enqueue(self.book.see(self.told.pop(0), now=NOW))

    # what must hold

    def anew(self) -> Book:
        """Write a book from what this one knows."""
        book = Book(CLUSTER, View.empty(CLUSTER, HUB), self.cache)
        book.drop_names(frozenset(SECRET_NAMES))
        book.observed.pods = self.book.pods
        book.adopt(self.book.view)
        book.past.remembered.update(self.book.past.remembered)
        known = self.book.observed
        book.see(NamespacesReplaced(tuple(known.namespaces.values()), self.version), now=NOW)
        for name in SECRET_NAMES:
            book.see(SecretsReplaced(name, tuple(known.secrets(name).items()), self.version), now=NOW)
        gate = self.book.targets.gate
        book.judge(gate.released, gate.held)
        book.complete(whole_picture=gate.whole_picture)
        for namespace in known.namespaces:
            book.look(namespace, now=NOW)
        return book

    def anything_unread(self) -> bool:
        return any(self.book.unread(namespace) for namespace in self.book.observed.namespaces)


def said(book: Book) -> dict[str, object]:
    """Return everything that a book says, but how often somebody changed something."""
    wishes = book.wishes()
    return {
        "lines": {where: tuple(map(plain, lines)) for where, lines in book.tally.places()},
        "wishes": wishes.wishes,
        "totals": wishes.totals,
        "marked": wishes.marked,
        "excluded": {name: one.excluded for name, one in book.targets.policies().items() if one.excluded},
        "writing": book.writing,
    }


def plain(line: Line) -> Line:
    """Leave out what depends on the past: how often something was changed, and what had selected it."""
    line = line if line.desired else structs.replace(line, by_pods=False)
    return structs.replace(line, reason="", message="") if line.reason == "Contested" else line


@settings(max_examples=300)
@given(dice)
def test_a_book_that_is_kept_up_equals_one_that_is_written_anew(die: Random) -> None:
    cluster = Cluster(die)
    for _ in range(TURNS):
        cluster.turn()
        assert cluster.anything_unread() or said(cluster.book) == said(cluster.anew())


@settings(max_examples=200)
@given(dice)
def test_what_needs_a_write_is_handed_to_a_worker(die: Random) -> None:
    cluster = Cluster(die)
    for _ in range(TURNS):
        cluster.turn()
        assert cluster.book.writing <= cluster.due


@settings(max_examples=200)
@given(dice)
def test_left_alone_it_comes_to_rest(die: Random) -> None:
    cluster = Cluster(die)
    for _ in range(TURNS):
        cluster.turn()
    for _ in range(200):
        if not (cluster.told or cluster.due):
            break
        if cluster.told:
            cluster.deliver_now()
        else:
            cluster.work(luck=1.0)
    assert not cluster.due
    assert cluster.book.writing == set()
    assert said(cluster.book) == said(cluster.anew())
    before = said(cluster.book)
    cluster.relist()
    assert said(cluster.book) == before  # nothing of it was out of date
