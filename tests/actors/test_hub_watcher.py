"""The hub watcher: what is read is stored, then published; what is gone is remembered while it lies anywhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from imps_multi.actors.hub_watcher import watch_hub
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.names import PolicyName
from imps_multi.model.policy import InvalidPolicy
from imps_multi.model.rest import Rest
from imps_multi.ports import Section
from imps_multi.runtime.latest import Latest
from tests.actors.fakes import FakeHub, FakeStore, policy, static
from tests.actors.stage import until

pytestmark = pytest.mark.anyio

TEAM = PolicyName("team")
NONSENSE = policy(namespaces={"labels": "all"})


@dataclass
class Bench:
    """One hub watcher's world."""

    hub: FakeHub = field(default_factory=FakeHub)
    store: FakeStore = field(default_factory=FakeStore)
    out: Latest[HubSnapshot] = field(default_factory=Latest)
    rest: Latest[Rest] = field(default_factory=lambda: Latest(Rest()))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Run a hub watcher for a while."""
        self.out = Latest()
        async with anyio.create_task_group() as group:
            group.start_soon(watch_hub, self.hub, self.store, self.out, self.rest)
            yield
            group.cancel_scope.cancel()

    @property
    def policies(self) -> set[str]:
        return set(self.out.get(HubSnapshot()).policies)


@pytest.fixture
def bench() -> Bench:
    """A hub with one policy and its source."""
    made = Bench()
    made.hub.put(policy(), static())
    return made


async def test_what_is_read_is_published_and_so_is_every_change(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies == {"team"})
        assert (bench.out.value.synced, bench.out.value.whole) == (True, True)
        bench.hub.put(policy("other"))
        await until(lambda: bench.policies == {"team", "other"})


async def test_the_hub_is_told_which_sources_are_named_also_by_the_last_valid_spec(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: {ref.name for ref in bench.hub.needed} == {"static"})
        bench.hub.put(NONSENSE)
        await until(lambda: bench.hub.reads == 2)
        await until(lambda: {ref.name for ref in bench.hub.needed} == {"static"})


async def test_a_reading_that_changes_nothing_is_not_published(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
        version = bench.out.version
        bench.hub.put(policy())
        await until(lambda: bench.hub.reads == 2)
        await anyio.sleep(1.0)
        assert bench.out.version == version


async def test_a_spec_is_stored_before_it_is_published(bench: Bench) -> None:
    bench.store.slow = 2.0
    async with bench.watching():
        await anyio.sleep(1.9)
        assert (bench.policies, bench.store.saving) == (set(), 1)
        await until(lambda: bench.policies == {"team"})
        assert bench.store.keys(Section.POLICIES) == {"spec:team"}


async def test_a_policy_is_gone_after_a_second_look_and_is_remembered_as_a_former_one(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
        bench.hub.remove("team")
        assert await until(lambda: not bench.policies) >= 1.0
        assert set(bench.out.value.former) == bench.out.value.seen_deleted == {"team"}
    async with bench.watching():
        await until(lambda: bench.out.get(None))
        assert set(bench.out.value.former) == {"team"}
        assert bench.out.value.seen_deleted == set()


async def test_a_former_policy_is_forgotten_when_nothing_of_it_lies_anywhere(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
        bench.hub.remove("team")
        await until(lambda: bench.out.value.former)
        bench.rest.set(Rest(version=1, gone=frozenset({PolicyName("other")})))
        await anyio.sleep(5.0)
        assert bench.out.value.former
        bench.rest.set(Rest(version=2, gone=frozenset({TEAM})))
        await until(lambda: not bench.out.value.former)
        assert bench.store.keys(Section.POLICIES) == set()


async def test_a_policy_that_is_deleted_again_is_not_forgotten_for_what_was_said_of_the_first(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
        bench.hub.remove("team")
        await until(lambda: bench.out.value.former)
        bench.rest.set(Rest(version=1, gone=frozenset({TEAM})))
        await until(lambda: not bench.out.value.former)
        bench.hub.put(policy())
        await until(lambda: bench.policies)
        bench.hub.remove("team")
        await until(lambda: not bench.policies)
        await anyio.sleep(5.0)
        assert set(bench.out.value.former) == {"team"}
        bench.rest.set(Rest(version=2, gone=frozenset({TEAM})))
        await until(lambda: not bench.out.value.former)


async def test_an_invalid_spec_keeps_the_last_valid_one_in_force_also_over_a_restart(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
        bench.hub.put(NONSENSE)
        await until(lambda: isinstance(bench.out.value.policies[TEAM].current, InvalidPolicy))
        assert bench.out.value.policies[TEAM].in_force is not None
    async with bench.watching():
        await until(lambda: bench.policies)
        assert isinstance(bench.out.value.policies[TEAM].current, InvalidPolicy)
        assert bench.out.value.policies[TEAM].in_force is not None


async def test_problems_are_told_once_each_and_so_is_their_end(bench: Bench, logged: list[Any]) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
        for _ in range(3):
            bench.hub.spoil("team")
            await anyio.sleep(2.0)
        assert bench.policies == {"team"}
        bench.hub.mend(policy())
        await until(lambda: bench.out.value.whole)
    assert [one["event"] for one in logged] == ["Hub has a problem", "Hub is whole again"]
    assert (logged[0]["place"], logged[0]["log_level"]) == ("hub/broken.yaml:3:1", "error")


async def test_a_store_that_is_unreadable_in_part_costs_that_part_only(bench: Bench) -> None:
    async with bench.watching():
        await until(lambda: bench.policies)
    bench.store.items[Section.POLICIES, "spec:broken"] = b"{"
    bench.store.items[Section.SOURCES, "broken"] = b"\xff"
    bench.hub.spoil("team")
    async with bench.watching():
        await until(lambda: bench.policies == {"team"})


@pytest.mark.parametrize("moment", ["waiting", "storing"])
async def test_cancelled_at_any_moment_nothing_is_published_that_is_not_stored(bench: Bench, moment: str) -> None:
    bench.store.slow = 60.0 if moment == "storing" else 0.0
    async with bench.watching():
        await until(lambda: bench.store.saving if moment == "storing" else bench.policies)
    assert bench.store.saving == 0
    assert bool(bench.policies) == bool(bench.store.items) == (moment == "waiting")
