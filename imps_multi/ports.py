"""The seams between actors and the world: Protocols, and the closed set of errors they raise.

Adapters (kube, hubs, registries) implement these and translate every failure, once, into an error of this file; actors
know nothing else. The error's type says what to do, its message what was tried and where. No message holds a secret.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from msgspec import Struct

from imps_multi.model.credential import Interpretation, MintedToken, MintIdentity
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.hub import HubReading, SourceSecret
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import SeenSecret, WatchEvent
from imps_multi.model.pods import PodsAsked
from imps_multi.model.policy import SourceRef
from imps_multi.model.status import PolicyStatus


class Reason(enum.Enum):
    """Why a cluster is in trouble, as its status shows it."""

    UNREACHABLE = "Unreachable"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    THROTTLED = "Throttled"
    TIMEOUT = "Timeout"
    TLS = "TLS"
    EXEC_PLUGIN = "ExecPlugin"
    DUPLICATE = "Duplicate"
    PAUSED = "Paused"


class PortError(Exception):
    """What every adapter raises. ``reason`` is how a status names it."""

    reason: Reason = Reason.UNREACHABLE


class Transient(PortError):
    """Try again later: no connection, a timeout, a 5xx, a broken stream. ``answered``: an HTTP answer did come."""

    def __init__(self, message: str, *, reason: Reason = Reason.UNREACHABLE, answered: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.answered = answered


class Throttled(PortError):
    """429, or a provider's throttling: not before ``retry_after`` seconds."""

    reason = Reason.THROTTLED

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unauthorized(PortError):
    """401, or a provider that refuses the identity: log in again."""

    reason = Reason.UNAUTHORIZED


class Forbidden(PortError):
    """403: give up on this until something changes; the message names the permission."""

    reason = Reason.FORBIDDEN


class NamespaceTerminating(PortError):
    """The namespace is going away: drop the target."""


class AlreadyExists(PortError):
    """409 on create: somebody was first; look at what is there."""


class Conflict(PortError):
    """409 on update or delete: the world moved on; the watch will tell."""


class NotFound(PortError):
    """404: the object or its namespace is gone."""


class Gone(PortError):
    """410, or a stream that cannot be resumed: list again."""


class Invalid(PortError):
    """400, 413, 415, 422: the server refuses what was sent; the message says why, without content."""


class ServerVersion(Struct, frozen=True):
    """What GET /version answered."""

    git_version: str


class Written(Struct, frozen=True, gc=False):
    """The answer to a create or an update; ``stored``: what it made of the Secret, where that was asked for."""

    uid: Uid
    resource_version: int
    stored: SeenSecret | None = None


class WatchNamespaces(Struct, frozen=True):
    """Watch every namespace, metadata only."""


class WatchSecrets(Struct, frozen=True):
    """Watch the Secrets of one name in every namespace."""

    name: SecretName


class WatchPods(Struct, frozen=True):
    """Watch unfinished pods in every namespace, metadata only, narrowed by the server as far as the rules allow."""

    asked: PodsAsked


Watched = WatchNamespaces | WatchSecrets | WatchPods


class Resume(Struct, frozen=True):
    """Where a watch may go on without a new list."""

    resource_version: int


class ClusterClient(Protocol):
    """One target cluster. Every call has its own time limit, is tried once, and raises PortErrors only."""

    @property
    def last_byte_at(self) -> float:
        """When the last byte of any answer came, as ``anyio.current_time`` counts."""

    async def probe(self, *, anew: bool = False) -> ServerVersion:
        """GET /version on a fresh connection, within two seconds.

        ``anew``: contact begins; connections from before are given up, since their peer may be gone.
        """

    async def identity(self) -> Uid:
        """Return the UID of the kube-system namespace."""

    async def watch(self, watched: Watched, resume: Resume | None, emit: Callable[[WatchEvent], None]) -> Resume | None:
        """Run one stream: a whole list first (one ``…Replaced`` event) unless resumed, then every change as it comes.

        Of a Secret, a change may be told as metadata alone (``SecretMoved``).

        Returns where to resume when the server closed the stream properly; None asks for a fresh list at once (a stream
        that fell silent or went back in time). ``emit`` is called synchronously, in order, never after return.

        Raises:
            Gone: the resume point is too old.
            Forbidden: this may not be watched.
        """

    async def read_secret(self, namespace: NamespaceName, name: SecretName) -> SeenSecret:
        """GET a whole Secret, digested.

        Raises:
            NotFound: it is not there.
        """

    async def create_secret(self, namespace: NamespaceName, body: bytes, *, whole: bool = False) -> Written:
        """POST; never overwrites. ``whole``: have answered what was stored, and not its version alone."""

    async def replace_secret(
        self, namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False
    ) -> Written:
        """PUT a whole object that names its resourceVersion; ``whole`` as above."""

    async def patch_secret(
        self, namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False
    ) -> Written:
        """Send a JSON merge patch that names the resourceVersion; ``whole`` as above."""

    async def delete_secret(
        self, namespace: NamespaceName, name: SecretName, *, uid: Uid, resource_version: int
    ) -> None:
        """DELETE with both preconditions. A Secret that is gone already is success."""

    async def references(self, namespace: NamespaceName, name: SecretName) -> str | None:
        """Say who in the namespace names the Secret (an unfinished pod or a ServiceAccount), or None for nobody."""

    async def renew_credentials(self) -> None:
        """After a 401: read or run the credential source again; concurrent callers share one run."""

    async def aclose(self) -> None:
        """Close every connection; idempotent, within a second."""


