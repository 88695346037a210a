"""The brake's other side: how many new targets one edit of a policy may add without asking.

Pure. Each generation of a policy is admitted once, when it adds few enough targets over every synced cluster or when
somebody approves it; until then nothing new is made for it. A cluster that was away then is asked about when it is
back. Off while the limit is 0.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from msgspec import Struct

from imps_multi.model.brake import APPROVABLE, Wishes
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.world import Standing, World


class Expansion(Struct, frozen=True):
    """A generation of a policy that waits for approval; with ``returned``, in that cluster alone."""

    id: str
    policy: PolicyName
    generation: int
    clusters: tuple[ClusterName, ...]
    why: str
    returned: ClusterName | None = None


class Offer(Struct, frozen=True):
    """An expansion that was shown, so that its id can be approved for a day. ``away``: who was not counted in it."""

    policy: PolicyName
    generation: int
    at: float
    away: frozenset[ClusterName] = frozenset()
    returned: ClusterName | None = None


class Growth(Struct, frozen=True):
    """What is remembered: the generation of each policy that may grow, where it was not counted, and what was shown."""

    admitted: Mapping[PolicyName, int] = {}
    shown: Mapping[str, Offer] = {}
    away: Mapping[PolicyName, frozenset[ClusterName]] = {}


def judge_growth(
    world: World,
    reports: Iterable[Wishes],
    growth: Growth,
    limit: int,
    *,
    now: float,
    away: frozenset[ClusterName] = frozenset(),
) -> tuple[Growth, tuple[Expansion, ...]]:
    """Decide for every policy that was edited; ``limit`` 0 lets everything grow and remembers nothing new.

    ``away``: the configured clusters that say nothing now.
    """
    if not limit:
        return growth, ()
    said = {report.cluster: report for report in reports}
    admitted = {name: generation for name, generation in growth.admitted.items() if name in world.policies}
    missed = {name: clusters for name, clusters in growth.away.items() if name in world.policies}
    held: list[Expansion] = []
    for name, resolved in world.policies.items():
        generation = resolved.policy.generation
        if resolved.standing is not Standing.VALID:
            continue
        if admitted.get(name) == generation:
            waiting = list(_returned(name, generation, missed.get(name, frozenset()), said, limit))
            held += waiting
            missed[name] = (missed.get(name, frozenset()) - said.keys()) | {one.clusters[0] for one in waiting}
            continue
        asked = {cluster: report.growth[name] for cluster, report in said.items() if report.growth.get(name)}
        count = sum(asked.values())
        if count <= limit:
            admitted[name], missed[name] = generation, away
        else:
            held.append(
                Expansion(expansion_id(name, generation), name, generation, tuple(sorted(asked)), _why(count, limit))
            )
    shown = {key: offer for key, offer in growth.shown.items() if now - offer.at < APPROVABLE}
    for one in held:
        at = shown[one.id].at if one.id in shown else now
        shown[one.id] = Offer(one.policy, one.generation, at, away, one.returned)
    missed = {name: clusters for name, clusters in missed.items() if clusters}
    return Growth(admitted=admitted, shown=shown, away=missed), tuple(held)


def _returned(
    name: PolicyName,
    generation: int,
    missed: frozenset[ClusterName],
    said: Mapping[ClusterName, Wishes],
    limit: int,
) -> Iterator[Expansion]:
    """Return what waits in clusters that were away when the edit was admitted, and are back."""
    for cluster in sorted(missed & said.keys()):
        count = said[cluster].growth.get(name, 0)
        if count > limit:
            why = f"{_why(count, limit)}; {cluster} was away when the edit was judged"
            yield Expansion(expansion_id(name, generation, cluster), name, generation, (cluster,), why, cluster)


def _why(count: int, limit: int) -> str:
    return f"{count} new targets would be made; {limit} may without approval"


def admit(growth: Growth, held_id: str, *, now: float) -> Growth | None:
    """Let an expansion go on that was shown in the last day; None where there is none of that id."""
    offer = growth.shown.get(held_id)
    if offer is None or now - offer.at >= APPROVABLE:
        return None
    if offer.returned is None:
        left, admitted = offer.away, dict(growth.admitted) | {offer.policy: offer.generation}
    else:
        left, admitted = growth.away.get(offer.policy, frozenset()) - {offer.returned}, dict(growth.admitted)
    return Growth(admitted=admitted, shown=growth.shown, away={**growth.away, offer.policy: left})


def expansion_id(policy: PolicyName, generation: int, returned: ClusterName | None = None) -> str:
    """Return the id of a policy's generation, or of what waits of it in one cluster."""
    where = f" in {returned}" if returned else ""
    return blake2b(f"expand {policy} {generation}{where}".encode(), digest_size=6).hexdigest()
