"""The brake: how much may be taken away without asking.

Pure. Wishes are counted per policy and cluster, and over the fleet; a set that is too large is held until somebody
approves its id. What was let go stays let go while it is wished, and counts for an hour.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from operator import itemgetter

from msgspec import Struct

from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.target_plan import Wish
from imps_multi.model.wording import counted

HOUR = 3600.0
DAY = 86400.0
SHOWN_ANEW = 600.0
"""How often it is noted that a set is still shown: what is noted is stored."""
APPROVABLE = DAY + SHOWN_ANEW
SHOWN_SETS = 256
SHOWN_MEMBERS = 100_000
"""A set that grows by and by is shown under many ids: the oldest of them go first."""


class Wishes(Struct, frozen=True):
    """What one synced cluster wishes to take away under one version of the world.

    ``totals``: our targets there by policy, wanted or not. ``marked``: those of the wishes that were let go before, as
    the marks on their targets say; they are not asked for again, whatever the ledger remembers.
    """

    cluster: ClusterName
    version: int
    wishes: frozenset[Wish] = frozenset()
    totals: Mapping[PolicyName, int] = {}
    marked: frozenset[Wish] = frozenset()
    growth: Mapping[PolicyName, int] = {}
    """New targets that wait until their policy's edit is admitted."""


class Shown(Struct, frozen=True):
    """A held set that was shown, so that its id can still be approved for a day."""

    members: frozenset[Wish]
    at: float


class Ledger(Struct, frozen=True):
    """What the brake remembers; it goes to the state store before anything is let go."""

    released: Mapping[Wish, float] = {}
    """What was let go and is still wished, with the time."""
    recent: tuple[tuple[float, PolicyName, ClusterName], ...] = ()
    """Every letting go of the last hour."""
    shown: Mapping[str, Shown] = {}
    approved: frozenset[Wish] = frozenset()


class HeldSet(Struct, frozen=True):
    """A set that waits for approval. ``policy`` is empty where the fleet's limit holds several policies."""

    id: str
    policy: PolicyName
    members: frozenset[Wish]
    why: str

    @property
    def clusters(self) -> list[ClusterName]:
        """The clusters it touches, sorted."""
        return sorted({wish.cluster for wish in self.members})


class Judgement(Struct, frozen=True):
    """What may go, what is held, and what to remember."""

    released: frozenset[Wish]
    held: tuple[HeldSet, ...]
    ledger: Ledger


def judge(reports: Iterable[Wishes], ledger: Ledger, safety: Safety, *, now: float) -> Judgement:
    """Decide over the wishes of every synced cluster.

    What a cluster that is not synced had let go is kept as it is. ``now`` in seconds since the epoch.
    """
    by_cluster = {report.cluster: report for report in reports}
    wished = frozenset().union(*(report.wishes for report in by_cluster.values()))
    marked = frozenset().union(*(report.marked for report in by_cluster.values()))
    known = {wish: at for wish, at in ledger.released.items() if wish.cluster not in by_cluster or wish in wished}
    known |= dict.fromkeys((marked & wished).difference(known), now)
    approved = frozenset(wish for wish in ledger.approved if wish.cluster not in by_cluster or wish in wished)
    recent = tuple(entry for entry in ledger.recent if now - entry[0] < HOUR)
    by_approval = (wished & approved).difference(known)
    recent += _letting_go(by_approval, now)
    new = wished.difference(known, approved)
    held = _held(new, by_cluster, recent, safety)
    let_go = new - frozenset().union(*(one.members for one in held))
    released = known | dict.fromkeys(by_approval | let_go, now)
    return Judgement(
        released=frozenset(released),
        held=held,
        ledger=Ledger(
            released=released,
            recent=recent + _letting_go(let_go, now),
            shown=_shown(ledger.shown, held, now),
            approved=approved,
        ),
    )


def _letting_go(wishes: frozenset[Wish], now: float) -> tuple[tuple[float, PolicyName, ClusterName], ...]:
    return tuple((now, wish.policy, wish.cluster) for wish in sorted(wishes))


def _shown(before: Mapping[str, Shown], held: tuple[HeldSet, ...], now: float) -> Mapping[str, Shown]:
    """Add what is shown now to what was shown in the last day, and no more than can be kept: the newest."""
    by_age = sorted(before.items(), key=lambda item: item[1].at)
    shown = {key: one for key, one in by_age if now - one.at < APPROVABLE}
    for one in held:
        known = shown.pop(one.id, None)
        shown[one.id] = known if known and now - known.at < SHOWN_ANEW else Shown(one.members, now)
    members = sum(len(one.members) for one in shown.values())
    for key in list(shown)[: -len(held) or None]:
        if len(shown) <= SHOWN_SETS and members <= SHOWN_MEMBERS:
            break
        members -= len(shown.pop(key).members)
    return shown


def approve(ledger: Ledger, held_id: str, *, now: float) -> Ledger | None:
    """Let the members of a shown set go; None where no such id was shown in the last day."""
    shown = ledger.shown.get(held_id)
    if shown is None or now - shown.at >= APPROVABLE:
        return None
    return Ledger(
        released=ledger.released,
        recent=ledger.recent,
        shown=ledger.shown,
        approved=ledger.approved | shown.members,
    )


def _why(new: int, total: int, where: str, before: int, limit: int) -> str:
    lately = f", and {before} did in the last hour" if before else ""
    of_all = f"{new} of {counted(total, 'target', 'targets')} {where}"
    return f"{of_all} would lose something{lately}; {limit} may without approval"


def _held(
    new: frozenset[Wish],
    reports: Mapping[ClusterName, Wishes],
    recent: tuple[tuple[float, PolicyName, ClusterName], ...],
    safety: Safety,
) -> tuple[HeldSet, ...]:
    total = sum(sum(report.totals.values()) for report in reports.values())
    before = sum(1 for _, _, cluster in recent if cluster in reports)
    if new and len(new) + before > (limit := _limit(safety.fleet, total)):
        return (_set(PolicyName(""), new, _why(len(new), total, "over the fleet", before, limit)),)
    lately = Counter((policy, cluster) for _, policy, cluster in recent)
    groups: dict[tuple[PolicyName, ClusterName], set[Wish]] = {}
    for wish in new:
        groups.setdefault((wish.policy, wish.cluster), set()).add(wish)
    parts: dict[PolicyName, list[tuple[set[Wish], str]]] = {}
    for (policy, cluster), members in sorted(groups.items(), key=itemgetter(0)):
        here = reports[cluster].totals.get(policy, 0)
        before = lately[policy, cluster]
        if len(members) + before > (limit := _limit(safety.per_cluster, here)):
            why = _why(len(members), here, f"in {cluster}", before, limit)
            parts.setdefault(policy, []).append((members, why))
    return tuple(
        _set(policy, frozenset().union(*(members for members, _ in found)), "; ".join(why for _, why in found))
        for policy, found in parts.items()
    )


def _limit(limits: BrakeLimits, total: int) -> int:
    return max(limits.at_least, int(limits.percent * total / 100))


def _set(policy: PolicyName, members: frozenset[Wish], why: str) -> HeldSet:
    return HeldSet(id=held_id(members), policy=policy, members=members, why=why)


def held_id(members: Iterable[Wish]) -> str:
    """Return the id of a set: the same members, the same id."""
    listed = [[one.policy, one.cluster, one.namespace, one.secret, *one.loses] for one in sorted(members)]
    return blake2b(json.dumps(listed).encode(), digest_size=6).hexdigest()
