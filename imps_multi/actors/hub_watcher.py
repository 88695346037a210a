"""The hub watcher: reads the hub whenever it changed and publishes what is wanted.

Owns the fold of the readings and the stored specs; what must outlive the process is stored before it is published.
Never takes anything away because it could not be read.
"""

import math

import anyio
import structlog

from imps_multi.model.hub import HubReading, HubSnapshot
from imps_multi.model.hub_fold import HubState, fold, needs_second_look_at, restore, snapshot
from imps_multi.model.names import PolicyName
from imps_multi.model.policy import Policy
from imps_multi.model.stored_policy import StoredPolicy, decode_policy, encode_policy
from imps_multi.ports import Hub, PortError, Section, StateStore
from imps_multi.runtime.latest import Latest

log = structlog.get_logger()


async def watch_hub(hub: Hub, store: StateStore, out: Latest[HubSnapshot]) -> None:
    """Read and publish for ever."""
    stored = await load_specs(store)
    state = _restored(stored)
    while True:
        state = take(state, await hub.read())
        await save_specs(store, stored, state)
        out.set_if_changed(snapshot(state))
        await _until_due(hub, state)


def take(state: HubState, reading: HubReading) -> HubState:
    """Fold one reading in, and tell what became wrong or right."""
    after = fold(state, reading, anyio.current_time())
    for problem in after.problems:
        if problem not in state.problems:
            level = log.error if problem.fatal else log.warning
            level("Hub has a problem", place=str(problem.place), message=problem.message)
    if after.whole and not state.whole and state.synced:
        log.info("Hub is whole again")
    return after


async def load_specs(store: StateStore) -> dict[PolicyName, bytes]:
    """Return the stored specs as they lie in the store."""
    items = await store.load(Section.POLICIES)
    specs: dict[PolicyName, bytes] = {}
    for key, content in items.items():
        record = decode_policy(content) if key.startswith(_PREFIX) else None
        if record is not None:
            specs[record.policy.name] = content
    return specs


async def save_specs(store: StateStore, stored: dict[PolicyName, bytes], state: HubState) -> None:
    """Store the last valid spec of every policy, deleted ones too; ``stored`` is what lies there already."""
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


_PREFIX = "spec:"


def _encode(policy: Policy, *, deleted: bool) -> bytes:
    return encode_policy(StoredPolicy(policy, deleted=deleted))


def _restored(stored: dict[PolicyName, bytes]) -> HubState:
    records = [record for content in stored.values() if (record := decode_policy(content)) is not None]
    return restore(
        {record.policy.name: record.policy for record in records if not record.deleted},
        {record.policy.name: record.policy for record in records if record.deleted},
    )


async def _until_due(hub: Hub, state: HubState) -> None:
    again = needs_second_look_at(state)
    deadline = math.inf if again is None else again + 0.05
    with anyio.CancelScope(deadline=deadline):
        await hub.changed()
