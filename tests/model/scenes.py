"""Small worlds for tables: a policy, its sources, a namespace, and the planner that looks at them."""

from base64 import b64encode
from collections.abc import Iterable, Mapping

from imps_multi.model.choosing import NO_PODS, PodsThere
from imps_multi.model.credential import Bounds, Entry, SourceKind, SourceState
from imps_multi.model.dockerconfig import basic_entry
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.gate import Gate
from imps_multi.model.names import ClusterName, HubId, NamespaceName, PolicyName, RegistryKey, SecretName, Uid
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.plan import Planner
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy, Policy, SourceRef, TargetSecret
from imps_multi.model.selection import ClusterSelection, NamespaceSelection, PodRule, PodSelection
from imps_multi.model.target_plan import Line, TargetPlan, Wish
from imps_multi.model.view import View, view
from imps_multi.model.wanted import WantedCache
from imps_multi.model.world import Resolved, Retained, Standing, World
from tests.model.objects import KEY, Object, carry_out, metadata_of, observe, texts

NOW = 1_800_000_000.0
HOUR = 3600.0
HUB = HubId("mgmt")
CLUSTER = ClusterName("prod-1")
EVERYWHERE = ClusterSelection(names=("*",))
HUB_REGISTRY = "registry.example.com"
SECOND = "second.example.com"
ANYWHERE = Bounds()


def entry(registry: str = HUB_REGISTRY, password: str = "secret-1") -> Entry:
    """Make a registry entry."""
    return basic_entry(registry, "user", password)


def source(
    *registries: str,
    name: str = "one",
    kind: SourceKind = SourceKind.STORED,
    password: str = "secret-1",
    expires_in: float | None = None,
    life: float = 12 * HOUR,
    bounds: Bounds = ANYWHERE,
) -> SourceState:
    """Make a source's state; one that expires was issued ``life`` before that."""
    expires_at = None if expires_in is None else NOW + expires_in
    gives = kind in (SourceKind.STORED, SourceKind.MINTED)
    return SourceState(
        ref=SourceRef(NamespaceName("sources"), name),
        kind=kind,
        entries=tuple(entry(registry, password) for registry in registries) if gives else (),
        bounds=bounds,
        issued_at=None if expires_at is None else expires_at - life,
        expires_at=expires_at,
    )


def policy(
    name: str = "p",
    *,
    secret: str = "pull",
    names: Iterable[str] = ("team-*",),
    exclude: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    deletion: DeletionPolicy = DeletionPolicy.WHEN_UNREFERENCED,
    suspend: bool = False,
    created: float | None = None,
    clusters: ClusterSelection | None = EVERYWHERE,
    conflict: ConflictPolicy = ConflictPolicy.FAIL,
    pods: Iterable[PodRule] = (),
) -> Policy:
    """Make a policy that selects every cluster and the namespaces team-*."""
    return Policy(
        name=PolicyName(name),
        generation=1,
        sources=(),
        secret=TargetSecret(
            SecretName(secret), tuple(sorted((labels or {}).items())), tuple(sorted((annotations or {}).items()))
        ),
        namespaces=NamespaceSelection(names=tuple(names), exclude=tuple(exclude)),
        clusters=clusters,
        conflict_policy=conflict,
        deletion_policy=deletion,
        suspend=suspend,
        created=created,
        pods=PodSelection(tuple(pods)),
    )


def resolved(
    spec: Policy | None = None,
    *sources: SourceState,
    standing: Standing = Standing.VALID,
    retained: Iterable[Entry] = (),
    waiting: bool = False,
    history_known: bool = True,
    past_labels: Iterable[str] = (),
    past_annotations: Iterable[str] = (),
    revision: int = 0,
) -> Resolved:
    """Put a policy in force; without sources it has one that gives one registry."""
    return Resolved(
        policy=spec or policy(),
        standing=standing,
        sources=sources or (source(HUB_REGISTRY),),
        retained={one.registry: Retained(one) for one in retained},
        waiting=waiting,
        history_known=history_known,
        past_labels=frozenset(past_labels),
        past_annotations=frozenset(past_annotations),
        revision=revision,
    )


def world(*policies: Resolved, version: int = 1, hub_empty: bool = False, deleted: Iterable[str] = ()) -> World:
    """Make a synced and whole world."""
    return World(
        version=version,
        synced=True,
        whole=True,
        policies={one.policy.name: one for one in policies},
        hub_empty=hub_empty,
        seen_deleted=frozenset(PolicyName(name) for name in deleted),
    )


