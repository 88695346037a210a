"""Good fakes for everything that actors reach through ports, but clusters: hub, state store, provider, signals, clock.

Each behaves as its port promises and has switches for what can go wrong. ``fake_cluster`` holds the clusters.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
from anyio.lowlevel import checkpoint
from msgspec import structs

from imps_multi.model.credential import (
    Bounds,
    Interpretation,
    MintedToken,
    MintIdentity,
    MintSource,
    SourceFault,
    StaticSource,
)
from imps_multi.model.dockerconfig import DockerConfigError, parse
from imps_multi.model.hub import HubObject, HubProblem, HubReading, Place, SourceSecret
from imps_multi.model.names import ClusterName, PolicyName, RegistryKey
from imps_multi.model.policy import SourceRef
from imps_multi.model.status import PolicyStatus
from imps_multi.ports import NotFound, PolicyEvent, Section, Transient, WriteRecord

EPOCH = 1_800_000_000.0
SPACE = "registry-access"
LIFE = 12 * 3600.0
INLINE = {"ecr": {"region": "eu-west-1", "accountID": "123456789012", "registryHosts": ["inline.example"]}}
"""The source that ``policy`` writes for ``inline``."""


class WallClock:
    """A wall clock that goes with ``anyio.current_time``; ``step`` moves it, as an operator or a suspend does."""

    def __init__(self) -> None:
        self.offset = EPOCH

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self.offset + anyio.current_time()

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.offset += seconds


class FakeHub:
    """A hub in memory. Every change is one reading."""

    def __init__(self) -> None:
        self.objects: dict[str, HubObject] = {}
        self.problems: tuple[HubProblem, ...] = ()
        self.error: Exception | None = None
        self.reads = 0
        self.needed: frozenset[SourceRef] = frozenset()
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Wait for ever."""
        await anyio.sleep_forever()

    def need(self, sources: frozenset[SourceRef]) -> None:
        """Remember which sources are named."""
        self.needed = sources

    async def read(self) -> HubReading:
        """Look at everything once."""
        await checkpoint()
        self.reads += 1
        if self.error is not None:
            raise self.error
        return HubReading(tuple(self.objects.values()), self.problems, whole=not self.problems)

    async def changed(self) -> None:
        """Return when something changed."""
        await self._changed.wait()

    def put(self, *objects: HubObject) -> None:
        """Write objects over those of the same name."""
        self.objects |= {f"{one.kind} {one.name}": one for one in objects}
        self._tell()

    def remove(self, name: str, kind: str = "ImagePullSecret") -> None:
        """Take an object away."""
        del self.objects[f"{kind} {name}"]
        self._tell()

    def spoil(self, *names: str) -> None:
        """Make the hub not whole: a file is broken, and what stood in it is not read."""
        self.problems = (HubProblem(Place("hub/broken.yaml", 3, 1), "not YAML"),)
        self.objects = {key: one for key, one in self.objects.items() if one.name not in names}
        self._tell()

    def mend(self, *objects: HubObject) -> None:
        """Make it whole again."""
        self.problems = ()
        self.put(*objects)

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


