"""The brake's ledger as the state store keeps it. Pure; a ledger that cannot be read starts empty."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from imps_multi.model.brake import HeldSet, Ledger, Shown
from imps_multi.model.growth import Expansion, Growth
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.policy_status import expansion_status, held_status
from imps_multi.model.target_plan import Wish

VERSION = 1
LEDGER = "ledger"
"""The item's key in the state store."""
SETS = "sets"
"""The key of what is held, for people to read."""


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


def encode_sets(held: Iterable[HeldSet], expansions: Iterable[Expansion]) -> bytes:
    """Write what is held as users see it: id, policy, clusters, deletions, why."""
    shown = [*map(held_status, held), *map(expansion_status, expansions)]
    return msgspec.json.format(msgspec.json.encode({"version": VERSION, "held": shown}), indent=2)


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
