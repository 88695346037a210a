"""The state store as Secrets, and the ConfigMap of held sets; on the sandbox and on a real kube-apiserver."""

from collections.abc import AsyncIterator

import anyio
import pytest
from msgspec import structs

from imps_multi.kube.held_map import HeldMap, policy_of, told
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.shared import Shared
from imps_multi.kube.state_items import PART_SIZE, head_name
from imps_multi.kube.state_secrets import StateSecrets, StateUnusable
from imps_multi.model.names import HubId, NamespaceName
from imps_multi.model.status import HeldStatus
from imps_multi.ports import NotFound, Section, Transient
from tests.kube.hub_world import linked
from tests.kube.world import MERGE_PATCH, World
from tests.realcluster.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the service runs; the transport has its own tests on both loops


SPACE = NamespaceName("team-a")
SECRETS = f"/api/v1/namespaces/{SPACE}/secrets"
HUB = HubId("mgmt")


@pytest.fixture
async def link(world: World, shared: Shared) -> AsyncIterator[HubLink]:
    async with linked(world.connection, shared) as found:
        yield found


def store(
    link: HubLink, unreadable: list[str] | None = None, *, namespace: str = SPACE, hub: str = HUB
) -> StateSecrets:
    left_out = [] if unreadable is None else unreadable
    return StateSecrets(
        link,
        NamespaceName(namespace),
        HubId(hub),
        on_unreadable=lambda item, why: left_out.append(f"{item}: {why}"),
        rand=lambda: 0.5,
    )


async def count(world: World) -> int:
    return len((await world.send("GET", SECRETS))["items"])


