"""Credentials as values: registry entries, minted tokens, what a source gives at this moment.

Secret values stay out of every repr. Entries are canonical, so that equal credentials are equal bytes.
"""

import enum
from collections.abc import Mapping

from msgspec import Struct

from imps_multi.model.discreet import Discreet
from imps_multi.model.docker_settings import Setting
from imps_multi.model.names import RegistryKey
from imps_multi.model.policy import SourceRef


class Entry(Discreet, frozen=True):
    """One ``auths`` entry. ``content`` is canonical JSON (sorted keys, no spaces); it is never shown."""

    registry: RegistryKey
    content: bytes

    def __repr__(self) -> str:
        """Name the registry only."""
        return f"Entry({self.registry!r})"


class MintIdentity(Discreet, frozen=True):
    """Who asks which endpoint: equal identities share one token keeper.

    ``key`` is a digest of provider, identity and endpoint that gives nothing away; ``request`` is the provider's own
    description of the call and may hold cloud keys, so it is never shown.
    """

    provider: str
    key: str
    request: Mapping[str, str]

    def __repr__(self) -> str:
        """Name the provider and the key only."""
        return f"MintIdentity({self.provider!r}, {self.key!r})"

    def __hash__(self) -> int:
        """Hash by key, which covers the request."""
        return hash(self.key)


class MintedToken(Discreet, frozen=True):
    """A provider's answer. Times in seconds since the epoch; ``expires_at`` None where the provider gave none."""

    username: str
    password: str
    issued_at: float
    expires_at: float | None
    endpoint: str = ""
    """The registry endpoint that the provider named (ECR's proxyEndpoint), or empty."""

    def __repr__(self) -> str:
        """Show the times only."""
        return f"MintedToken(issued_at={self.issued_at}, expires_at={self.expires_at})"


class Bounds(Struct, frozen=True):
    """Where a source may go, as globs; None allows everywhere."""

    policies: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None


class StaticSource(Struct, frozen=True):
    """A source that holds its credentials itself."""

    entries: tuple[Entry, ...]
    bounds: Bounds = Bounds()
    provider: str = "static"
    settings: tuple[Setting, ...] = ()
    """What its docker config holds beside logins."""
    remark: str = ""
    """What is worth saying of the Secret though nothing is wrong."""


class MintSource(Struct, frozen=True):
    """A source whose credential is minted; ``registries`` are the keys that its token is written under.

    An empty ``registries`` means the host of the token's own endpoint.
    """

    identity: MintIdentity
    registries: tuple[RegistryKey, ...]
    bounds: Bounds = Bounds()
    remark: str = ""
    """What is worth saying of the Secret though nothing is wrong."""

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.identity.provider


class SourceFault(Struct, frozen=True):
    """Why a source Secret cannot be used: which key, what is wrong, what to do; never a value."""

    message: str
    reason: str = "SourceError"


Interpretation = StaticSource | MintSource | SourceFault


class SourceKind(enum.Enum):
    """What is known of a source at this moment."""

    MINTED = "minted"
    STORED = "stored"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class SourceState(Struct, frozen=True):
    """A source as the planner sees it.

    MINTED: a token of this process or of the state store that is being kept. STORED: a static source, or the last
    good content of one that fails now (``reason`` says so). ABSENT: its Secret is gone. UNKNOWN: not resolved yet, or
    failing with nothing stored.
    """

    ref: SourceRef
    kind: SourceKind
    entries: tuple[Entry, ...] = ()
    bounds: Bounds = Bounds()
    provider: str = ""
    issued_at: float | None = None
    expires_at: float | None = None
    next_refresh: float | None = None
    supposed: bool = False
    """Whether the entries only stand for what a run would mint now (a plan)."""
    reason: str = ""
    """Empty when all is well, else a CamelCase reason (SourceError, SourceNotAllowed)."""
    message: str = ""
    """What is wrong, or, without a reason, what is worth saying though nothing is wrong."""
    settings: tuple[Setting, ...] = ()
