"""A policy as the state store keeps it: its last valid spec.

Pure. Written before the writes that depend on it, read back at start by the hub watcher. A record that cannot be read
(damage, another version) is left out, and nothing is deleted for it.
"""

from typing import Final

import msgspec
from msgspec import Struct

from imps_multi.model.policy import Policy

STORED_VERSION: Final = 1


class StoredPolicy(Struct, frozen=True):
    """``deleted``: the policy is gone, but targets may carry it still."""

    policy: Policy
    deleted: bool = False


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
