"""A target cluster in memory: what ``ports.ClusterClient`` talks to, with a switch for everything that can go wrong.

It behaves as an API server does where actors can tell: one growing resourceVersion, preconditions, lists and watch
streams, bodies read as JSON. Every call is bounded in time, as the port promises. ``requests`` logs what was asked.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.names import (
    DOCKERCONFIGJSON_KEY,
    ClusterName,
    NamespaceName,
    SecretName,
    Uid,
)
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.model.pods import PodsAsked
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    FleetMember,
    Forbidden,
    Gone,
    Invalid,
    NamespaceTerminating,
    NotFound,
    PortError,
    Reason,
    Resume,
    ServerVersion,
    Throttled,
    Transient,
    Unauthorized,
    Watched,
    WatchNamespaces,
    WatchPods,
    WatchSecrets,
    Written,
)
from tests.actors.fake_objects import Json, Request, Stream, merge, moved, seen, wall_now, without_version
from tests.actors.fake_pods import FakePods

PROBE_LIMIT = 2.0
SILENCE = 150.0
WRITES = frozenset({"create", "replace", "patch", "delete"})
Where = tuple[str, str]


class FakeCluster:
    """One cluster. Switches may be turned at any time; ``change`` wakes what waits for one."""

    def __init__(self, name: str = "a", *, uid: str = "", namespaces: tuple[str, ...] = ()) -> None:
        self.name = name
        self.uid = Uid(uid or f"cluster-{name}")
        self.version = 100
        self.oldest = 0
        self.namespaces: dict[str, NamespaceRecord] = {}
        self.secrets: dict[Where, Json] = {}
        self.pods = FakePods()
        self.named_by: dict[Where, str] = {}
        self.after_look: Callable[[str, str], None] = lambda _namespace, _name: None
        """Who in a namespace names a Secret."""
        self.requests: list[Request] = []
        self.streams: list[Stream] = []
        self.open_clients = 0
        self.in_flight = 0
        self.refusing: Callable[[], PortError] | None = None
        """Every call is answered so."""
        self.hanging = False
        """Nothing is answered, on new connections or old; what was under way goes on afterwards."""
        self.latency = 0.0
        self.forbidden: set[str] = set()
        """Secret names that the role does not name: create alone is allowed. ``pods``: they may not be watched."""
        self.losing_answers = 0
        """So many writes are made, and their answers lost."""
        self.write_error: Callable[[str, str], PortError | None] = lambda _namespace, _name: None
        self.admission: Callable[[Json], None] = lambda _secret: None
        """What is done to a Secret that we write, before it is stored."""
        self.whole_answers = 0
        """So many answers to writes were asked for whole."""
        self.read_error: Callable[[], PortError] | None = None
        """How a GET of a Secret is answered."""
        self.identity_error: Callable[[], PortError] | None = None
        """How a GET of kube-system is answered."""
        self.connect_error: Callable[[], Exception] | None = None
        self.watch_error: Callable[[str], PortError | None] = lambda _name: None
        self._history: list[tuple[int, Watched, WatchEvent]] = []
        self._changed = anyio.Event()
        self._uids = 0
        for namespace in namespaces:
            self.add_namespace(namespace)

    # what people do in the cluster

    def add_namespace(
        self, name: str, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Create a namespace, or change its labels and annotations."""
        record = NamespaceRecord(
            name=NamespaceName(name),
            resource_version=self._next(),
            labels=tuple(sorted((labels or {}).items())),
            annotations=tuple(sorted((annotations or {}).items())),
        )
        self._see(name, record)

    def terminate(self, name: str) -> None:
        """Begin to delete a namespace: nothing can be created in it any more."""
        old = self.namespaces[name]
        record = NamespaceRecord(old.name, self._next(), old.labels, old.annotations, terminating=True)
        self._see(name, record)

    def remove_namespace(self, name: str) -> None:
        """End a namespace's deletion: it is gone, and all in it."""
        for namespace, secret in [where for where in self.secrets if where[0] == name]:
            self.remove(namespace, secret)
        for namespace, pod in [where for where in self.pods.there if where[0] == name]:
            self.end_pod(namespace, pod)
        del self.namespaces[name]
        self._tell(WatchNamespaces(), NamespaceGone(NamespaceName(name), self._next()))

    def put(self, namespace: str, name: str, **content: Any) -> Json:
        """Write a Secret as somebody else would: a foreign one where nothing else is said."""
        metadata = {"name": name, "namespace": namespace, **content.pop("metadata", {})}
        old = self.secrets.get((namespace, name))
        body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "data": {}}
        return self._store({**body, **content, "metadata": metadata}, old)

    def edit(self, namespace: str, name: str, change: Callable[[Json], None]) -> None:
        """Change a Secret by hand."""
        old = self.secrets[namespace, name]
        new: Json = json.loads(json.dumps(old))
        change(new)
        self._store(new, old)

    def remove(self, namespace: str, name: str) -> None:
        """Delete a Secret by hand."""
        del self.secrets[namespace, name]
        event = SecretGone(NamespaceName(namespace), SecretName(name), self._next())
        self._tell(WatchSecrets(SecretName(name)), event)

    def run_pod(
        self,
        namespace: str,
        name: str = "pod-1",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create a pod, or change it (its status, where labels and annotations stay)."""
        self.pods.put(namespace, name, labels or {}, annotations or {})
        self._tell_of_pod(namespace, name)

    def end_pod(self, namespace: str, name: str = "pod-1") -> None:
        """Have a pod finish, or be deleted: a watch of unfinished pods shows both alike."""
        self.pods.remove(namespace, name)
        self._tell_of_pod(namespace, name)

    # switches

    def change(self) -> None:
        """Let everything that waits look at the switches again."""
        self._changed.set()
        self._changed = anyio.Event()
        for stream in self.streams:
            stream.stir()

    def freeze(self) -> None:
        """Stop answering: what is under way hangs too."""
        self.hanging = True
        self.change()

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        self.hanging = False
        self.refusing = None
        self.change()

    def go_down(self) -> None:
        """Refuse connections, and cut those that are open."""
        self.fail(lambda: Transient(f"{self.name}: connection refused"))

    def fail(self, why: Callable[[], PortError]) -> None:
        """Answer every call so, and cut what is open."""
        self.refusing = why
        self.cut()

    def cut(self) -> None:
        """Cut every stream."""
        for stream in self.streams:
            stream.end = Transient(f"{self.name}: the stream was cut")
        self.change()

    def fall_silent(self) -> None:
        """Let every open stream stay open and tell nothing any more, what happens from now on included."""
        for stream in self.streams:
            stream.mute = True
        self.change()

    def expire(self) -> None:
        """Forget the past: a watch that asks for it gets a 410, and the open ones end."""
        self.oldest = self.version
        self._history.clear()
        for stream in self.streams:
            stream.end = Gone(f"{self.name}: too old")
        self.change()

    def close_streams(self) -> None:
        """End every stream properly, as a server does every few minutes."""
        for stream in self.streams:
            stream.closed = True
        self.change()

    # what tests look at

    def watched_pods(self) -> list[PodsAsked]:
        """Return for which rules pods are watched at this moment."""
        return [one.watched.asked for one in self.streams if isinstance(one.watched, WatchPods)]

    @property
    def writes(self) -> list[Request]:
        """Every write that was asked for, however it was answered."""
        return [one for one in self.requests if one.verb in WRITES]

    def lists(self, watched: str) -> int:
        """Return how many whole lists were made of namespaces, or of a Secret name."""
        return sum(1 for one in self.requests if one.verb == "list" and one.name == watched)

    def config(self, namespace: str, name: str) -> Mapping[str, Json]:
        """Return the ``auths`` of a Secret."""
        data = self.secrets[namespace, name]["data"][DOCKERCONFIGJSON_KEY]
        auths: Mapping[str, Json] = json.loads(b64decode(data))["auths"]
        return auths

    def passwords(self, registry: str, name: str = "pull") -> dict[str, str]:
        """Return what each namespace holds for a registry."""
        return {
            namespace: self.config(namespace, name)[registry]["password"]
            for namespace, secret in sorted(self.secrets)
            if secret == name and registry in self.config(namespace, name)
        }

    def member(self, *, name: str = "", fingerprint: str = "", **settings: Any) -> FleetMember:
        """Return the cluster as a configured one."""
        own = ClusterSettings(name=ClusterName(name or self.name), **settings)
        return FleetMember(
            settings=own, server=f"https://{self.name}", fingerprint=fingerprint or self.name, connect=self._connect
        )

    async def _connect(self) -> "FakeClient":
        await checkpoint()
        if self.connect_error is not None:
            raise self.connect_error()
        return FakeClient(self)

    # the server's side

    def create(self, namespace: str, body: Json) -> Json:
        """POST."""
        name = body["metadata"]["name"]
        self._check_namespace(namespace, creating=True)
        if (namespace, name) in self.secrets:
            raise AlreadyExists(f"{namespace}/{name} is there")
        self.admission(body)
        return self._store(body, None)

    def get(self, namespace: str, name: str) -> SeenSecret:
        """GET."""
        self._check_name(name)
        if (found := self.secrets.get((namespace, name))) is None:
            raise NotFound(f"{namespace}/{name}")
        return seen(found)

    def replace(self, namespace: str, name: str, body: Json) -> Json:
        """PUT."""
        old = self._checked(namespace, name, body)
        if body["type"] != old["type"]:
            raise Invalid("type is immutable")
        self.admission(body)
        return self._store(body, old)

    def patch(self, namespace: str, name: str, body: Json) -> Json:
        """PATCH with a JSON merge patch."""
        old = self._checked(namespace, name, body)
        merged = merge(json.loads(json.dumps(old)), body)
        self.admission(merged)
        return self._store(merged, old)

    def delete(self, namespace: str, name: str, uid: str, version: int) -> None:
        """DELETE with both preconditions."""
        self._check_name(name)
        old = self.secrets.get((namespace, name))
        if old is None:
            return
        if (old["metadata"]["uid"], old["metadata"]["resourceVersion"]) != (uid, str(version)):
            raise Conflict("the preconditions do not hold")
        self.remove(namespace, name)

    def picture(self, watched: Watched) -> WatchEvent:
        """Return everything of a kind."""
        if isinstance(watched, WatchNamespaces):
            return NamespacesReplaced(tuple(self.namespaces.values()), self.version)
        if isinstance(watched, WatchPods):
            return self.pods.picture(watched.asked, self.version)
        found = tuple(
            (NamespaceName(space), seen(secret))
            for (space, name), secret in self.secrets.items()
            if name == watched.name
        )
        return SecretsReplaced(watched.name, found, self.version)

    def since(self, watched: Watched, version: int) -> list[tuple[int, WatchEvent]]:
        """Return what happened after a version."""
        if version < self.oldest:
            raise Gone(f"{version} is too old")
        return [(at, event) for at, what, event in self._history if what == watched and at > version]

    async def answer(self, limit: float) -> None:
        """Wait as long as the switches say; raise what they say."""
        try:
            with anyio.fail_after(limit):
                await checkpoint()
                if self.latency:
                    await anyio.sleep(self.latency)
                while self.hanging and self.refusing is None:
                    await self._changed.wait()
        except TimeoutError:
            raise Transient(f"{self.name}: no answer", reason=Reason.TIMEOUT) from None
        if self.refusing is not None:
            raise self.refusing()

    def allow(self, name: str) -> None:
        """Let the role name a Secret."""
        self.forbidden.discard(name)

    def _check_namespace(self, namespace: str, *, creating: bool = False) -> None:
        record = self.namespaces.get(namespace)
        if record is None:
            raise NotFound(f"namespace {namespace}")
        if creating and record.terminating:
            raise NamespaceTerminating(f"namespace {namespace}")

    def _check_name(self, name: str) -> None:
        if name in self.forbidden:
            raise Forbidden(f"secrets {name!r} is forbidden")

    def check_watch(self, watched: Watched) -> None:
        """Refuse what the role does not name."""
        name = name_of(watched)
        if (error := self.watch_error(name)) is not None:
            raise error
        if isinstance(watched, WatchSecrets):
            self._check_name(watched.name)
        if isinstance(watched, WatchPods) and "pods" in self.forbidden:
            raise Forbidden("pods is forbidden")

    def _checked(self, namespace: str, name: str, body: Json) -> Json:
        self._check_name(name)
        self._check_namespace(namespace)
        old = self.secrets.get((namespace, name))
        if old is None:
            raise NotFound(f"{namespace}/{name}")
        if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        return old

    def _store(self, body: Json, old: Json | None) -> Json:
        metadata = body["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        for value in body.get("data", {}).values():
            b64decode(value, validate=True)
        metadata["uid"] = old["metadata"]["uid"] if old is not None else self._new_uid()
        if old is not None and without_version(body) == without_version(old):
            return old
        metadata["resourceVersion"] = str(self._next())
        self.secrets[namespace, name] = body
        self._tell(WatchSecrets(SecretName(name)), moved(body))
        return body

    def _see(self, name: str, record: NamespaceRecord) -> None:
        new = name not in self.namespaces
        self.namespaces[name] = record
        live = NamespaceRecord(
            record.name,
            record.resource_version,
            record.labels,
            record.annotations,
            record.terminating,
            wall_now() if new else 0.0,
        )
        self._tell(WatchNamespaces(), NamespaceSeen(live))

    def _tell_of_pod(self, namespace: str, name: str) -> None:
        """Tell every watch what it would see; the history keeps it for those that were open once."""
        version = self._next()
        known = {watched for _, watched, _ in self._history} | {stream.watched for stream in self.streams}
        for watched in known:
            if isinstance(watched, WatchPods):
                self._tell(watched, self.pods.event(watched.asked, namespace, name, version))

    def _tell(self, watched: Watched, event: WatchEvent) -> None:
        self._history.append((self.version, watched, event))
        for stream in self.streams:
            if stream.watched == watched and not stream.mute:
                stream.backlog.append((self.version, event))
                stream.stir()

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _new_uid(self) -> str:
        self._uids += 1
        return f"{self.uid}-{self._uids}"


def name_of(watched: Watched) -> str:
    """Name what is watched."""
    match watched:
        case WatchSecrets(name=name):
            return name
        case WatchPods():
            return "pods"
        case WatchNamespaces():
            return "namespaces"


class FakeClient:
    """The client of a ``FakeCluster``."""

    def __init__(self, cluster: FakeCluster, request_timeout: float = 30.0) -> None:
        self._cluster = cluster
        self._limit = request_timeout
        self._closed = False
        self._last_byte_at = anyio.current_time()
        cluster.open_clients += 1

    @property
    def last_byte_at(self) -> float:
        """When the last answer came."""
        return self._last_byte_at

    async def probe(self, *, anew: bool = False) -> ServerVersion:  # noqa: ARG002  # there are no connections here
        """GET /version."""
        with self._request("probe"):
            await self._cluster.answer(PROBE_LIMIT)
            return ServerVersion("v1.34.0")

    async def identity(self) -> Uid:
        """Return the UID of kube-system."""
        with self._request("identity"):
            await self._cluster.answer(self._limit)
            if self._cluster.identity_error is not None:
                raise self._cluster.identity_error()
            return self._cluster.uid

    async def watch(self, watched: Watched, resume: Resume | None, emit: Callable[[WatchEvent], None]) -> Resume | None:
        """Run one stream."""
        name = name_of(watched)
        cluster = self._cluster
        with self._request("watch" if resume else "list", name=name):
            await cluster.answer(self._limit)
            cluster.check_watch(watched)
        stream = Stream(watched)
        version = cluster.version
        if resume is None:
            emit(cluster.picture(watched))
        else:
            stream.backlog = cluster.since(watched, resume.resource_version)
        cluster.streams.append(stream)
        try:
            return await self._follow(stream, version, emit)
        finally:
            cluster.streams.remove(stream)

    async def read_secret(self, namespace: NamespaceName, name: SecretName) -> SeenSecret:
        """GET."""
        with self._request("get", namespace, name):
            await self._cluster.answer(self._limit)
            if self._cluster.read_error is not None:
                raise self._cluster.read_error()
            return self._cluster.get(namespace, name)

    async def create_secret(self, namespace: NamespaceName, body: bytes, *, whole: bool = False) -> Written:
        """POST."""
        content = json.loads(body)
        name = content["metadata"]["name"]
        stored = await self._write("create", namespace, name, lambda: self._cluster.create(namespace, content))
        return self._written(stored, whole=whole)

    async def replace_secret(
        self, namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False
    ) -> Written:
        """PUT."""
        content, cluster = json.loads(body), self._cluster
        stored = await self._write("replace", namespace, name, lambda: cluster.replace(namespace, name, content))
        return self._written(stored, whole=whole)

    async def patch_secret(
        self, namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False
    ) -> Written:
        """PATCH."""
        content, cluster = json.loads(body), self._cluster
        stored = await self._write("patch", namespace, name, lambda: cluster.patch(namespace, name, content))
        return self._written(stored, whole=whole)

    async def delete_secret(
        self, namespace: NamespaceName, name: SecretName, *, uid: Uid, resource_version: int
    ) -> None:
        """DELETE."""
        cluster = self._cluster
        await self._write("delete", namespace, name, lambda: cluster.delete(namespace, name, uid, resource_version))

    async def references(self, namespace: NamespaceName, name: SecretName) -> str | None:
        """Say who names the Secret."""
        with self._request("references", namespace, name):
            await self._cluster.answer(self._limit)
            found = self._cluster.named_by.get((namespace, name))
            self._cluster.after_look(namespace, name)
            return found

    async def renew_credentials(self) -> None:
        """Nothing to renew."""
        await checkpoint()

    async def aclose(self) -> None:
        """Close."""
        await checkpoint()
        if not self._closed:
            self._closed = True
            self._cluster.open_clients -= 1

    def _written(self, stored: Json, *, whole: bool) -> Written:
        self._cluster.whole_answers += whole
        found = seen(stored)
        return Written(found.uid, found.resource_version, found if whole else None)

    async def _write(self, verb: str, namespace: str, name: str, act: Callable[[], Json | None]) -> Json:
        cluster = self._cluster
        with self._request(verb, namespace, name):
            await cluster.answer(self._limit)
            if (error := cluster.write_error(namespace, name)) is not None:
                raise error
            stored = act()
            if cluster.losing_answers:
                cluster.losing_answers -= 1
                raise Transient("the answer was lost")
            await cluster.answer(self._limit)
        return stored or {}

    async def _follow(self, stream: Stream, version: int, emit: Callable[[WatchEvent], None]) -> Resume | None:
        cluster = self._cluster
        while True:
            if not stream.mute:
                self._heard()
            while stream.backlog and not cluster.hanging:
                version, event = stream.backlog.pop(0)
                emit(event)
            if stream.end is not None:
                raise stream.end
            if stream.closed:
                return Resume(max(version, cluster.version))
            with anyio.move_on_after(SILENCE if stream.mute or cluster.hanging else 60.0):
                await stream.stirred.wait()
                continue
            if stream.mute or cluster.hanging:
                return None

    def _heard(self) -> None:
        if not self._cluster.hanging:
            self._last_byte_at = anyio.current_time()

    @contextmanager
    def _request(self, verb: str, namespace: str = "", name: str = "") -> Iterator[None]:
        assert not self._closed
        cluster = self._cluster
        place = len(cluster.requests)
        cluster.requests.append(Request(anyio.current_time(), verb, namespace, name))
        cluster.in_flight += 1
        result = "cancelled"
        try:
            yield
            result = "ok"
            self._heard()
        except PortError as error:
            result = type(error).__name__
            raise
        finally:
            cluster.in_flight -= 1
            cluster.requests[place] = Request(cluster.requests[place].at, verb, namespace, name, result)


def unauthorized() -> PortError:
    """Be a 401."""
    return Unauthorized("the token is not known")


def tls_failure() -> PortError:
    """Be a certificate of somebody else."""
    return Transient("certificate verify failed", reason=Reason.TLS)


def throttled(seconds: float) -> Callable[[], PortError]:
    """Be a 429."""
    return lambda: Throttled("too many requests", retry_after=seconds)
