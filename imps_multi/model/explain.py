"""Why one namespace of a cluster gets what it gets: which rule of which policy takes it in, what each Secret needs.

Pure. Made from a cluster's book after it has settled; read by ``plan --explain``. Shows names and marks of what lies
there, never a content.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct, field

from imps_multi.model.choosing import NO_PODS, PodsThere, reason_selected
from imps_multi.model.instant import format_instant
from imps_multi.model.matching import why_cluster
from imps_multi.model.names import PolicyName, SecretName, Uid
from imps_multi.model.observed import NamespaceRecord, SeenSecret
from imps_multi.model.ownership import Foreign, owner
from imps_multi.model.plan_result import operation_of
from imps_multi.model.planning import expiry_there
from imps_multi.model.target_plan import State, TargetPlan
from imps_multi.model.view import Candidate, View
from imps_multi.model.world import InvalidView, Standing


class PolicyAnswer(Struct, frozen=True, rename="camel"):
    """Whether a policy asks for a Secret here, and by which rule. ``standing``: valid, invalid, suspended or gone."""

    policy: str
    secret: str
    selected: bool
    why: str
    standing: str = "valid"


class TargetLine(Struct, frozen=True, rename="camel"):
    """How a Secret stands for one policy."""

    policy: str
    state: str
    reason: str = ""
    message: str = ""


class TargetAnswer(Struct, frozen=True, rename="camel"):
    """What lies there of one name and what a run would do with it.

    ``whose``: ours, stripped, foreign, nothing, or unknown where it may not be read.
    ``policy``: the one that it names; ``about``: why it is foreign, or may not be read. ``named_by``: who there names
    the Secret, empty for nobody, None where it could not be looked at.
    """

    secret: str
    whose: str
    policy: str = ""
    about: str = ""
    type: str = ""
    expires_at: str | None = None
    states: list[TargetLine] = field(default_factory=list)
    operation: str = "none"
    why: str = ""
    held: str = ""
    named_by: str | None = ""


class Explanation(Struct, frozen=True, rename="camel"):
    """Everything about one namespace. ``unreachable``: why the cluster could not be looked at; all else is empty."""

    cluster: str
    namespace: str
    terminating: bool = False
    policies: list[PolicyAnswer] = field(default_factory=list)
    targets: list[TargetAnswer] = field(default_factory=list)
    unreachable: str = ""


class Scene(Struct, frozen=True):
    """What is known of one namespace when it is explained."""

    view: View
    labels: Mapping[str, str]
    record: NamespaceRecord
    seen: Mapping[SecretName, SeenSecret]
    """What lies there, by name, of the names that are watched."""
    plans: Sequence[TargetPlan]
    remembered: Mapping[Uid, PolicyName] = {}
    forbidden: Mapping[SecretName, str] = {}
    invalid: Mapping[PolicyName, InvalidView] = {}
    by_default: Collection[PolicyName] = ()
    """The policies that name no clusters, so that the configuration does it for them."""
    held: Mapping[SecretName, str] = {}
    """The id of the held set that a target's removal is in."""
    pods: PodsThere = NO_PODS


def explain(scene: Scene) -> Explanation:
    """Explain a namespace; who names the Secrets there is for the caller to fill in."""
    policies = sorted(_policies(scene), key=lambda one: (not one.selected, one.policy))
    asked = {SecretName(one.secret) for one in policies if one.selected}
    names = sorted(asked | scene.seen.keys() | {plan.name for plan in scene.plans})
    return Explanation(
        cluster=scene.view.cluster,
        namespace=scene.record.name,
        terminating=scene.record.terminating,
        policies=policies,
        targets=[_target(scene, name) for name in names],
    )


def _policies(scene: Scene) -> Iterator[PolicyAnswer]:
    concerned = {line.policy for plan in scene.plans for line in plan.lines}
    for name, candidate in scene.view.policies.items():
        if candidate.resolved.standing is Standing.DELETED:
            if name in concerned:
                yield PolicyAnswer(name, candidate.policy.secret.name, selected=False, why=_GONE, standing="gone")
        else:
            yield _policy(scene, candidate)
    for name, invalid in scene.invalid.items():
        if name not in scene.view.policies:
            why = f"its spec is invalid: {_first(invalid)}"
            yield PolicyAnswer(name, invalid.secret_name, selected=False, why=why, standing="invalid")


def _policy(scene: Scene, candidate: Candidate) -> PolicyAnswer:
    policy, selected = candidate.policy, candidate.selects(scene.record, scene.pods)
    rule = reason_selected(policy, scene.record, scene.pods)
    reached = _why_cluster(scene, candidate)
    why = f"{rule}; {reached}" if candidate.reaches else f"not selected: {reached}"
    standing = "suspended" if candidate.suspended else candidate.resolved.standing.value
    if candidate.resolved.standing is Standing.INVALID:
        problem = scene.invalid.get(policy.name)
        told = f" ({_first(problem)})" if problem is not None else ""
        why = f"by its last valid spec {why}; as it stands it is invalid{told}"
    elif candidate.suspended:
        why = f"{why}; suspended, so nothing is written"
    return PolicyAnswer(policy.name, policy.secret.name, selected=selected, why=why, standing=standing)


def _why_cluster(scene: Scene, candidate: Candidate) -> str:
    if scene.view.decommission:
        return "the cluster is decommissioned, so nothing selects it"
    why = why_cluster(candidate.policy.clusters, scene.view.cluster, scene.labels)
    if candidate.policy.name in scene.by_default:
        return why.replace("clusters.names", "defaultClusters")
    return why


def _first(invalid: InvalidView) -> str:
    return str(invalid.problems[0]) if invalid.problems else "it cannot be read"


_GONE = "not selected: the policy is gone from the hub"


def _target(scene: Scene, name: SecretName) -> TargetAnswer:
    plan = next((plan for plan in scene.plans if plan.name == name), None)
    seen = scene.seen.get(name)
    whose, policy, about = _whose(scene, name, seen)
    expires = expiry_there(seen) if seen is not None else None
    held = scene.held.get(name, "")
    return TargetAnswer(
        secret=name,
        whose=whose,
        policy=policy,
        about=about,
        type="" if seen is None else seen.type,
        expires_at=None if expires is None else format_instant(expires),
        states=[TargetLine(one.policy, one.state.value, one.reason, one.message) for one in plan.lines] if plan else [],
        operation="none" if plan is None else operation_of(plan.write),
        why=_why_target(plan, held),
        held=held,
    )


def _whose(scene: Scene, name: SecretName, seen: SeenSecret | None) -> tuple[str, str, str]:
    """Return whose it is, the policy that it names, and what else there is to say."""
    if seen is None:
        return "unknown" if name in scene.forbidden else "nothing", "", scene.forbidden.get(name, "")
    found = owner(seen, scene.view.hubs, scene.remembered)
    if isinstance(found, Foreign):
        return "foreign", "", found.why
    return "stripped" if found.stripped else "ours", found.policy or "", ""


def _why_target(plan: TargetPlan | None, held: str) -> str:
    if plan is None:
        return "no policy has to do with it"
    if held:
        return f"{plan.why or 'it would lose a registry'}; held until {held} is approved"
    if plan.why:
        return plan.why
    if all(line.state is State.IN_SYNC for line in plan.lines):
        return "it is as it should be"
    told = [(line.policy, line.message or line.reason or _word(line.state)) for line in plan.lines]
    return "; ".join(f"{policy}: {text}" for policy, text in told) if len(told) > 1 else told[0][1]


def _word(state: State) -> str:
    return state.value.replace("_", " ")
