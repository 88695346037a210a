"""The brake's ledger as the state store keeps it. Pure; a ledger that cannot be read starts empty."""

import msgspec
from msgspec import Struct

from imps_multi.model.brake import Ledger, Shown
from imps_multi.model.growth import Growth
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.target_plan import Wish

VERSION = 1
LEDGER = "ledger"
"""The item's key in the state store."""


class _Stored(Struct, frozen=True):
    version: int
    released: list[tuple[Wish, float]]
    recent: list[tuple[float, PolicyName, ClusterName]]
    shown: dict[str, tuple[list[Wish], float]]
    approved: list[Wish]
    growth: Growth = Growth()


def encode_ledger(ledger: Ledger, growth: Growth) -> bytes:
    """Write the ledger."""
    stored = _Stored(
        version=VERSION,
        released=sorted(ledger.released.items()),
        recent=list(ledger.recent),
        shown={key: (sorted(one.members), one.at) for key, one in sorted(ledger.shown.items())},
        approved=sorted(ledger.approved),
        growth=growth,
    )
    return msgspec.json.encode(stored)


def decode_ledger(content: bytes) -> tuple[Ledger, Growth]:
    """Read the ledger; an empty one for anything that is not one."""
    try:
        stored = msgspec.json.decode(content, type=_Stored)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Ledger(), Growth()
    if stored.version != VERSION:
        return Ledger(), Growth()
    ledger = Ledger(
        released=dict(stored.released),
        recent=tuple(stored.recent),
        shown={key: Shown(frozenset(members), at) for key, (members, at) in stored.shown.items()},
        approved=frozenset(stored.approved),
    )
    return ledger, stored.growth
