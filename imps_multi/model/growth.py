"""The brake's other side: how many new targets one edit of a policy may add without asking.

Pure. Each generation of a policy is admitted once, when it adds few enough targets over every synced cluster or when
somebody approves it; until then nothing new is made for it. Off while the limit is 0.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from msgspec import Struct

from imps_multi.model.brake import APPROVABLE, Wishes
from imps_multi.model.names import ClusterName, PolicyName
from imps_multi.model.world import Standing, World


class Expansion(Struct, frozen=True):
    """A generation of a policy that waits for approval."""

    id: str
    policy: PolicyName
    generation: int
    clusters: tuple[ClusterName, ...]
    why: str


class Offer(Struct, frozen=True):
    """An expansion that was shown, so that its id can be approved for a day."""

    policy: PolicyName
    generation: int
    at: float


class Growth(Struct, frozen=True):
    """What is remembered: the generation of each policy that may grow, and what was shown."""

    admitted: Mapping[PolicyName, int] = {}
    shown: Mapping[str, Offer] = {}


def judge_growth(
    world: World, reports: Iterable[Wishes], growth: Growth, limit: int, *, now: float
) -> tuple[Growth, tuple[Expansion, ...]]:
    """Decide for every policy that was edited; ``limit`` 0 lets everything grow and remembers nothing new."""
    if not limit:
        return growth, ()
    said = list(reports)
    admitted = {name: generation for name, generation in growth.admitted.items() if name in world.policies}
    held: list[Expansion] = []
    for name, resolved in world.policies.items():
        generation = resolved.policy.generation
        if resolved.standing is not Standing.VALID or admitted.get(name) == generation:
            continue
        asked = {report.cluster: report.growth[name] for report in said if report.growth.get(name)}
        count = sum(asked.values())
        if count <= limit:
            admitted[name] = generation
        else:
            why = f"{count} new targets would be made; {limit} may without approval"
            held.append(Expansion(expansion_id(name, generation), name, generation, tuple(sorted(asked)), why))
    shown = {key: offer for key, offer in growth.shown.items() if now - offer.at < APPROVABLE}
    shown |= {one.id: Offer(one.policy, one.generation, now) for one in held if one.id not in shown}
    return Growth(admitted=admitted, shown=shown), tuple(held)


def admit(growth: Growth, held_id: str, *, now: float) -> Growth | None:
    """Let an expansion go on that was shown in the last day; None where there is none of that id."""
    offer = growth.shown.get(held_id)
    if offer is None or now - offer.at >= APPROVABLE:
        return None
    return Growth(admitted={**growth.admitted, offer.policy: offer.generation}, shown=growth.shown)


def expansion_id(policy: PolicyName, generation: int) -> str:
    """Return the id of a policy's generation."""
    return blake2b(f"expand {policy} {generation}".encode(), digest_size=6).hexdigest()
