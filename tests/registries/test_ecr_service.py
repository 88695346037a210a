"""The whole service and ECR over real HTTP: how often it is asked, and whom a bad identity costs anything."""

import time
from collections.abc import AsyncIterator

import pytest

from imps_multi.model.hub import HubObject
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.sigv4 import Credential
from tests.actors.fakes import WallClock, policy, secret
from tests.actors.stage import Stage, ready, rules, settled, spaces, until

from .secrets import listed

POLICIES, SOURCES, IDENTITIES = 50, 40, 3

pytestmark = pytest.mark.anyio


class RealClock(WallClock):
    """The time by which the endpoint reckons."""

    def __call__(self) -> float:
        return time.time()


@pytest.fixture
def stage() -> Stage:
    """A service that mints at ECR, whichever one a source names."""
    clock = RealClock()
    made = Stage(clock=clock, minting=Providers(clock, listed).provider_for)
    made.rules.set(rules(interpret=interpreter(ambient=AmbientRule(), endpoints=listed())))
    return made


@pytest.fixture
async def aws(anyio_backend: str) -> AsyncIterator[SandboxEcr]:
    assert anyio_backend == "asyncio"
    async with SandboxEcr(password_length=40) as endpoint:
        yield endpoint


@pytest.fixture
async def bad(anyio_backend: str) -> AsyncIterator[SandboxEcr]:
    """Another endpoint, to go wrong."""
    assert anyio_backend == "asyncio"
    async with SandboxEcr(password_length=40) as endpoint:
        yield endpoint


def source(endpoint: SandboxEcr, number: int = 0, identity: int = 0) -> HubObject:
    """Return a source of one of several users of an endpoint, for a registry of its own."""
    user = Credential(f"AKIA{identity:016}", f"secret-{identity}")
    endpoint.identities.add_user(user, account="1" * 12)
    data = {"region": "eu-west-1", "accountID": f"{number:012}", "ecrEndpointURL": endpoint.url}
    keys = {"accessKeyID": user.access_key, "secretKey": user.secret_key}
    return secret(f"ecr-{number}", {**data, **keys}, "banzaicloud.io/aws-ecr-login-config")


async def test_fifty_policies_of_forty_sources_of_three_identities_are_three_mints_and_none_after_a_restart(
    stage: Stage, aws: SandboxEcr
) -> None:
    cluster = stage.cluster("a", "team-0000")
    stage.hub.put(*(source(aws, number, number % IDENTITIES) for number in range(SOURCES)))
    named = [f"ecr-{number}" for number in range(SOURCES)]
    stage.hub.put(*(policy(f"p-{number}", sources=named, secret=f"pull-{number}") for number in range(POLICIES)))
    async with stage.running() as service:
        await settled(service, within=60.0)
    assert aws.mints == IDENTITIES
    assert len(cluster.secrets) == POLICIES
    assert all(len(cluster.config("team-0000", f"pull-{number}")) == SOURCES for number in range(POLICIES))
    writes = len(cluster.writes)
    async with stage.running() as service:
        await settled(service, within=60.0)
    assert (aws.mints, len(cluster.writes)) == (IDENTITIES, writes)


@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_an_identity_that_hangs_or_fails_costs_itself_only(
    stage: Stage, aws: SandboxEcr, bad: SandboxEcr, how: str
) -> None:
    cluster = stage.cluster("a", *spaces(2))
    bad.faults.hang() if how == "hangs" else bad.faults.fail("ServerException")
    stage.hub.put(source(aws, 1), source(bad, 2, 1), source(bad, 3, 2))
    stage.hub.put(policy("good", sources=("ecr-1",), secret="good"))
    stage.hub.put(*(policy(f"bad-{number}", sources=(f"ecr-{number}",), secret="bad") for number in (2, 3)))
    asked: list[tuple[float, int]] = []
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 2)
        assert (aws.mints, set(cluster.passwords("000000000001.dkr.ecr.eu-west-1.amazonaws.com", "good"))) == (
            1,
            {"team-0000", "team-0001"},
        )
        if how == "fails":
            await until(lambda: _note(asked, bad.mints) >= 4)
            assert ready(service, "bad-2") == ("False", "SourceError")
            first, second = (next(at for at, mints in asked if mints >= least) for least in (1, 3))
            assert second - first > 0.7  # each of both waits a second or so
        await bad.faults.heal()
    assert aws.mints == 1


def _note(asked: list[tuple[float, int]], mints: int) -> int:
    asked.append((time.monotonic(), mints))
    return mints
