"""A hub, three judged clusters, a service that comes and goes, and what the hub may have said of late.

Independent of the planner: what is wanted is worked out here from the few forms of policy that are written here. Feeds
``anything_steps``, which change it, and the test that drives them.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from random import Random
from typing import Any

import anyio
from msgspec import structs

from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.model.hub import HubObject
from tests.actors.fakes import FakeBoard, minted, policy, static
from tests.actors.judged_cluster import GRACE, JudgedCluster
from tests.actors.letting_go import OPEN
from tests.actors.stage import Stage
from tests.model.witness import POLICY, adoptable

SPACES = ("team-0", "team-1", "team-2")
NAMES = ("pull", "second")
POLICIES = ("alpha", "beta", "gamma")
SOURCES = ("static", "two", "ecr", "inline")
REGISTRIES = {"static": "quay.io", "two": "ghcr.io", "ecr": "ecr.example", "inline": "inline.example"}
DELETIONS = ("WhenUnreferenced", "Immediate", "Retain")
TIGHT = Safety(per_cluster=BrakeLimits(10.0, 1), fleet=BrakeLimits(10.0, 2))
SAFETIES = (OPEN, OPEN, TIGHT, structs.replace(OPEN, max_new_targets=2))


@dataclass(frozen=True)
class Spec:
    """A policy as it is written here."""

    name: str
    secret: str = "pull"
    namespaces: tuple[str, ...] = ("team-*",)
    tier: str = ""
    """Namespaces with this label are selected too."""
    app: str = ""
    """And those that have a pod with this label."""
    clusters: tuple[str, ...] = ("*",)
    sources: tuple[str, ...] = ("static",)
    conflict: str = "Fail"
    deletion: str = "WhenUnreferenced"
    suspend: bool = False
    valid: bool = True
    label: str = ""
    approve: str = ""

    def manifest(self) -> HubObject:
        """Return it as it lies in the hub."""
        labels = [{"matchLabels": {"tier": self.tier}}] if self.tier else []
        conflict = self.conflict if self.valid else "Maybe"
        return policy(
            self.name,
            sources=self.sources,
            clusters={"names": list(self.clusters)},
            namespaces={"names": list(self.namespaces), "labels": labels},
            pods={"labels": [{"matchLabels": {"app": self.app}}]} if self.app else {},
            secret=self.secret,
            labels={"tier": self.label} if self.label else {},
            annotations={"imps-multi.io/approve": self.approve} if self.approve else {},
            spec={"conflictPolicy": conflict, "deletionPolicy": self.deletion, "suspend": self.suspend},
        )

    def selects(self, cluster: JudgedCluster, namespace: str) -> bool:
        """Say whether it wants its Secret in a namespace as it is now."""
        if not any(fnmatchcase(cluster.name, one) for one in self.clusters):
            return False
        named = any(fnmatchcase(namespace, one) for one in self.namespaces)
        labels = dict(cluster.namespaces[namespace].labels)
        pods = (pod for (space, _), (pod, _) in cluster.pods.there.items() if space == namespace)
        by_pod = bool(self.app) and any(pod.get("app") == self.app for pod in pods)
        return named or (bool(self.tier) and labels.get("tier") == self.tier) or by_pod

    def may_select(self, cluster: str, namespace: str) -> bool:
        """Say whether it can have wanted its Secret there."""
        named = any(fnmatchcase(namespace, one) for one in self.namespaces)
        return any(fnmatchcase(cluster, one) for one in self.clusters) and (named or bool(self.tier or self.app))


@dataclass
class Anything:
    """All that is there. ``possible``: for each policy what may be in force, None for nothing that is known."""

    seed: int
    stage: Stage = field(default_factory=Stage)
    hub: dict[str, Spec] = field(default_factory=dict)
    possible: dict[str, list[Spec | None]] = field(default_factory=dict)
    told: deque[str] = field(default_factory=lambda: deque(maxlen=30))
    clusters: dict[str, JudgedCluster] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Clusters that are not configured."""
    last_edit: float = 0.0
    last_word: str = "p"
    steps: int = 0

    def __post_init__(self) -> None:
        self.draw = Random(self.seed)  # noqa: S311  # repeatable
        if self.seed % 2:
            self.stage.board = FakeBoard(self.stage.hub)
        self.stage.safety.set(OPEN)
        for name in "abc":
            made = JudgedCluster(name, self, self.stage.clock, SPACES)
            self.clusters[name] = self.stage.clusters[name] = made
            self.settings[name] = {}
        self.configure()
        self.stage.hub.put(static(), static("two", ghcr_io="g"), minted())
        for name in POLICIES[:2]:
            self.write(Spec(name, secret=self.draw.choice(NAMES), sources=SOURCES[:2]))

    # what was said

    def write(self, spec: Spec) -> None:
        """Write a policy into the hub."""
        self.hub[spec.name] = spec
        self._said(spec.name, spec if spec.valid else None)
        self.stage.hub.put(spec.manifest())

    def erase(self, name: str) -> None:
        """Take a policy out of the hub."""
        del self.hub[name]
        self._said(name, None)
        key = f"ImagePullSecret {name}"
        if key in self.stage.hub.objects:
            self.stage.hub.remove(name)

    def unsettle(self) -> None:
        """Take in that what is in force may be older than what the hub says."""
        self.last_edit = anyio.current_time()

    def settle(self) -> None:
        """Forget what was said before, once the service has had the time to take up what is said now."""
        hub, store = self.stage.hub, self.stage.store
        if hub.problems or store.failing or anyio.current_time() - self.last_edit < GRACE:
            return
        for name, said in self.possible.items():
            last = next((one for one in reversed(said) if one is not None), None)
            known = name in self.hub and self.hub[name].valid
            self.possible[name] = [last] if known else [last, None]

    def adopts(self, cluster: str, namespace: str, name: str) -> bool:
        """Say whether some policy may want a target, and adopt what lies there."""
        return any(
            one.conflict == "Adopt" and one.secret == name and one.may_select(cluster, namespace)
            for one in self._all_possible()
        )

    def immediate(self, policies: set[str], annotated: str) -> bool:
        """Say whether a target of these policies may go at once."""
        said = [one for name in policies for one in self.possible.get(name, [None])]
        return any(annotated == "Immediate" if one is None else one.deletion == "Immediate" for one in said)

    # the fleet

    def configure(self) -> None:
        """Set the fleet as it is written now."""
        now = anyio.current_time() if self.steps else 0.0
        for name, cluster in self.clusters.items():
            off = name in self.away or bool(self.settings[name].get("paused"))
            cluster.off_since = (cluster.off_since or now) if off else None
            if self.settings[name].get("decommission"):
                cluster.decommissioned_until = float("inf")
            else:
                cluster.decommissioned_until = min(cluster.decommissioned_until, now + GRACE)
        members = (one.member(**self.settings[name]) for name, one in self.clusters.items() if name not in self.away)
        self.stage.configure(*members)

    def heal(self) -> None:
        """Let everything work from now on, and every policy say something that can be done."""
        self.stage.provider.error, self.stage.provider.hanging = None, False
        self.stage.store.failing = False
        self.stage.safety.set(OPEN)
        self.away.clear()
        for name, cluster in self.clusters.items():
            self.settings[name] = {}
            cluster.mend()
            for space in SPACES:
                if space in cluster.namespaces and cluster.namespaces[space].terminating:
                    cluster.remove_namespace(space)
        self.configure()
        self.stage.hub.mend(static(quay_io=self.last_word), static("two", ghcr_io="g"), minted())
        for spec in list(self.hub.values()):
            self.write(replace(spec, suspend=False, valid=True, sources=spec.sources or ("static",)))
        for number, name in enumerate(NAMES):  # so that every name is watched, whatever the store has lost
            self.write(Spec(f"none-{number}", secret=name, namespaces=("nothing-*",)))

    # how it ends

    def violations(self) -> list[str]:
        """Return what was wrong so far."""
        crashes = [f"{actor}: {error!r}" for actor, error in self.stage.signals.crashes]
        return crashes + [one for cluster in self.clusters.values() for one in cluster.violations]

    def wrong(self, *, late: bool) -> Iterator[str]:
        """Say what is not as the hub wants it; ``late``: nothing lingers any more."""
        for cluster in self.clusters.values():
            for namespace in cluster.namespaces:
                for name in NAMES:
                    if message := self._wrong_at(cluster, namespace, name, late=late):
                        yield f"{cluster.name}/{namespace}/{name}: {message}"

    def _wrong_at(self, cluster: JudgedCluster, namespace: str, name: str, *, late: bool) -> str:
        found = cluster.secrets.get((namespace, name))
        wanting = [one for one in self.hub.values() if one.secret == name and one.selects(cluster, namespace)]
        if found is None:
            return "it is missing" if wanting else ""
        annotations = found["metadata"]["annotations"]
        if not cluster.is_ours(found):
            first = min(wanting, key=lambda one: one.name, default=None)
            adopted = first is not None and first.conflict == "Adopt" and adoptable(found, ("mgmt",))
            return "it is not adopted" if adopted else ""
        if not wanting and found["type"] != "kubernetes.io/dockerconfigjson":
            return ""  # somebody put it there with our marks, and may keep it
        if not wanting:
            lingers = "imps-multi.io/unwanted-since" in annotations
            return "" if lingers and not late else "it lies there unwanted"
        return self._differs(cluster, (namespace, name), wanting, annotations.get(POLICY, ""))

    def _differs(self, cluster: JudgedCluster, where: tuple[str, str], wanting: list[Spec], whose: str) -> str:
        holder = next((one for one in wanting if one.name == whose), None)
        if holder is None:
            return f"it is of {whose}, wanted by {[one.name for one in wanting]}"
        registries = {REGISTRIES[one] for one in holder.sources}
        there = {registry: entry["password"] for registry, entry in cluster.config(*where).items()}
        if there.keys() != registries or there.get("quay.io", self.last_word) != self.last_word:
            return f"it holds {there}, not {registries}"
        return ""

    def _said(self, name: str, spec: Spec | None) -> None:
        self.possible.setdefault(name, []).append(spec)
        if self.steps:
            self.unsettle()

    def _all_possible(self) -> Iterator[Spec]:
        return (one for said in self.possible.values() for one in said if one is not None)