def seen_from(
    there: World,
    cluster: ClusterName = CLUSTER,
    previous: Iterable[str] = (),
    *,
    decommission: bool = False,
    home: bool = False,
) -> View:
    """Look at a world from one cluster; ``home``: the hub lies in it."""
    settings = ClusterSettings(cluster, decommission=decommission, home=home)
    return view(there, settings, hub=HUB, previous=tuple(HubId(one) for one in previous))


def namespace(
    name: str = "team-a", *, annotations: Mapping[str, str] | None = None, terminating: bool = False, version: int = 1
) -> NamespaceRecord:
    """Make a namespace."""
    return NamespaceRecord(
        NamespaceName(name), version, (), tuple(sorted((annotations or {}).items())), terminating=terminating
    )


class Bench:
    """A planner with everything it needs, and the Secret that lies in team-a."""

    def __init__(
        self,
        there: World | Resolved,
        *,
        found: Object | None = None,
        gate: Gate | None = None,
        record: NamespaceRecord | None = None,
        remembered: Mapping[str, str] | None = None,
        adopted: Iterable[str] = (),
        previous: Iterable[str] = (),
        now: float = NOW,
        secret: str = "pull",
        pods: PodsThere = NO_PODS,
        home: bool = False,
    ) -> None:
        self.pods = pods
        self.said: tuple[Line, ...] = ()
        """What was last said of the target."""
        self.name = SecretName(secret)
        self.view = seen_from(there if isinstance(there, World) else world(there), previous=previous, home=home)
        self.cache = WantedCache(HUB)
        self.found = found
        self.record = record or namespace()
        self.now = now
        self.remembered = {Uid(uid): PolicyName(name) for uid, name in (remembered or {}).items()}
        self.adopted = frozenset(map(Uid, adopted))
        self.gate = gate or Gate(whole_picture=True)

    def plan(self, *, now: float | None = None) -> TargetPlan | None:
        """Plan the target."""
        planner = Planner(
            self.view,
            self.cache,
            self.remembered,
            self.gate,
            self.adopted,
            pods=self.pods,
            last_said=lambda _: self.said,
        )
        return planner.plan(self.record, self.name, observe(self.found), now=self.now if now is None else now)

    def needed(self, *, now: float | None = None) -> TargetPlan:
        """Plan a target with which somebody has to do."""
        plan = self.plan(now=now)
        assert plan is not None
        return plan

    def settle(self) -> Object:
        """Carry out what is planned until nothing is; return what lies there then."""
        for _ in range(4):
            plan = self.plan()
            if plan is None or plan.write is None:
                assert self.found is not None
                return self.found
            self.found = carry_out(self.found, plan)
        raise AssertionError("it never settles")

    def lines(self) -> dict[str, Line]:
        """Return what is said by policy."""
        return {line.policy: line for line in self.needed().lines}

    def let_go(self, *wishes: Wish | None) -> "Bench":
        """Let wishes go."""
        released = frozenset(wish for wish in wishes if wish is not None)
        self.gate = Gate(whole_picture=self.gate.whole_picture, released=released)
        return self

    def hold(self, *wishes: Wish | None) -> "Bench":
        """Hold wishes."""
        held = frozenset(wish for wish in wishes if wish is not None)
        self.gate = Gate(whole_picture=self.gate.whole_picture, held=held)
        return self


def keys(*registries: str) -> frozenset[RegistryKey]:
    """Name registries."""
    return frozenset(map(RegistryKey, registries))


def written(
    by: Resolved, *, record: NamespaceRecord | None = None, now: float = NOW, version: int = 1, uid: str = "uid-1"
) -> Object:
    """Return the target that a policy writes where nothing is."""
    bench = Bench(by, record=record, now=now)
    made = carry_out(None, bench.needed())
    assert made is not None
    metadata_of(made).update(uid=uid, resourceVersion=str(version))
    return made


def changed(
    found: Object,
    *,
    labels: Mapping[str, str | None] | None = None,
    annotations: Mapping[str, str | None] | None = None,
    content: bytes | None = None,
    **fields: object,
) -> Object:
    """Change a Secret as somebody else does; None takes a label or an annotation away."""
    metadata = dict(metadata_of(found))
    metadata["labels"] = _with(texts(metadata.get("labels")), labels or {})
    metadata["annotations"] = _with(texts(metadata.get("annotations")), annotations or {})
    metadata["resourceVersion"] = str(int(str(metadata["resourceVersion"])) + 1)
    data = texts(found["data"]) if content is None else {KEY: b64encode(content).decode()}
    return {**found, "metadata": metadata, "data": data, **fields}


def _with(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**before, **changes}
    return {key: value for key, value in merged.items() if value is not None}