async def test_what_was_saved_is_loaded_by_another_process(world: World, link: HubLink) -> None:
    mine = store(link)
    expected = {"ns/name": b"one\n\x00", "spec:a": b"", "Ä b": b"three"}
    for key, content in expected.items():
        await mine.save(Section.SOURCES, key, b"before")
        await mine.save(Section.SOURCES, key, content)
    await mine.save(Section.TOKENS, "ns/name", b"token")
    assert dict(await store(link).load(Section.SOURCES)) == expected
    assert dict(await store(link, hub="other").load(Section.SOURCES)) == {}
    await mine.delete(Section.SOURCES, "ns/name")
    await store(link).delete(Section.SOURCES, "ns/name")
    assert set(await store(link).load(Section.SOURCES)) == {"spec:a", "Ä b"}
    assert await count(world) == 3
    found = await world.send("GET", f"{SECRETS}/{head_name(HUB, Section.TOKENS, 'ns/name')}")
    assert (found["type"], found["metadata"]["labels"]) == (
        "Opaque",
        {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": HUB, "imps-multi.io/state": "tokens"},
    )


async def test_a_large_item_lies_in_several_secrets_and_leaves_none_behind(world: World, link: HubLink) -> None:
    mine = store(link)
    for letter in (b"a", b"b"):
        await mine.save(Section.SOURCES, "large", letter * (2 * PART_SIZE + 1))
    assert dict(await store(link).load(Section.SOURCES)) == {"large": b"b" * (2 * PART_SIZE + 1)}
    assert await count(world) == 3
    await mine.save(Section.SOURCES, "large", b"small")
    assert await count(world) == 1
    with pytest.raises(Transient, match="more than the"):
        await mine.save(Section.SOURCES, "large", bytes(9 * PART_SIZE))


async def test_strays_of_a_crash_are_taken_away_by_the_next_write(world: World, link: HubLink) -> None:
    await store(link).save(Section.SOURCES, "large", b"a" * (PART_SIZE + 1))
    await world.delete(f"{SECRETS}/{head_name(HUB, Section.SOURCES, 'large')}")
    after = store(link)
    assert dict(await after.load(Section.SOURCES)) == {}
    await after.save(Section.SOURCES, "other", b"")
    assert await count(world) == 1


async def test_another_writer_is_written_over_from_what_lies_there(link: HubLink) -> None:
    first, second = store(link), store(link)
    await first.save(Section.HELD, "ledger", b"1")
    await second.load(Section.HELD)
    await first.save(Section.HELD, "ledger", b"2")
    await second.save(Section.HELD, "ledger", b"3")
    assert dict(await first.load(Section.HELD)) == {"ledger": b"3"}


async def test_one_that_somebody_deleted_is_made_anew(world: World, link: HubLink) -> None:
    mine = store(link)
    await mine.save(Section.HELD, "ledger", b"1")
    await world.delete(f"{SECRETS}/{head_name(HUB, Section.HELD, 'ledger')}")
    await mine.save(Section.HELD, "ledger", b"2")
    assert dict(await store(link).load(Section.HELD)) == {"ledger": b"2"}


async def test_a_damaged_item_is_left_out_and_told(world: World, link: HubLink) -> None:
    mine = store(link)
    for key in ("a", "b"):
        await mine.save(Section.TOKENS, key, b"token")
    name = head_name(HUB, Section.TOKENS, "a")
    await world.send("PATCH", f"{SECRETS}/{name}", {"data": {"content": "eA=="}}, MERGE_PATCH)
    told_of: list[str] = []
    assert dict(await store(link, told_of).load(Section.TOKENS)) == {"b": b"token"}
    assert told_of == [f"{SPACE}/{name}: its checksum is wrong, or a part of it is not there"]


async def test_without_its_namespace_the_command_is_told(link: HubLink) -> None:
    nowhere = store(link, namespace="no-such")
    with pytest.raises(StateUnusable, match="kubectl create namespace no-such"):
        await nowhere.check()
    with pytest.raises(Transient, match="kubectl create namespace no-such"):
        await nowhere.save(Section.TOKENS, "a", b"")


async def test_a_check_stores_nothing_and_names_the_role_that_lacks(
    world: World, link: HubLink, shared: Shared
) -> None:
    await store(link).check()
    assert await count(world) == 0
    async with linked(world.stranger, shared) as stranger:
        with pytest.raises(StateUnusable, match="imps-multi rbac --role hub"):
            await store(stranger).check()


async def test_reading_waits_until_the_hub_answers(world: World, link: HubLink, shared: Shared) -> None:
    await store(link).save(Section.TOKENS, "a", b"token")
    nowhere = structs.replace(world.connection, server=f"http://127.0.0.1:{free_port()}")
    async with linked(nowhere, shared) as away:
        patient = store(away)
        with pytest.raises(Transient):
            await patient.read(Section.TOKENS)
        away.adopt(world.connection)
        with anyio.fail_after(20):
            assert dict(await patient.load(Section.TOKENS)) == {"a": b"token"}


HELD = HeldStatus(id="h-1", deletions=12, why="12 of 40", policy="team-a", clusters=["east", "north"])
FLEET = HeldStatus(id="h-2", deletions=99, why="99 of 400")


async def test_held_sets_come_and_go_in_the_configmap_and_approvals_are_taken_from_it(
    world: World, link: HubLink
) -> None:
    held = HeldMap(link, SPACE, HUB)
    await held.show([])
    assert await held.read() is None
    with pytest.raises(NotFound):
        await held.ask("h-1")
    await held.show([HELD])
    await held.show([HELD, FLEET])
    page = await held.read()
    assert page is not None
    assert (dict(page.sets), page.approvals) == ({"h-1": told(HELD), "h-2": told(FLEET)}, ())
    for held_id in ("h-1", "h-2", "h-1"):
        await held.ask(held_id)
    asked = await held.read()
    assert asked is not None
    assert asked.approvals == ("h-1", "h-2")
    await held.taken()
    await held.show([FLEET])
    after = await held.read()
    assert after is not None
    assert (set(after.sets), after.asked) == ({"h-2"}, "")
    found = await world.send("GET", f"/api/v1/namespaces/{SPACE}/configmaps/imps-multi-held")
    assert found["metadata"]["labels"]["imps-multi.io/hub"] == HUB


def test_the_text_of_a_held_set_says_what_to_do() -> None:
    assert "imps-multi approve h-1" in told(HELD)
    assert "east, north" in told(HELD)
    assert (policy_of(told(HELD)), policy_of(told(FLEET)), policy_of("")) == ("team-a", "", "")
