"""The composer: makes the world out of the hub and the tokens, and keeps what was written before.

Owns the last good sources and the policies' histories, both stored before the world that depends on them is published.
Reads the hub's snapshot and the keepers' states; feeds every cluster.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio
import structlog
from msgspec import structs

from imps_multi.actors.hub_watcher import load_sources
from imps_multi.actors.keepers import Keepers
from imps_multi.model import history as histories
from imps_multi.model.bygone import still_needed
from imps_multi.model.compose import Inputs, compose, interpretation, remember
from imps_multi.model.credential import MintIdentity, MintSource, SourceFault, SourceKind
from imps_multi.model.history import History
from imps_multi.model.hub import HubSnapshot, SourceSecret
from imps_multi.model.names import PolicyName, SecretName
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef
from imps_multi.model.rest import Rest
from imps_multi.model.stored_source import encode_source
from imps_multi.model.world import Standing, World
from imps_multi.ports import Interpreter, PortError, Section, StateStore
from imps_multi.runtime.latest import Latest, wait_any

PATIENCE_SECONDS = 5.0
"""How long a policy waits for the first answer of a source before it goes on with what is known."""

STORE_AGAIN_SECONDS = 10.0

RESTS = 8
"""After composing for so long it rests for so many times as long: of a thousand tokens, each is no world of its own."""

LONGEST_REST = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration says about policies and sources."""

    interpret: Interpreter
    allowed: Callable[[SourceRef], str | None]
    qualify: Callable[[Policy], Policy | InvalidPolicy]
    former_names: frozenset[SecretName] = frozenset()


class Memory:
    """Last good sources and histories, as they are and as they lie in the store."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.sources: dict[SourceRef, SourceSecret] = {}
        self.histories: dict[PolicyName, History] = {}
        self._owed: dict[tuple[Section, str], bytes | None] = {}
        """What could not be stored; None for what could not be deleted."""
        self._began_with_nothing = True
        """Nothing was stored: whatever lies in the clusters may have a past that is not known."""

    async def load(self) -> None:
        """Read what an earlier process left."""
        self.sources = await load_sources(self._store)
        policies = await self._store.load(Section.POLICIES)
        self._began_with_nothing = not any(key.startswith(_PREFIX) for key in policies)
        for key, content in policies.items():
            if key.startswith(_PREFIX) and (found := histories.decode(content)) is not None:
                self.histories[found[0]] = found[1]

    async def learn_sources(self, hub: HubSnapshot, interpret: Interpreter) -> None:
        """Keep every source that can be used as it is now."""
        for ref in sorted(_named(hub)):
            source = hub.sources.get(ref)
            if not isinstance(source, SourceSecret) or isinstance(interpret(source), SourceFault):
                continue
            kept = structs.replace(source, place=None)
            if self.sources.get(ref) == kept:
                continue
            self.sources[ref] = kept
            await self._save(Section.SOURCES, str(ref), encode_source(source))

    async def learn_policies(self, world: World) -> bool:
        """Extend the histories by what the world wants; say whether anything was new."""
        learnt = False
        for name, resolved in world.policies.items():
            if resolved.standing is not Standing.VALID or resolved.waiting:
                continue
            before = self.histories.get(name)
            after = remember(before or History(known=not self._began_with_nothing), resolved)
            if after != before:
                learnt = True
                await self.note(name, after)
        return learnt

    async def forget(self, rest: Rest, world: World) -> None:
        """Drop the past of policies that have none any more, and what is left of those that are gone."""
        if rest.version != world.version:
            return  # it speaks of another world
        for name in rest.quiet:
            resolved, before = world.policies.get(name), self.histories.get(name)
            if resolved is None or before is None or any(one.kind is SourceKind.UNKNOWN for one in resolved.sources):
                continue
            after = remember(History(known=True, handled_sync=before.handled_sync), resolved)
            if after != before:
                await self.note(name, after)
        for name in rest.gone & self.histories.keys():
            del self.histories[name]
            await self._drop(Section.POLICIES, _PREFIX + name)
        used = {ref for history in self.histories.values() for ref in history.refs} | world.sources.keys()
        for ref in self.sources.keys() - used if rest.quiet or rest.gone else ():
            del self.sources[ref]
            await self._drop(Section.SOURCES, str(ref))

    async def note(self, name: PolicyName, history: History) -> None:
        """Keep a policy's history as it is now."""
        self.histories[name] = history
        await self._save(Section.POLICIES, _PREFIX + name, histories.encode(name, history))

    @property
    def owes(self) -> bool:
        """Whether the store lacks anything."""
        return bool(self._owed)

    async def pay(self) -> None:
        """Try once more to store what could not be stored."""
        for (section, key), content in list(self._owed.items()):
            await self._put(section, key, content)

    async def _drop(self, section: Section, key: str) -> None:
        await self._put(section, key, None)

    async def _save(self, section: Section, key: str, content: bytes) -> None:
        await self._put(section, key, content)

    async def _put(self, section: Section, key: str, content: bytes | None) -> None:
        owed = self._owed.pop((section, key), None) is not None
        try:
            if content is None:
                await self._store.delete(section, key)
            else:
                await self._store.save(section, key, content)
        except PortError as failure:
            self._owed[section, key] = content
            if not owed:
                log.warning("State could not be stored; a restart may not know it", item=key, message=str(failure))


