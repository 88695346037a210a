"""What a policy wrote before: kept, so that what was written once can be kept fresh, taken back, or found again.

Pure values; the composer keeps them up and stores them. ``delivered`` holds entries and is never shown.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from imps_multi.model.discreet import Discreet
from imps_multi.model.names import PolicyName, RegistryKey, SecretName
from imps_multi.model.policy import Policy, SourceRef

VERSION = 1


class Delivered(Discreet, frozen=True):
    """The last entry that was wanted for a registry; canonical JSON text, never shown."""

    content: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        """Show the expiry only."""
        return f"Delivered(expires_at={self.expires_at})"


class History(Struct, frozen=True):
    """One policy's past. ``known`` is False where an earlier past may have been lost."""

    refs: tuple[SourceRef, ...] = ()
    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()
    names: frozenset[SecretName] = frozenset()
    delivered: Mapping[RegistryKey, Delivered] = {}
    known: bool = True
    handled_sync: str = ""
    """The last value of the sync annotation that was acted on."""


class _Stored(Struct, frozen=True):
    version: int
    policy: str
    history: History


def extend(history: History, policy: Policy, delivered: Mapping[RegistryKey, Delivered]) -> History:
    """Add what a policy writes now."""
    refs = history.refs + tuple(ref for ref in policy.sources if ref not in history.refs)
    return History(
        refs=refs,
        labels=history.labels | {key for key, _ in policy.secret.labels},
        annotations=history.annotations | {key for key, _ in policy.secret.annotations},
        names=history.names | {policy.secret.name},
        delivered={**history.delivered, **delivered},
        known=history.known,
        handled_sync=history.handled_sync or (policy.sync_request if not history.refs else ""),
    )


def encode(name: PolicyName, history: History) -> bytes:
    """Write a history for the state store."""
    return msgspec.json.encode(_Stored(version=VERSION, policy=name, history=history))


def decode(content: bytes) -> tuple[PolicyName, History] | None:
    """Read a stored history; None for anything that is not one."""
    try:
        stored = msgspec.json.decode(content, type=_Stored)
    except msgspec.MsgspecError:
        return None
    return (PolicyName(stored.policy), stored.history) if stored.version == VERSION else None
