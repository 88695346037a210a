"""Sources that stand in the policies themselves: minted, shared, edited, held and kept as those in Secrets are."""

from typing import Any

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.model.hub import HubObject
from imps_multi.ports import Section, Transient, Unauthorized
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import SPACE, policy, secret, static
from tests.actors.letting_go import OPEN, marked
from tests.actors.stage import Stage, held_ids, ready, rules, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio

ACCOUNT = "123456789012"
PLAIN = {"region": "eu-west-1", "accountID": ACCOUNT}
ELSEWHERE = {"region": "eu-west-2", "accountID": ACCOUNT}
HOST, OTHER = (f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com" for region in ("eu-west-1", "eu-west-2"))
ROLE = "arn:aws:iam::210987654321:role/pull"
STATIC = {"name": "static", "namespace": SPACE}


def allow(stage: Stage, *roles: str, secrets: bool = True) -> None:
    """Let roles be taken on, and Secrets be sources; let no Secret use the process's own identity but those here."""
    rule = AmbientRule(namespaces=(SPACE,) if secrets else (), role_arns=roles)
    read = interpreter(ambient=rule, endpoints=())
    stage.rules.set(rules(interpret=read, allowed=lambda ref: None if secrets else f"not {ref.namespace}"))


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """A hundred namespaces, and sources read as they really are."""
    allow(stage, "*")
    return stage.cluster("a", *spaces(100))


def inline(*credentials: dict[str, Any], name: str = "team", **given: Any) -> HubObject:
    listed = [one if "name" in one else {"ecr": one} for one in credentials]
    return policy(name, spec={"registry": {"credentials": listed}}, **given)


def ecr_secret(**more: str) -> HubObject:
    return secret("ecr", PLAIN | more, "banzaicloud.io/aws-ecr-login-config")


async def test_an_inline_source_is_minted_and_written_without_any_secret_in_the_hub(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(inline(PLAIN | {"accountIDs": ["111111111111"]}))
    async with stage.running() as service:
        await settled(service)
        assert set(cluster.passwords(HOST).values()) == {"token-1"}
        assert len(cluster.passwords(HOST.replace(ACCOUNT, "1" * 12))) == 100
        assert ready(service) == ("True", "AllSynced")
        assert stage.hub.needed == frozenset()
        [told] = status_of(service).credentials
        assert (told.namespace, told.name.rpartition(":")[0]) == ("", f"ecr:eu-west-1:{ACCOUNT}")
        assert status_of(service).source_secret_status == {told.name: "OK"}
        [shown] = service.reporter.compute().credentials
        assert (shown.namespace, shown.name, shown.provider, shown.state) == ("", told.name, "ecr", "minted")
    assert stage.store.keys(Section.SOURCES) == set()


async def test_equal_sources_have_one_mint_in_secrets_and_policies_alike(stage: Stage, cluster: FakeCluster) -> None:
    more = PLAIN | {"roleARN": ROLE}
    for number in range(5):
        stage.hub.put(inline(PLAIN, name=f"inline-{number}", secret=f"pull-{number}"))
    stage.hub.put(inline({**PLAIN, "registryHosts": ["*.example.com"]}, name="globs", secret="globs"))
    stage.hub.put(policy("named", sources=("ecr",), secret="named"), ecr_secret(), inline(more, name="x", secret="x"))
    async with stage.running() as service:
        await settled(service)
        assert len(stage.provider.mints) == 2
        passwords = {name: cluster.config("team-0000", name) for name in ("pull-0", "pull-4", "named", "globs")}
        assert len({str(sorted(one.values(), key=str)) for one in passwords.values()}) == 1
        assert len(service.world.value.sources) == 4


async def test_a_secret_s_content_moves_into_the_policy_and_back_without_a_mint_or_a_write(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(sources=("ecr",)), ecr_secret(roleArn=ROLE))
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(inline(PLAIN | {"roleARN": ROLE}))
        await settled(service)
        stage.hub.remove("ecr", kind="Secret")
        await settled(service)
        assert ready(service) == ("True", "AllSynced")
        stage.hub.put(policy(sources=("ecr",)), ecr_secret(roleArn=ROLE))
        await settled(service)
    assert (len(stage.provider.mints), len(cluster.writes)) == (1, 100)


async def test_the_order_in_the_policy_is_the_merge_order(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(static("static", annotations=None, **{HOST.replace(".", "_"): "from-secret"}))
    async with stage.running() as service:
        stage.hub.put(inline(PLAIN, STATIC))
        await until(lambda: set(cluster.passwords(HOST).values()) == {"token-1"})
        stage.hub.put(inline(STATIC, PLAIN))
        await until(lambda: set(cluster.passwords(HOST).values()) == {"from-secret"})
        await settled(service)
        assert "which an earlier source gives" in status_of(service).conditions[0].message


async def test_a_restart_mints_and_writes_nothing(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(inline(PLAIN, {"public": True}))
    async with stage.running() as service:
        await settled(service)
    minted, written = len(stage.provider.mints), len(cluster.writes)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(60.0)
    assert (len(stage.provider.mints), len(cluster.writes)) == (minted, written) == (2, 100)


async def test_an_edit_takes_effect_at_once_and_the_old_identity_is_asked_no_more(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(inline(PLAIN))
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(inline(PLAIN | {"roleARN": ROLE}))
        took = await until(lambda: set(cluster.passwords(HOST).values()) == {"token-2"})
        assert took < 2.0
        await settled(service)
        assert service.keepers is not None
        assert len(service.keepers.states()) == 1
        assert len(stage.store.keys(Section.TOKENS)) == 1


async def test_the_old_identity_is_asked_no_more_though_a_cluster_is_away_for_long(
    stage: Stage, cluster: FakeCluster
) -> None:
    away = stage.cluster("edge", *spaces(3), paused=True)
    stage.hub.put(inline(PLAIN, {"public": True}))
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        for role in "abcd":
            stage.hub.put(inline(PLAIN | {"roleARN": ROLE + role}, {"public": True}))
            await anyio.sleep(20.0)
        await settled(service)
        assert service.keepers is not None
        assert (len(service.keepers.states()), len(stage.store.keys(Section.TOKENS))) == (2, 2)
        minted = len(stage.provider.mints)
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(20.0)
        assert len(stage.provider.mints) == minted
        assert len(stage.store.keys(Section.TOKENS)) == 2
    assert not away.secrets
    assert len(cluster.passwords(HOST)) == 100


async def test_a_restart_mints_nothing_while_an_edit_is_refused(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(inline(PLAIN))
    async with stage.running() as service:
        await settled(service)
        stage.provider.error = Unauthorized("no such role")
        stage.hub.put(inline(PLAIN | {"roleARN": ROLE}))
        await until(lambda: ready(service) == ("False", "SourceError"))
    old = stage.provider.mints[0][1]
    async with stage.running() as service:
        await anyio.sleep(60.0)
        assert ready(service) == ("False", "SourceError")
    assert len(stage.provider.times(old)) == 1
    assert len(cluster.passwords(HOST)) == 100


async def test_an_edit_whose_identity_is_refused_keeps_what_is_there_fresh(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(inline(PLAIN))
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        key = stage.provider.mints[0][1]
        good = stage.provider.mint

        async def mint(identity: Any) -> Any:
            if identity.key != key:
                raise Unauthorized("no such role")
            return await good(identity)

        stage.provider.mint = mint  # type: ignore[method-assign]  # one identity of two is refused
        stage.hub.put(inline(PLAIN | {"roleARN": ROLE}))
        await until(lambda: ready(service) == ("False", "SourceError"))
        await anyio.sleep(900.0)
        assert ready(service) == ("False", "SourceError")
        assert set(cluster.passwords(HOST).values()) == {"token-3"}
        assert len(stage.provider.mints) == 4


async def test_an_invalid_edit_keeps_the_last_good_one_also_over_a_restart(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(inline(PLAIN))
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(inline(PLAIN | {"secretKey": "x"}))
        await until(lambda: ready(service) == ("False", "InvalidSpec"))
        assert "secretKey: is secret: put it in a source Secret" in status_of(service).reason
        await anyio.sleep(400.0)
        assert set(cluster.passwords(HOST).values()) == {"token-2"}
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("False", "InvalidSpec")
        await anyio.sleep(400.0)
        assert set(cluster.passwords(HOST).values()) == {f"token-{len(stage.provider.mints)}"}
        assert len(cluster.passwords(HOST)) == 100


async def test_a_restart_with_a_hub_that_cannot_be_read_keeps_an_inline_source_fresh(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(inline(PLAIN))
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
    stage.hub.spoil("team")
    async with stage.running() as service:
        await settled(service)
        await anyio.sleep(900.0)
        assert len(stage.provider.mints) > 2
        assert set(cluster.passwords(HOST).values()) == {f"token-{len(stage.provider.mints)}"}


async def test_a_role_that_is_not_allowed_is_refused_with_what_to_write(stage: Stage, cluster: FakeCluster) -> None:
    """No Secret may use the process's own identity here, nor be a source at all; what is inline is no Secret."""
    allow(stage, "arn:aws:iam::*:role/other", secrets=False)
    stage.hub.put(inline(PLAIN, PLAIN | {"roleChain": [ROLE]}))
    async with stage.running() as service:
        await settled(service)
        assert ready(service) == ("False", "SourceError")
        first, second = status_of(service).credentials
        assert first.message == ""
        assert second.message == (
            "key roleChain names a role that the process's own identity may not take on; "
            "add it to sources.ambientIdentity.roleARNs"
        )
        await until(lambda: len(cluster.passwords(HOST)) == 100)
        allow(stage, ROLE, secrets=False)
        await until(lambda: ready(service) == ("True", "AllSynced"))
        assert len(stage.provider.mints) == 2


async def test_a_host_that_every_target_would_lose_is_held_and_stays_fresh_until_it_is_let_go(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(inline(PLAIN))
    stage.provider.life = 600.0
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(inline(ELSEWHERE))
        await until(lambda: held_ids(service))
        await anyio.sleep(1000.0)
        assert len(set(cluster.passwords(HOST).values())) == 1
        assert fresh(cluster, stage)
    async with stage.running() as service:
        await until(lambda: held_ids(service))
        await anyio.sleep(1000.0)
        assert fresh(cluster, stage)
        assert "cannot be refreshed" not in status_of(service).reason
        await service.braker.approve(held_ids(service)[0])
        await until(lambda: not cluster.passwords(HOST))
        await settled(service)
        await gone(service, stage)
        assert len(cluster.passwords(OTHER)) == 100


def fresh(cluster: FakeCluster, stage: Stage) -> bool:
    """Say whether both hosts hold tokens of the last two rounds."""
    newest = {f"token-{len(stage.provider.mints) - back}" for back in range(4)}
    return all(set(cluster.passwords(host).values()) <= newest for host in (HOST, OTHER))


async def gone(service: Service, stage: Stage) -> None:
    """Wait until only one identity is kept."""
    assert service.keepers is not None
    keepers = service.keepers
    await until(lambda: len(keepers.states()) == 1, within=60.0)
    assert len(stage.store.keys(Section.TOKENS)) == 1


async def test_a_deleted_policy_s_targets_stay_fresh_while_they_linger_and_then_nothing_is_left(
    stage: Stage,
) -> None:
    allow(stage, "*")
    cluster = stage.cluster("a", *spaces(4))
    stage.safety.set(OPEN)
    stage.provider.life = 600.0
    stage.hub.put(inline(PLAIN), inline(ELSEWHERE, name="other", secret="other"))
    async with stage.running() as service:
        await settled(service)
        stage.hub.remove("team")
        await until(lambda: len(marked(cluster)) == 4, within=20.0)
        await anyio.sleep(1000.0)
        assert len(cluster.passwords(HOST)) == 4
        assert fresh(cluster, stage)
    async with stage.running() as service:
        await until(lambda: not cluster.passwords(HOST), within=2 * 3600.0)
        await gone(service, stage)


async def test_a_registry_that_is_down_takes_nothing_away(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(inline(PLAIN))
    async with stage.running() as service:
        await settled(service)
        stage.provider.error = Transient("503")
        stage.clock.step(13 * 3600.0)
        await until(lambda: ready(service) == ("False", "SourceError"), within=200.0)
        assert set(cluster.passwords(HOST).values()) == {"token-1"}
        assert not held_ids(service)


async def test_a_sync_that_is_asked_for_mints_an_inline_source_anew_once(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(inline(PLAIN))
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(inline(PLAIN, annotations={"imps-multi.io/sync": "now"}))
        await until(lambda: set(cluster.passwords(HOST).values()) == {"token-2"})
        await anyio.sleep(60.0)
    assert len(stage.provider.mints) == 2
