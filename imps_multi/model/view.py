"""The world as one cluster sees it: which policies reach it, by the Secret name that they write. Pure.

Built once per world and cluster; the planner looks names up in it.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from imps_multi.model.choosing import NO_PODS, PodsThere, chosen, only_pods_could
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.matching import cluster_selected
from imps_multi.model.names import IGNORE_ANNOTATION, ClusterName, HubId, NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.policy import Policy
from imps_multi.model.selection import PodRule
from imps_multi.model.world import Resolved, Standing, World


class Candidate(Struct, frozen=True):
    """A policy and whether it reaches this cluster."""

    resolved: Resolved
    reaches: bool

    @property
    def policy(self) -> Policy:
        """The spec in force."""
        return self.resolved.policy

    @property
    def suspended(self) -> bool:
        """Whether nothing may be written for it. Of a policy that is gone, only its targets are left to be removed."""
        return self.resolved.policy.suspend and self.resolved.standing is not Standing.DELETED

    @property
    def able(self) -> bool:
        """Whether targets may be created and taken away for it."""
        return self.resolved.standing is Standing.VALID and not self.resolved.policy.suspend

    def selects(self, record: NamespaceRecord, pods: PodsThere = NO_PODS) -> bool:
        """Say whether the policy asks for a target in this namespace."""
        return self._choice(record, pods) is True

    def undecided(self, record: NamespaceRecord, pods: PodsThere = NO_PODS) -> bool:
        """Say whether pods that are not known yet might ask for a target in this namespace: what is there stays."""
        return self._choice(record, pods) is None

    def selects_by_pods(self, record: NamespaceRecord) -> bool:
        """Say whether only pods can make the policy ask for a target in this namespace."""
        return only_pods_could(self.policy, record)

    def excludes(self, record: NamespaceRecord, pods: PodsThere = NO_PODS) -> bool:
        """Say whether only ``exclude``, or the namespace's own ignore annotation, keeps the policy out of it."""
        selection = self.policy.namespaces
        ignored = any(key == IGNORE_ANNOTATION for key, _ in record.annotations)
        if not self.reaches or not (selection.exclude or ignored) or self.selects(record, pods):
            return False
        open_record = structs.replace(
            record, annotations=tuple(p for p in record.annotations if p[0] != IGNORE_ANNOTATION)
        )
        open_policy = structs.replace(self.policy, namespaces=structs.replace(selection, exclude=()))
        return chosen(open_policy, open_record, pods) is True

    def reads(self, namespace: NamespaceName, name: SecretName) -> bool:
        """Say whether the Secret of that name there, in the hub, is a source of the policy."""
        return any(one.ref.namespace == namespace and one.ref.name == name for one in self.resolved.sources)

    def _choice(self, record: NamespaceRecord, pods: PodsThere) -> bool | None:
        if not self.reaches or self.resolved.standing is Standing.DELETED:
            return False
        return chosen(self.policy, record, pods)


class View(Struct, frozen=True):
    """What one cluster's planner works from; ``by_name`` lists rivals in the order in which they win."""

    cluster: ClusterName
    hub: HubId
    hubs: frozenset[HubId]
    version: int
    synced: bool
    whole: bool
    policies: Mapping[PolicyName, Candidate]
    by_name: Mapping[SecretName, tuple[Candidate, ...]]
    seen_deleted: frozenset[PolicyName]
    hub_empty: bool
    decommission: bool = False
    """Everything of ours is to go from this cluster."""
    excluding: tuple[Candidate, ...] = ()
    """Those that keep out of namespaces that they would select otherwise."""
    pod_rules: frozenset[PodRule] = frozenset()
    """What has to be known of the pods here."""
    sources: frozenset[tuple[NamespaceName, str]] = frozenset()
    """Where source Secrets lie in this cluster: none, unless the hub does, as far as the configuration shows."""
    source_uids: frozenset[Uid] = frozenset()
    """What they are called, wherever the hub is."""

    @staticmethod
    def empty(cluster: ClusterName, hub: HubId) -> "View":
        """Return a view of nothing, with which a cluster begins."""
        return View(
            cluster=cluster,
            hub=hub,
            hubs=frozenset((hub,)),
            version=-1,
            synced=False,
            whole=False,
            policies={},
            by_name={},
            seen_deleted=frozenset(),
            hub_empty=False,
        )

    def excluded(self, record: NamespaceRecord, pods: PodsThere = NO_PODS) -> frozenset[PolicyName]:
        """Return the policies that only an exclusion keeps out of a namespace."""
        if any(key == IGNORE_ANNOTATION for key, _ in record.annotations):
            asked: Iterable[Candidate] = (one for rivals in self.by_name.values() for one in rivals)
        elif self.excluding:
            asked = self.excluding
        else:
            return _NOBODY
        return frozenset(candidate.policy.name for candidate in asked if candidate.excludes(record, pods))


