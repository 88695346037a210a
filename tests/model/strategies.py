"""Small random worlds: policies with their sources, namespaces, and Secrets in every state.

Few names, so that policies meet: as rivals, as heirs, as owners of one another's targets. A strategy draws one number
and everything follows from it: a world has hundreds of choices, and drawing each would leave time for few worlds.
"""

from collections.abc import Callable
from random import Random
from typing import cast

from hypothesis import strategies as st
from msgspec import structs

from imps_multi.model.credential import Bounds, SourceKind, SourceState
from imps_multi.model.gate import Gate
from imps_multi.model.names import NamespaceName, PolicyName, RegistryKey, SecretName
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.pods import PodsReplaced
from imps_multi.model.pods_fold import Pods
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy, Policy, TargetSecret
from imps_multi.model.selection import (
    ClusterSelection,
    NamespaceSelection,
    Operator,
    PodField,
    PodRule,
    PodSelection,
    Requirement,
    Selector,
)
from imps_multi.model.target_plan import Wish
from imps_multi.model.world import Resolved, Retained, Standing, World
from tests.model.objects import Object, carry_out, made, metadata_of
from tests.model.scenes import EVERYWHERE, HOUR, NOW, Bench, changed, entry, source

REGISTRIES = ("one.example.com", "two.example.com", "index.docker.io", "https://index.docker.io/v1/")
POLICY_NAMES = tuple(map(PolicyName, ("p1", "p2", "p3")))
NAMESPACES = tuple(map(NamespaceName, ("team-a", "team-b", "other")))
SECRET_NAMES = tuple(map(SecretName, ("pull", "second")))
OUR_LABELS = ("app.kubernetes.io/managed-by", "imps-multi.io/hub")
OUR_ANNOTATIONS = (
    "imps-multi.io/policy",
    "imps-multi.io/deletion-policy",
    "imps-multi.io/unwanted-since",
    "imps-multi.io/linger",
    "imps-multi.io/expires-at",
    "imps-multi.io/adopted",
)
INSTANTS = ("2027-01-15T07:30:00Z", "2027-01-15T08:00:00Z", "2027-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "nonsense")
LIVES = (None, -HOUR, HOUR, 12 * HOUR)

POD_RULES = tuple(
    PodRule(field, Selector((Requirement("app", Operator.IN, frozenset({value})),)))
    for field, value in ((PodField.LABELS, "web"), (PodField.LABELS, "db"), (PodField.ANNOTATIONS, "web"))
)

dice = st.integers(0, 2**32).map(Random)


def rarely(die: Random, one_in: int = 6) -> bool:
    """Say yes now and then."""
    return die.randrange(one_in) == 0


def some(die: Random, choices: tuple[str, ...], at_most: int = 2) -> list[str]:
    """Choose a few, in any order."""
    return die.sample(choices, die.randrange(at_most + 1))


def a_source(die: Random, number: int) -> SourceState:
    """Make a source in any state."""
    kind = die.choice((SourceKind.STORED, SourceKind.MINTED, SourceKind.MINTED, *SourceKind))
    bound = die.choice((None, None, None, None, ("team-a",), ("nowhere",)))
    return source(
        *(some(die, REGISTRIES, 1) or [die.choice(REGISTRIES[:2])]),
        name=f"s{number}",
        kind=kind,
        password=die.choice("xy"),
        expires_in=die.choice(LIVES) if kind is SourceKind.MINTED else None,
        bounds=Bounds(namespaces=bound),
    )


def a_policy(die: Random, name: PolicyName) -> Policy:
    """Make a valid policy."""
    return Policy(
        name=name,
        generation=1,
        sources=(),
        secret=TargetSecret(
            die.choice((SECRET_NAMES[0], *SECRET_NAMES)),
            tuple((key, die.choice("12")) for key in sorted(some(die, ("a", "b")))),
            tuple((key, die.choice("12")) for key in sorted(some(die, ("a", "b")))),
        ),
        namespaces=NamespaceSelection(
            names=die.choice((("*",), ("team-*",), ("team-a",), ("nobody",))),
            exclude=("team-b",) if rarely(die) else (),
        ),
        clusters=ClusterSelection() if rarely(die) else EVERYWHERE,
        conflict_policy=die.choice((*ConflictPolicy,)),
        deletion_policy=die.choice((DeletionPolicy.WHEN_UNREFERENCED, *DeletionPolicy)),
        suspend=rarely(die, 8),
        created=die.choice((None, 1.0, 2.0)),
        pods=PodSelection(tuple(die.sample(POD_RULES, die.choice((0, 0, 1, 2))))),
    )


def a_resolved(die: Random, name: PolicyName) -> Resolved:
    """Put a policy in force, in any standing."""
    given = tuple(a_source(die, number) for number in range(die.choice((1, 1, 2))))
    now_given = {one.registry for state in given for one in state.entries}
    life = die.choice(LIVES)
    return Resolved(
        policy=a_policy(die, name),
        standing=die.choice((Standing.VALID, Standing.VALID, Standing.VALID, *Standing)),
        sources=given,
        retained={
            RegistryKey(key): Retained(entry(key, die.choice("xy")), None if life is None else NOW + life)
            for key in some(die, REGISTRIES, 4)
            if key not in now_given
        },
        waiting=rarely(die, 10),
        history_known=not rarely(die, 3),
        past_labels=frozenset(some(die, ("a", "b"))),
        past_annotations=frozenset(some(die, ("a", "b"))),
        revision=die.randrange(3),
    )


def a_world(die: Random) -> World:
    """Make a world of a few policies."""
    return World(
        version=die.randrange(3),
        synced=True,
        whole=not rarely(die),
        policies={name: a_resolved(die, name) for name in POLICY_NAMES[: die.randrange(4)]},
        seen_deleted=frozenset(map(PolicyName, some(die, POLICY_NAMES))),
        hub_empty=rarely(die, 10),
    )


def a_namespace(die: Random, name: NamespaceName | None = None, version: int = 1) -> NamespaceRecord:
    """Make a namespace as it may be seen."""
    return NamespaceRecord(
        name or die.choice(NAMESPACES),
        version,
        annotations=(("imps-multi.io/ignore", "true"),) if rarely(die, 10) else (),
        terminating=rarely(die, 15),
    )


def a_target(die: Random, there: World, namespace: NamespaceName, name: SecretName) -> Object | None:
    """Make what a policy of this world, or of an earlier one, wrote there."""
    by = die.choice(POLICY_NAMES)
    writer = there.policies.get(by)
    if writer is None or rarely(die, 3):
        writer = a_resolved(die, by)
    spec = structs.replace(
        writer.policy,
        secret=structs.replace(writer.policy.secret, name=name),
        namespaces=NamespaceSelection(names=("*",)),
        clusters=EVERYWHERE,
        suspend=False,
    )
    before = structs.replace(writer, policy=spec, standing=Standing.VALID, waiting=False)
    if rarely(die, 3):
        before = structs.replace(before, sources=(*before.sources, a_source(die, 9)))
    bench = Bench(before, record=NamespaceRecord(namespace, 1), secret=name, now=NOW - 2 * HOUR)
    plan = bench.plan()
    return carry_out(None, plan) if plan is not None and plan.write is not None else None


def a_secret(die: Random, there: World, namespace: NamespaceName, name: SecretName) -> Object | None:
    """Make what may lie there: nothing, ours as written or spoilt in any way, or somebody else's."""
    if rarely(die):
        return None
    found = a_target(die, there, namespace, name)
    if found is None or rarely(die, 10):
        found = made(name=name, namespace=namespace, kind=die.choice(("kubernetes.io/dockerconfigjson", "Opaque")))
    for _ in range(die.choice((0, 0, 1, 2, 3))):
        found = spoilt(die, found)
    return found


def spoilt(die: Random, found: Object) -> Object:
    """Change a Secret as anybody might."""
    data = cast("dict[str, str]", found["data"])
    values = (None, None, *POLICY_NAMES, "Retain", "Immediate", "true", "24h", *INSTANTS)
    contents = (b"{}", b"not json", b'{"auths":{"evil.example.com":{},"one.example.com":{}}}')
    since = {"imps-multi.io/unwanted-since": die.choice(INSTANTS), "imps-multi.io/linger": "1h"}
    key = die.choice(("a", "foreign"))
    spoils: tuple[Callable[[], Object], ...] = (
        lambda: changed(found, labels={die.choice(OUR_LABELS): die.choice((None, "imps-multi", "mgmt", "other"))}),
        lambda: changed(found, annotations={die.choice(OUR_ANNOTATIONS): die.choice(values)}),
        lambda: changed(found, content=die.choice(contents)),
        lambda: changed(found, data={**data, "planted": "eA=="}),
        lambda: changed(found, immutable=True),
        lambda: held(changed(found)),
        lambda: changed(found, annotations=since),
        lambda: changed(found, labels={key: "9"}, annotations={key: "9"}),
        lambda: changed(found, labels={"app.kubernetes.io/managed-by": "Helm"}),
        lambda: owned(changed(found), die.choice(("ImagePullSecret", "Other")), controls=rarely(die, 3)),
        lambda: by_imps(found, b"{}" if rarely(die) else contents[2]),
    )
    return die.choice(spoils)()


def held(found: Object) -> Object:
    """Put a finalizer on a Secret."""
    metadata_of(found)["finalizers"] = ["example.com/x"]
    return found


def owned(found: Object, kind: str, *, controls: bool) -> Object:
    """Put an ownerReference on a Secret; only one may control it."""
    metadata = metadata_of(found)
    group = "images.banzaicloud.io/v1alpha1" if kind == "ImagePullSecret" else "v1"
    reference: Object = {"apiVersion": group, "kind": kind, "name": "o", "uid": "u"}
    before = cast("list[Object]", metadata.get("ownerReferences") or [])
    if controls and not any(one.get("controller") for one in before):
        reference["controller"] = True
    metadata["ownerReferences"] = [*before, reference]
    return found


def by_imps(found: Object, content: bytes) -> Object:
    """Write over a Secret as the IMPS operator does: nothing that it did not put there stays."""
    bare = {**metadata_of(found), "labels": {}, "annotations": {}, "ownerReferences": []}
    marked = changed(
        {**found, "metadata": bare},
        labels={"images.banzaicloud.io/owner-uid": "u"},
        annotations={"banzaicloud.com/last-applied": "a copy"},
        content=content,
    )
    return owned(marked, "ImagePullSecret", controls=True)


def a_bench(die: Random) -> Bench:
    """Put a planner before something, in a random world, with a gate that is open to some of it."""
    there, record, name = a_world(die), a_namespace(die), die.choice((SECRET_NAMES[0], *SECRET_NAMES))
    found = a_secret(die, there, record.name, name)
    remembered = {} if found is None or rarely(die, 2) else {str(metadata_of(found)["uid"]): die.choice(POLICY_NAMES)}
    now = NOW + die.choice((0.0, 0.0, 2 * HOUR, 24 * HOUR))
    bench = Bench(there, record=record, found=found, remembered=remembered, now=now, secret=name, pods=some_pods(die))
    plan = bench.plan()
    wish = frozenset[Wish]() if plan is None or plan.wish is None else frozenset({plan.wish})
    word = die.choice(("released", "released", "held", "nothing"))
    bench.gate = Gate(
        whole_picture=not rarely(die) and bench.view.whole,
        released=wish if word == "released" else frozenset(),
        held=wish if word == "held" else frozenset(),
    )
    return bench


def some_pods(die: Random) -> Pods:
    """Know of some pods: each rule holds somewhere, nowhere, or is not known."""
    pods = Pods()
    pods.ask(frozenset(POD_RULES[:2]))
    for asked in sorted(pods.watches, key=lambda one: POD_RULES.index(one.rules[0])):
        if not rarely(die, 3):
            pods.apply(PodsReplaced(asked, tuple((space, "pod-1", 1) for space in NAMESPACES if die.random() < 0.5), 1))
    return pods


benches = dice.map(a_bench)


def a_claim(die: Random) -> Bench:
    """Put a planner before somebody else's Secret that a policy with working sources wants."""
    spec = structs.replace(
        a_policy(die, POLICY_NAMES[0]),
        secret=TargetSecret(SECRET_NAMES[0]),
        namespaces=NamespaceSelection(names=("*",)),
        clusters=EVERYWHERE,
        suspend=rarely(die, 8),
    )
    winner = Resolved(spec, Standing.VALID, (source(REGISTRIES[0]),))
    there = structs.replace(a_world(die), hub_empty=False)
    if rarely(die):
        winner = structs.replace(winner, sources=(a_source(die, 0), a_source(die, 1)))
    there = structs.replace(there, policies={**there.policies, spec.name: winner})
    found = made(kind=die.choice(("kubernetes.io/dockerconfigjson",) * 4 + ("Opaque",)))
    for _ in range(die.choice((0, 0, 1, 2))):
        found = spoilt(die, found)
    gate = Gate(whole_picture=True, admitted={} if rarely(die, 10) else None)
    return Bench(there, record=NamespaceRecord(NAMESPACES[0], 1), found=found, gate=gate)


claims = dice.map(a_claim)
