"""From the hub and the tokens to the world: every source's state, every policy resolved.

Pure; the composer actor calls it whenever one of its inputs changed. What equals the previous world keeps its revision,
so that nobody looks twice at what did not change.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field, structs

from imps_multi.model.credential import (
    Entry,
    Interpretation,
    MintedToken,
    MintSource,
    SourceFault,
    SourceKind,
    SourceState,
    StaticSource,
)
from imps_multi.model.dockerconfig import basic_entry
from imps_multi.model.history import Delivered, History, extend
from imps_multi.model.hub import HubSnapshot, PolicyRecord, SourceSecret, UnusableSource
from imps_multi.model.names import PolicyName, RegistryKey, SecretName
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef
from imps_multi.model.validity import dns_subdomain_problem
from imps_multi.model.world import InvalidView, Resolved, Retained, Standing, World


class KeeperState(Struct, frozen=True):
    """What a token keeper has. ``tried``: it has asked at least once, or had a stored token.

    ``supposed``: the token is none; it stands for the one that a run would mint now, in a plan.
    """

    token: MintedToken | None = None
    next_refresh: float | None = None
    failure: str = ""
    tried: bool = False
    supposed: bool = False


class Inputs(Struct, frozen=True):
    """Everything the world is made of. ``last_good``: sources as they were when they could last be used."""

    hub: HubSnapshot
    interpret: Callable[[SourceSecret], Interpretation]
    keepers: Mapping[str, KeeperState] = field(default_factory=dict)
    last_good: Mapping[SourceRef, SourceSecret] = field(default_factory=dict)
    histories: Mapping[PolicyName, History] = field(default_factory=dict)
    allowed: Callable[[SourceRef], str | None] = lambda _: None
    """Says why a hub namespace's Secrets may not be named, or None."""
    qualify: Callable[[Policy], Policy | InvalidPolicy] = lambda policy: policy
    """Fills in the default clusters, or says that there are none."""
    patient: bool = True
    """Whether sources that were never asked are still waited for."""
    former_names: frozenset[SecretName] = frozenset()


def interpretation(inputs: Inputs, ref: SourceRef) -> tuple[Interpretation | None, str, bool]:
    """Return what a source gives, what is wrong with it now, and whether it is gone.

    Where the present content cannot be used, the last good one gives.
    """
    if (refusal := _refusal(inputs, ref)) is not None:
        return None, refusal, True
    current = inputs.hub.source(ref)
    if ref in inputs.hub.doubtful:
        return None, f"the source Secret {ref} is missing; a second look will tell whether it is gone", False
    if current is None:
        problem = dns_subdomain_problem(ref.name)
        why = f", and no Secret can have this name: it {problem}" if problem else ""
        return None, f"the source Secret {ref} is not in the hub{why}", inputs.hub.whole
    found: Interpretation
    found = SourceFault(current.message) if isinstance(current, UnusableSource) else inputs.interpret(current)
    if not isinstance(found, SourceFault):
        return found, "", False
    last = inputs.last_good.get(ref)
    usable = inputs.interpret(last) if last is not None else None
    return (None if isinstance(usable, SourceFault) else usable), found.message, False


def _refusal(inputs: Inputs, ref: SourceRef) -> str | None:
    """Say why a Secret of that namespace may not be named; an inline source is in none."""
    return None if ref.inline else inputs.allowed(ref)


def source_state(inputs: Inputs, ref: SourceRef) -> SourceState:
    """Say what is known of one source."""
    found, fault, gone = interpretation(inputs, ref)
    match found:
        case None:
            refused = gone and _refusal(inputs, ref) is not None
            kind = SourceKind.ABSENT if gone else SourceKind.UNKNOWN
            reason = "Waiting" if ref in inputs.hub.doubtful else "SourceNotAllowed" if refused else "SourceError"
            return SourceState(ref, kind, reason=reason, message=fault)
        case StaticSource():
            return _stored(ref, found, fault)
        case MintSource():
            return _minted(ref, found, inputs.keepers.get(found.identity.key, KeeperState()), fault)
        case SourceFault():
            return SourceState(ref, SourceKind.UNKNOWN, reason="SourceError", message=fault)


def _stored(ref: SourceRef, source: StaticSource, fault: str) -> SourceState:
    return SourceState(
        ref,
        SourceKind.STORED,
        source.entries,
        source.bounds,
        source.provider,
        reason="SourceError" if fault else "",
        message=fault or source.remark,
        settings=source.settings,
    )


def _minted(ref: SourceRef, source: MintSource, keeper: KeeperState, fault: str) -> SourceState:
    message = fault or keeper.failure
    reason = "SourceError" if message else ""
    token = keeper.token
    if token is None:
        waiting = "" if keeper.tried else "its token is being asked for"
        return SourceState(
            ref,
            SourceKind.UNKNOWN,
            bounds=source.bounds,
            provider=source.provider,
            reason=reason or ("" if keeper.tried else "Waiting"),
            message=message or waiting,
        )
    entries = tuple(basic_entry(key, token.username, token.password) for key in registries(source, token))
    return SourceState(
        ref,
        SourceKind.MINTED,
        entries,
        source.bounds,
        source.provider,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        next_refresh=keeper.next_refresh,
        supposed=keeper.supposed,
        reason=reason,
        message=message or source.remark,
    )


def registries(source: MintSource, token: MintedToken) -> tuple[RegistryKey, ...]:
    """Return the keys that a token is written under: the configured ones, else the host that the provider named."""
    host = token.endpoint.removeprefix("https://").rstrip("/")
    return source.registries or ((RegistryKey(host),) if host else ())