async def run_composer(
    hub: Latest[HubSnapshot],
    keepers: Keepers,
    rules: Latest[Rules],
    memory: Memory,
    rest: Latest[Rest],
    out: Latest[World],
) -> None:
    """Compose for ever."""
    readers = (hub.reader(), keepers.changed.reader(), rules.reader(), rest.reader())
    await memory.load()
    free = -math.inf
    while True:
        store_again = anyio.current_time() + STORE_AGAIN_SECONDS if memory.owes else math.inf
        with anyio.CancelScope(deadline=min(_patient_until(keepers), store_again)):
            await wait_any(*readers)
        await anyio.sleep_until(free)
        await memory.pay()
        for reader in readers:
            if reader.fresh:
                reader.take()
        if not hub.version:
            continue
        snapshot, rule = hub.value, rules.value
        await memory.learn_sources(snapshot, rule.interpret)
        await memory.forget(rest.value, out.value)
        inputs = _inputs(snapshot, keepers, rule, memory)
        await keepers.keep(identities(inputs, keepers.knows))
        if snapshot.whole:
            await keepers.forget_stored()
        await handle_syncs(inputs, keepers, memory)
        took = await publish(inputs, keepers, rule, memory, out)
        free = anyio.current_time() + min(LONGEST_REST, RESTS * took)


async def publish(inputs: Inputs, keepers: Keepers, rule: Rules, memory: Memory, out: Latest[World]) -> float:
    """Make the world, remember what it writes, and set it where it differs; return the seconds that the making took."""
    before, took = out.value, 0.0

    def made() -> World:
        nonlocal took
        began = anyio.current_time()
        world = compose(_inputs(inputs.hub, keepers, rule, memory), before)
        took += anyio.current_time() - began
        return world

    world = made()
    if await memory.learn_policies(world):
        world = made()
    if world is not before:
        out.set(world)
    return took


def identities(inputs: Inputs, kept: Callable[[str], bool]) -> list[MintIdentity]:
    """Return the identity of every minted source that a policy names, or named and has to keep fresh."""
    found = [interpretation(inputs, ref)[0] for ref in sorted(_named(inputs.hub))]
    wanted = [source.identity for source in found if isinstance(source, MintSource)]
    return wanted + [one for policy in _specs(inputs.hub) for one in still_needed(inputs, policy, kept=kept)]


def _named(hub: HubSnapshot) -> set[SourceRef]:
    """Return every source that a policy names, or named in its last valid spec."""
    return {ref for policy in _specs(hub) for ref in policy.sources}


def _specs(hub: HubSnapshot) -> Iterator[Policy]:
    """Return the last valid spec of every policy, deleted ones included."""
    yield from (policy for _, policy in _in_force(hub))
    yield from hub.former.values()


def _in_force(hub: HubSnapshot) -> Iterator[tuple[PolicyName, Policy]]:
    for name, record in hub.policies.items():
        if record.in_force is not None:
            yield name, record.in_force


def identity_keys(policy: Policy, hub: HubSnapshot, interpret: Interpreter) -> list[str]:
    """Return the keys of the identities that a policy's sources are minted with."""
    sources = (hub.source(ref) for ref in policy.sources)
    found = (interpret(source) for source in sources if isinstance(source, SourceSecret))
    return [source.identity.key for source in found if isinstance(source, MintSource)]


async def handle_syncs(inputs: Inputs, keepers: Keepers, memory: Memory) -> None:
    """Force a fresh mint for every policy whose sync annotation is new, once; one for all that ask at the same time."""
    asking = {name: policy for name, policy in _in_force(inputs.hub) if _is_new(policy, memory.histories.get(name))}
    wanted = {name: policy for name, policy in asking.items() if policy.sync_request}
    for name, policy in wanted.items():
        log.info("Sync was asked for", policy=name, request=policy.sync_request)
    keys = {key for policy in wanted.values() for key in identity_keys(policy, inputs.hub, inputs.interpret)}
    keepers.force(sorted(keys))
    for name, policy in asking.items():
        await memory.note(name, structs.replace(memory.histories[name], handled_sync=policy.sync_request))


def _is_new(policy: Policy, history: History | None) -> bool:
    return history is not None and policy.sync_request != history.handled_sync


_PREFIX = "history:"


def _inputs(snapshot: HubSnapshot, keepers: Keepers, rule: Rules, memory: Memory) -> Inputs:
    states = keepers.states()
    return Inputs(
        hub=snapshot,
        interpret=rule.interpret,
        keepers=states,
        last_good=memory.sources,
        histories=memory.histories,
        allowed=rule.allowed,
        qualify=rule.qualify,
        patient=_patient_until(keepers) < math.inf,
        former_names=rule.former_names,
    )


def _patient_until(keepers: Keepers) -> float:
    """Return until when somebody is still waited for, inf where nobody is. A moment, not a rest: rests round to 0."""
    ends = [keepers.since(key) + PATIENCE_SECONDS for key, state in keepers.states().items() if not state.tried]
    now = anyio.current_time()
    return min((end for end in ends if end > now), default=math.inf)