@dataclass
class FakeBoard:
    """Shows statuses on a fake hub's policies. ``error`` is raised instead; ``keeps``: the fields that its CRD has."""

    hub: FakeHub
    error: Exception | None = None
    event_error: Exception | None = None
    hanging: bool = False
    echoing: bool = True
    """Whether what is written is seen at once."""
    keeps: frozenset[str] | None = None
    puts: list[tuple[float, str, PolicyStatus]] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)
    """The uid of each put."""
    events: list[PolicyEvent] = field(default_factory=list)
    putting: int = 0
    most: int = 0
    """How many were under way at most."""

    async def put_status(self, policy: PolicyName, uid: str, status: PolicyStatus) -> None:
        """Write a status, and let the hub see it."""
        self.putting += 1
        self.most = max(self.most, self.putting)
        try:
            await checkpoint()
            if self.hanging:
                await anyio.sleep_forever()
            if self.error is not None:
                raise self.error
            if f"ImagePullSecret {policy}" not in self.hub.objects:
                raise NotFound(f"{policy} is gone")
            self.puts.append((anyio.current_time(), policy, status))
            self.uids.append(uid)
            if self.echoing:
                self.show(policy, msgspec.to_builtins(status))
        finally:
            self.putting -= 1

    async def post_event(self, event: PolicyEvent) -> None:
        """Keep an Event."""
        await checkpoint()
        if self.event_error is not None:
            raise self.event_error
        self.events.append(event)

    def show(self, policy: str, status: Mapping[str, Any] | None) -> None:
        """Make a status what the hub shows: ours, or somebody's edit."""
        kept = {key: value for key, value in (status or {}).items() if self.keeps is None or key in self.keeps}
        one = self.hub.objects[f"ImagePullSecret {policy}"]
        self.hub.put(structs.replace(one, content={**one.content, "status": kept}))

    def shown(self, policy: str = "team") -> dict[str, Any]:
        """Return what the hub shows."""
        content: dict[str, Any] = self.hub.objects[f"ImagePullSecret {policy}"].content.get("status", {})
        return content

    def condition(self, kind: str = "Ready", policy: str = "team") -> tuple[str, str] | None:
        """Return status and reason of a condition that is shown."""
        found = [one for one in self.shown(policy).get("conditions", ()) if one["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else None

    def told(self) -> list[str]:
        """Return the reasons of all Events."""
        return [one.reason for one in self.events]


@dataclass
class FakeStore:
    """A state store in memory that outlives services. ``failing``: nothing can be written; ``slow``: seconds a save."""

    items: dict[tuple[Section, str], bytes] = field(default_factory=dict)
    failing: bool = False
    slow: float = 0.0
    saves: list[tuple[Section, str]] = field(default_factory=list)
    saving: int = 0

    async def load(self, section: Section) -> Mapping[str, bytes]:
        """Return a section."""
        await checkpoint()
        return {key: content for (where, key), content in self.items.items() if where is section}

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Write one item, whole or not at all."""
        self.saving += 1
        try:
            await checkpoint()
            if self.slow:
                await anyio.sleep(self.slow)
            if self.failing:
                raise Transient("the disk is full")
            self.items[section, key] = content
            self.saves.append((section, key))
        finally:
            self.saving -= 1

    async def delete(self, section: Section, key: str) -> None:
        """Take one item away."""
        await checkpoint()
        if self.failing:
            raise Transient("the disk is full")
        self.items.pop((section, key), None)

    def keys(self, section: Section) -> set[str]:
        """Return the keys of a section."""
        return {key for where, key in self.items if where is section}


@dataclass
class FakeProvider:
    """Mints another token at every call. ``error`` is raised instead; ``hanging`` answers nothing."""

    clock: Callable[[], float]
    life: float | None = LIFE
    error: Exception | None = None
    hanging: bool = False
    latency: float = 0.0
    answer: Callable[[MintedToken], MintedToken] = lambda token: token
    mints: list[tuple[float, str]] = field(default_factory=list)
    """When which identity was asked for."""
    minting: int = 0

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token."""
        self.mints.append((anyio.current_time(), identity.key))
        self.minting += 1
        try:
            await checkpoint()
            if self.hanging:
                await anyio.sleep_forever()
            await anyio.sleep(self.latency)
            if self.error is not None:
                raise self.error
            now = self.clock()
            expires_at = None if self.life is None else now + self.life
            return self.answer(MintedToken("AWS", f"token-{len(self.mints)}", now, expires_at))
        finally:
            self.minting -= 1

    def times(self, key: str = "") -> list[float]:
        """Return when an identity was asked for."""
        return [at for at, asked in self.mints if not key or asked == key]


@dataclass
class RecordingSignals:
    """Keeps everything it is told."""

    writes: list[WriteRecord] = field(default_factory=list)
    onboardings: list[float] = field(default_factory=list)
    fan_outs: list[float] = field(default_factory=list)
    refreshes: list[tuple[str, bool]] = field(default_factory=list)
    crashes: list[tuple[str, Exception]] = field(default_factory=list)
    quarantines: dict[tuple[str, str], bool] = field(default_factory=dict)
    uid_changes: list[ClusterName] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def write(self, record: WriteRecord) -> None:
        """Keep a write."""
        self.writes.append(record)

    def onboarded(self, seconds: float) -> None:
        """Keep a time."""
        self.onboardings.append(seconds)

    def fanned_out(self, seconds: float) -> None:
        """Keep a time."""
        self.fan_outs.append(seconds)

    def refreshed(self, provider: str, *, ok: bool) -> None:
        """Keep a mint's end."""
        self.refreshes.append((provider, ok))

    def crashed(self, actor: str, error: Exception, *, incarnation: int) -> None:  # noqa: ARG002  # the port's
        """Keep a crash."""
        self.crashes.append((actor, error))

    def quarantined(self, kind: str, name: str, *, active: bool) -> None:
        """Keep a quarantine."""
        self.quarantines[kind, name] = active

    def uid_changed(self, cluster: ClusterName) -> None:
        """Keep a new UID."""
        self.uid_changes.append(cluster)

    def queued(self, waited: float) -> None:
        """Keep a wait."""
        self.waits.append(waited)


# manifests, and what they mean


def policy(name: str = "team", **given: Any) -> HubObject:
    """Make a policy: ``sources``, ``clusters``, ``namespaces``, ``pods``, ``secret``, ``labels``, … ``spec``."""
    spec = {
        "registry": {
            "credentials": [
                INLINE if source == "inline" else {"name": source, "namespace": SPACE}
                for source in given.get("sources", ("static",))
            ]
        },
        "target": {
            "clusters": given.get("clusters", {"names": ["*"]}),
            "namespaces": given.get("namespaces", {"names": ["team-*"]}),
            "namespacesWithPods": given.get("pods", {}),
            "secret": {"name": given.get("secret", "pull"), "labels": given.get("labels", {})},
        },
        **given.get("spec", {}),
    }
    content = {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": name, "annotations": given.get("annotations", {})},
        "spec": spec,
    }
    return HubObject("ImagePullSecret", "", name, Place(f"hub/{name}.yaml", 1, 1), content)


def static(name: str = "static", *, annotations: Mapping[str, str] | None = None, **passwords: str) -> HubObject:
    """Make a static source; ``_`` stands for the dots of a registry's name."""
    auths = {
        registry.replace("_", "."): {"username": "u", "password": word} for registry, word in passwords.items()
    } or {"quay.io": {"username": "u", "password": "p"}}
    return secret(
        name, {".dockerconfigjson": json.dumps({"auths": auths})}, "kubernetes.io/dockerconfigjson", annotations
    )


def minted(name: str = "ecr", *, identity: str = "one", registries: Iterable[str] = ("ecr.example",)) -> HubObject:
    """Make a source whose credential is minted."""
    return secret(name, {"identity": identity, "registries": ",".join(registries)}, "mint")


def secret(name: str, data: Mapping[str, str], kind: str, annotations: Mapping[str, str] | None = None) -> HubObject:
    """Make a source Secret's manifest."""
    content = {"type": kind, "stringData": dict(data), "metadata": {"annotations": dict(annotations or {})}}
    return HubObject("Secret", SPACE, name, Place(f"hub/{name}.yaml", 1, 1), content)


def interpret(source: SourceSecret) -> Interpretation:
    """Read the sources that are made here."""
    if source.ref.inline:
        return MintSource(
            MintIdentity("fake", source.ref.name, {}), (RegistryKey(source.data["registryHosts"].decode()),)
        )
    if source.type == "mint":
        key = source.data["identity"].decode()
        registries = tuple(RegistryKey(one) for one in source.data["registries"].decode().split(",") if one)
        return MintSource(MintIdentity("fake", key, {}), registries)
    namespaces = source.annotations.get("imps-multi.io/allow-namespaces")
    bounds = Bounds(namespaces=tuple(namespaces.split(",")) if namespaces else None)
    try:
        return StaticSource(parse(source.data.get(".dockerconfigjson", b"")).entries, bounds)
    except DockerConfigError as error:
        return SourceFault(str(error))