def compose(inputs: Inputs, previous: World) -> World:
    """Make the world; the previous one itself where nothing changed."""
    hub = inputs.hub
    in_force = dict(_in_force(inputs))
    refs = {ref for policy, _ in in_force.values() for ref in policy.sources} | set(_past_refs(inputs, in_force))
    states, current = {ref: source_state(inputs, ref) for ref in sorted(refs)}, _current_refs(hub, in_force)
    policies = {
        name: _with_revision(_resolved(inputs, policy, standing, states), previous.policies.get(name))
        for name, (policy, standing) in sorted(in_force.items())
    }
    world = World(
        version=previous.version,
        synced=hub.synced,
        whole=hub.whole,
        policies=policies,
        invalid=dict(_invalid(inputs)),
        sources={ref: state for ref, state in states.items() if ref in current},
        seen_deleted=hub.seen_deleted,
        hub_empty=not hub.policies,
        names=_names(inputs, in_force),
        source_uids=hub.source_uids,
    )
    return previous if world == previous else structs.replace(world, version=previous.version + 1)


def delivered(resolved: Resolved) -> dict[RegistryKey, Delivered]:
    """Return what a policy delivers now, for its history."""
    entries: dict[RegistryKey, Delivered] = {}
    for source in resolved.sources:
        for entry in source.entries:
            entries.setdefault(entry.registry, Delivered(entry.content.decode(), source.expires_at))
    return entries


def remember(history: History, resolved: Resolved) -> History:
    """Extend a policy's history by what it wants now; an equal one where that says nothing new."""
    return extend(history, resolved.policy, delivered(resolved))


def _in_force(inputs: Inputs) -> Iterable[tuple[PolicyName, tuple[Policy, Standing]]]:
    hub = inputs.hub
    for name, record in hub.policies.items():
        current = _qualified(inputs, record)
        if isinstance(current, Policy):
            yield name, (current, Standing.INVALID if name in hub.doubtful else Standing.VALID)
        elif record.in_force is not None:
            yield name, (_with_defaults(inputs, record.in_force), Standing.INVALID)
    for name, policy in hub.former.items():
        if name not in hub.policies:
            yield name, (_with_defaults(inputs, policy), Standing.DELETED)


def _with_defaults(inputs: Inputs, policy: Policy) -> Policy:
    qualified = inputs.qualify(policy)
    return qualified if isinstance(qualified, Policy) else policy


def _qualified(inputs: Inputs, record: PolicyRecord) -> Policy | InvalidPolicy:
    return inputs.qualify(record.current) if isinstance(record.current, Policy) else record.current


def _invalid(inputs: Inputs) -> Iterable[tuple[PolicyName, InvalidView]]:
    for name, record in inputs.hub.policies.items():
        current = _qualified(inputs, record)
        if isinstance(current, InvalidPolicy):
            yield name, InvalidView(name, current.generation, current.secret_name or "", current.problems)


def _past_refs(inputs: Inputs, in_force: Mapping[PolicyName, object]) -> Iterable[SourceRef]:
    for name in in_force:
        history = inputs.histories.get(name)
        if history is not None:
            yield from (ref for ref in history.refs if inputs.hub.source(ref) is not None)


def _current_refs(hub: HubSnapshot, in_force: Mapping[PolicyName, tuple[Policy, Standing]]) -> frozenset[SourceRef]:
    return frozenset(ref for name, (policy, _) in in_force.items() if name in hub.policies for ref in policy.sources)


def _resolved(inputs: Inputs, policy: Policy, standing: Standing, states: Mapping[SourceRef, SourceState]) -> Resolved:
    history = inputs.histories.get(policy.name, History(known=False))
    sources = tuple(states[ref] for ref in policy.sources)
    return Resolved(
        policy=policy,
        standing=standing,
        sources=sources,
        retained=_retained(history, sources, states),
        waiting=inputs.patient and any(source.reason == "Waiting" for source in sources),
        history_known=history.known,
        past_labels=history.labels,
        past_annotations=history.annotations,
        handled_sync=history.handled_sync,
    )


def _retained(
    history: History, sources: tuple[SourceState, ...], states: Mapping[SourceRef, SourceState]
) -> dict[RegistryKey, Retained]:
    """Return the entries that were delivered once and are not given now, as fresh as they can be had."""
    given = {entry.registry for source in sources for entry in source.entries}
    fresh: dict[RegistryKey, Retained] = {}
    for ref in history.refs:
        state = states.get(ref, SourceState(ref, SourceKind.ABSENT))
        for entry in state.entries:
            fresh.setdefault(entry.registry, Retained(entry, state.expires_at, issued_at=state.issued_at))
    return {
        key: fresh.get(key, Retained(Entry(key, old.content.encode()), old.expires_at, renewable=False))
        for key, old in sorted(history.delivered.items())
        if key not in given
    }


def _names(inputs: Inputs, in_force: Mapping[PolicyName, tuple[Policy, Standing]]) -> frozenset[SecretName]:
    written = {name for history in inputs.histories.values() for name in history.names}
    return frozenset({policy.secret.name for policy, _ in in_force.values()} | written | inputs.former_names)


def _with_revision(resolved: Resolved, before: Resolved | None) -> Resolved:
    if before is None:
        return resolved
    same = structs.replace(resolved, revision=before.revision)
    return before if same == before else structs.replace(resolved, revision=before.revision + 1)