def view(world: World, settings: ClusterSettings, *, hub: HubId, previous: Iterable[HubId] = ()) -> View:
    """Look at the world from one cluster."""
    candidates = {
        name: Candidate(resolved, reaches(resolved.policy, settings)) for name, resolved in world.policies.items()
    }
    by_name: dict[SecretName, list[Candidate]] = {}
    for candidate in sorted(candidates.values(), key=lambda one: rank(one.policy)):
        if candidate.reaches and candidate.resolved.standing is not Standing.DELETED:
            by_name.setdefault(candidate.policy.secret.name, []).append(candidate)
    return View(
        cluster=settings.name,
        hub=hub,
        hubs=frozenset((hub, *previous)),
        version=world.version,
        synced=world.synced,
        whole=world.whole,
        policies=candidates,
        by_name={name: tuple(rivals) for name, rivals in by_name.items()},
        seen_deleted=world.seen_deleted,
        hub_empty=world.hub_empty,
        decommission=settings.decommission,
        excluding=tuple(one for rivals in by_name.values() for one in rivals if one.policy.namespaces.exclude),
        pod_rules=frozenset(rule for rivals in by_name.values() for one in rivals for rule in one.policy.pods.rules),
        sources=_sources(world) if settings.home else frozenset(),
        source_uids=world.source_uids,
    )


_NOBODY: frozenset[PolicyName] = frozenset()


def _sources(world: World) -> frozenset[tuple[NamespaceName, str]]:
    return frozenset(
        (source.ref.namespace, source.ref.name)
        for one in world.policies.values()
        for source in one.sources
        if one.standing is not Standing.DELETED
    )


def rank(policy: Policy) -> tuple[float, str]:
    """Order rivals: the older first, then by name; without timestamps by name."""
    return (float("inf") if policy.created is None else policy.created, policy.name)


def reaches(policy: Policy, settings: ClusterSettings) -> bool:
    """Say whether a policy selects a cluster; one that names none, and was given no default, selects none.

    Nobody selects a cluster that is decommissioned.
    """
    if settings.decommission:
        return False
    return policy.clusters is not None and cluster_selected(policy.clusters, settings.name, settings.labels)


def changed_policies(before: View, after: View) -> frozenset[PolicyName]:
    """Return the policies that are not in both views as they were."""
    names = before.policies.keys() | after.policies.keys()
    return frozenset(name for name in names if before.policies.get(name) != after.policies.get(name))


def asking_anew(before: View, after: View, changed: Iterable[PolicyName]) -> list[Candidate]:
    """Return the changed policies that may ask for other namespaces than before."""
    found = ((before.policies.get(name), after.policies.get(name)) for name in changed)
    return [new for old, new in found if new is not None and (old is None or _asking(old) != _asking(new))]


def circumstances(one: View) -> tuple[object, ...]:
    """Return what a removal depends on, beside the policies that a target names."""
    return one.whole, one.synced, one.hub_empty, one.seen_deleted, frozenset(one.policies)


def _asking(candidate: Candidate) -> tuple[object, ...]:
    return candidate.reaches, candidate.policy, candidate.resolved.standing, candidate.resolved.waiting