class Hub(Protocol):
    """Where policies and source Secrets come from. ``read`` and ``changed`` are called by one actor, in turn."""

    async def run(self) -> None:
        """Keep up with the hub for ever; what has nothing to keep up with waits for ever. A root actor."""

    def need(self, sources: frozenset[SourceRef]) -> None:
        """Take in which source Secrets the policies in force name; others need not be read. Never blocks."""

    async def read(self) -> HubReading:
        """Look at everything once; never raises for bad content (that is a problem in the reading)."""

    async def changed(self) -> None:
        """Return when a new reading is due (after the changes have settled)."""


class PolicyEvent(Struct, frozen=True):
    """A Kubernetes Event on a policy. ``warning`` False: type Normal. ``message`` holds no secret."""

    policy: PolicyName
    uid: Uid
    reason: str
    message: str
    warning: bool = False


class PolicyBoard(Protocol):
    """Where a hub in a cluster shows how its policies stand; a directory hub has none. Each call is tried once."""

    async def put_status(self, policy: PolicyName, uid: Uid, status: PolicyStatus) -> None:
        """Replace the status of a policy as it was last read from the hub.

        Raises:
            NotFound: the policy is gone, or was never read.
            Conflict: it moved on since it was read, or was made anew; what moved comes with the next reading.
        """

    async def post_event(self, event: PolicyEvent) -> None:
        """Make an Event, or count a like one up."""


class Section(enum.Enum):
    """The parts of the state store."""

    TOKENS = "tokens"
    SOURCES = "sources"
    POLICIES = "policies"
    HELD = "held"


class StateStore(Protocol):
    """What must outlive the process. Loading leaves out, and reports, what it cannot read; it never raises for it."""

    async def load(self, section: Section) -> Mapping[str, bytes]:
        """Return every readable item of a section by key."""

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Write one item durably, whole or not at all. Raises Transient when it could not be written."""

    async def delete(self, section: Section, key: str) -> None:
        """Take one item away; a missing one is fine."""


class Provider(Protocol):
    """Mints tokens. Tried once per call, with a time limit of its own."""

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token.

        Raises:
            Transient, Throttled: may work later.
            Unauthorized, Forbidden: the identity is refused.
            Invalid: the answer is of no use.
        """


class WriteRecord(Struct, frozen=True, gc=False):
    """One write to a target cluster, for the audit log and the metrics. ``result``: ok, or the error's name."""

    time: float
    cluster: ClusterName
    namespace: NamespaceName
    name: SecretName
    uid: str
    operation: str
    policy: PolicyName
    why: str
    expires_at: float | None
    result: str


class Signals(Protocol):
    """What actors tell to whoever counts and logs. Never blocks, never raises."""

    def write(self, record: WriteRecord) -> None:
        """A write was answered, or failed."""

    def onboarded(self, seconds: float) -> None:
        """A namespace got its first target this long after it was seen."""

    def fanned_out(self, seconds: float) -> None:
        """A changed source reached its last reachable target after so long."""

    def refreshed(self, provider: str, *, ok: bool) -> None:
        """A mint worked, or failed."""

    def crashed(self, actor: str, error: Exception, *, incarnation: int) -> None:
        """An actor, ``KIND`` or ``KIND NAME``, failed in a way nobody foresaw, and restarts; it alone says so."""

    def quarantined(self, kind: str, name: str, *, active: bool) -> None:
        """A cluster's or a credential's actor spent its restarts; ``active`` False: it runs again."""

    def uid_changed(self, cluster: ClusterName) -> None:
        """A target has another UID than before: somebody made it anew."""

    def queued(self, waited: float) -> None:
        """A worker took a key that had been due for so many seconds."""


Interpreter = Callable[[SourceSecret], Interpretation]
"""Maps a source Secret to what it gives; pure, never raises for bad content."""

Connect = Callable[[], Awaitable[ClusterClient]]
"""Builds the client of one cluster; may block on TLS set-up in a thread, does not connect yet."""

Clock = Callable[[], float]
"""The wall clock, seconds since the epoch."""


class FleetMember(Struct, frozen=True):
    """A configured cluster: its settings, where it is written, and how to reach it.

    ``fingerprint`` changes exactly when ``connect`` would build another client (server, credentials, CA, proxy).
    """

    settings: ClusterSettings
    server: str
    fingerprint: str
    connect: Connect
    place: str = ""
