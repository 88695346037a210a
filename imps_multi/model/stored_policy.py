"""A policy as the state store keeps it: its last valid spec, and what was ever written for it.

Pure. Written before the writes that depend on it, read back at start by the hub watcher. A record that cannot be read
(damage, another version) is left out: then keys stay on targets, and nothing is deleted for it.
"""

from typing import Final

import msgspec
from msgspec import Struct

from imps_multi.model.names import SecretName
from imps_multi.model.policy import Policy

STORED_VERSION: Final = 1


class StoredPolicy(Struct, frozen=True):
    """``deleted``: the policy is gone, but targets may carry it still."""

    policy: Policy
    deleted: bool = False
    secret_names: frozenset[SecretName] = frozenset()
    """Every target name written since the policy came."""
    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()
    """Keys of the owner's own labels and annotations written since."""


class _Envelope(Struct, frozen=True):
    version: int
    stored: msgspec.Raw


class _Out(Struct, frozen=True):
    version: int
    stored: StoredPolicy


def encode_policy(stored: StoredPolicy) -> bytes:
    """Write a record; equal records are equal bytes."""
    return msgspec.json.encode(_Out(STORED_VERSION, stored), order="deterministic")


def decode_policy(content: bytes) -> StoredPolicy | None:
    """Read a record; None where it cannot be."""
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
        if envelope.version != STORED_VERSION:
            return None
        return msgspec.json.decode(envelope.stored, type=StoredPolicy)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def with_written(stored: StoredPolicy | None, policy: Policy) -> StoredPolicy:
    """Record a valid policy, keeping every name and key that an earlier record had."""
    earlier = stored or StoredPolicy(policy)
    return StoredPolicy(
        policy=policy,
        secret_names=earlier.secret_names | {policy.secret.name},
        labels=earlier.labels | {key for key, _ in policy.secret.labels},
        annotations=earlier.annotations | {key for key, _ in policy.secret.annotations},
    )
