"""The hub watcher: reads the hub whenever it changed and publishes what is wanted.

Owns the fold of the readings and the stored specs; what must outlive the process is stored before it is published.
Never takes anything away because it could not be read.
"""

import math
from collections.abc import Callable, Mapping

import anyio
import structlog

from imps_multi.model.hub import HubReading, HubSnapshot, SourceSecret
from imps_multi.model.hub_fold import HubState, fold, forget, needs_second_look_at, restore, snapshot
from imps_multi.model.names import PolicyName
from imps_multi.model.policy import Policy, SourceRef
from imps_multi.model.rest import Rest
from imps_multi.model.shown import Shown, shown_policies
from imps_multi.model.stored_policy import StoredPolicy, decode_policy, encode_policy
from imps_multi.model.stored_source import decode_source
from imps_multi.ports import Hub, PortError, Section, StateStore
from imps_multi.runtime.latest import Latest

STORE_AGAIN_SECONDS = 10.0

log = structlog.get_logger()


async def watch_hub(
    hub: Hub,
    store: StateStore,
    out: Latest[HubSnapshot],
    rest: Latest[Rest],
    shown: Latest[Mapping[PolicyName, Shown]] | None = None,
    usable: Callable[[Policy], bool] = lambda _: True,
) -> None:
    """Read and publish for ever; deleted policies of which nothing lies anywhere are forgotten.

    ``shown`` is set to what the hub shows of its policies, before a snapshot is published that has them.
    ``usable`` says whether the configuration lets a policy be used as it is.
    """
    stored = await load_specs(store)
    state = _restored(stored, await load_sources(store))
    hub.need(sources_named(state))
    ends = _Ends(rest)
    while True:
        before, state = state, take(state, await hub.read(), usable)
        ends.note(before, state)
        state = forget(state, ends.over)
        hub.need(sources_named(state))
        kept = await save_specs(store, stored, state)
        if shown is not None:
            shown.set_if_changed(shown_policies(state.objects.values(), shown.value))
        out.set_if_changed(snapshot(state))
        with anyio.CancelScope(deadline=math.inf if kept else anyio.current_time() + STORE_AGAIN_SECONDS):
            await _until_due(hub, state, ends)


def take(state: HubState, reading: HubReading, usable: Callable[[Policy], bool] = lambda _: True) -> HubState:
    """Fold one reading in, and tell what became wrong or right."""
    after = fold(state, reading, anyio.current_time(), usable)
    for problem in after.problems:
        if problem not in state.problems:
            level = log.error if problem.fatal else log.warning
            level("Hub has a problem", place=str(problem.place), message=problem.message)
    if after.whole and not state.whole and state.synced:
        log.info("Hub is whole again")
    return after


def sources_named(state: HubState) -> frozenset[SourceRef]:
    """Return the Secrets that policies name as sources, in their current or in their last valid spec."""
    specs = [*state.former.values()]
    for record in state.policies.values():
        specs += [spec for spec in (record.current, record.in_force) if isinstance(spec, Policy)]
    return frozenset(ref for spec in specs for ref in spec.sources if not ref.inline)


async def load_specs(store: StateStore) -> dict[PolicyName, bytes]:
    """Return the stored specs as they lie in the store."""
    items = await store.load(Section.POLICIES)
    specs: dict[PolicyName, bytes] = {}
    for key, content in items.items():
        record = decode_policy(content) if key.startswith(_PREFIX) else None
        if record is not None:
            specs[record.policy.name] = content
    return specs


async def load_sources(store: StateStore) -> dict[SourceRef, SourceSecret]:
    """Return the last good content of every source."""
    items = await store.load(Section.SOURCES)
    sources = (decode_source(content) for content in items.values())
    return {source.ref: source for source in sources if source is not None}


async def save_specs(store: StateStore, stored: dict[PolicyName, bytes], state: HubState) -> bool:
    """Store the last valid spec of every policy, deleted ones too; ``stored`` is what lies there already.

    Returns False where the store could not be written.
    """
    wanted: dict[PolicyName, bytes] = {name: _encode(policy, deleted=True) for name, policy in state.former.items()}
    for name, record in state.policies.items():
        if record.in_force is not None:
            wanted[name] = _encode(record.in_force, deleted=False)
    try:
        for name, content in wanted.items():
            if stored.get(name) != content:
                await store.save(Section.POLICIES, _PREFIX + name, content)
                stored[name] = content
        for name in [name for name in stored if name not in wanted]:
            await store.delete(Section.POLICIES, _PREFIX + name)
            del stored[name]
    except PortError as failure:
        log.warning("Policies could not be stored; a restart may not remember them", message=str(failure))
        return False
    return True


_PREFIX = "spec:"


def _encode(policy: Policy, *, deleted: bool) -> bytes:
    return encode_policy(StoredPolicy(policy, deleted=deleted))


def _restored(stored: dict[PolicyName, bytes], sources: dict[SourceRef, SourceSecret]) -> HubState:
    records = [record for content in stored.values() if (record := decode_policy(content)) is not None]
    return restore(
        {record.policy.name: record.policy for record in records if not record.deleted},
        {record.policy.name: record.policy for record in records if record.deleted},
        sources,
    )


class _Ends:
    """Which deleted policies are over: nothing of them lies anywhere.

    A name may be deleted, made again and deleted again before anybody looked: what was said until a policy went was
    said of an earlier one of its name.
    """

    def __init__(self, rest: Latest[Rest]) -> None:
        self._rest = rest
        self._newest = -1
        self._went: dict[PolicyName, int] = {}

    @property
    def over(self) -> frozenset[PolicyName]:
        """The names that can be forgotten, as is known now."""
        rest = self._rest.value
        return frozenset(name for name in rest.gone if name not in self._went or rest.version > self._went[name])

    def note(self, before: HubState, after: HubState) -> None:
        """Note which rest was the newest when a policy was there last."""
        self._newest = max(self._newest, self._rest.value.version)
        self._went = {name: version for name, version in self._went.items() if name in after.former}
        self._went |= dict.fromkeys((*before.policies, *after.policies), self._newest)

    async def come(self, state: HubState) -> None:
        """Return when a former policy can be forgotten."""
        reader = self._rest.reader()
        while not self.over.intersection(state.former):
            await reader.next()


async def _until_due(hub: Hub, state: HubState, ends: _Ends) -> None:
    again = needs_second_look_at(state)
    deadline = math.inf if again is None else again + 0.05
    with anyio.CancelScope(deadline=deadline):
        async with anyio.create_task_group() as group:
            group.start_soon(_forgettable, state, ends, group.cancel_scope)
            await hub.changed()
            group.cancel_scope.cancel()


async def _forgettable(state: HubState, ends: _Ends, waiting: anyio.CancelScope) -> None:
    await ends.come(state)
    waiting.cancel()
