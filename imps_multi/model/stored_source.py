"""A source Secret as the state store keeps it: its last good content.

Pure. Written before the world that depends on it, so that a source that breaks takes nothing away across a restart.
"""

from collections.abc import Mapping

import msgspec

from imps_multi.model.discreet import Discreet
from imps_multi.model.hub import SourceSecret
from imps_multi.model.policy import SourceRef

VERSION = 1


class _Stored(Discreet, frozen=True):
    version: int
    ref: SourceRef
    type: str
    data: Mapping[str, bytes]
    annotations: Mapping[str, str]

    def __repr__(self) -> str:
        """Name the source only."""
        return f"_Stored({self.ref})"


def encode_source(source: SourceSecret) -> bytes:
    """Write a source; equal ones are equal bytes."""
    stored = _Stored(VERSION, source.ref, source.type, source.data, source.annotations)
    return msgspec.json.encode(stored, order="deterministic")


def decode_source(content: bytes) -> SourceSecret | None:
    """Read a stored source; None for anything that is not one."""
    try:
        stored = msgspec.json.decode(content, type=_Stored)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if stored.version != VERSION:
        return None
    return SourceSecret(ref=stored.ref, type=stored.type, data=stored.data, annotations=stored.annotations)
