"""One mint for each identity, counted where it is minted, whether its sources are Secrets or stand in policies."""

import time
from collections.abc import AsyncIterator

import anyio
import pytest

from imps_multi.model.hub import HubObject
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr
from tests.actors.fakes import SPACE, policy, secret
from tests.actors.stage import Stage, rules, settled, until

from .secrets import ECR, ROLE

POLICIES, SOURCES = 10, 10
WAYS: tuple[dict[str, str], ...] = ({}, {"roleArn": ROLE}, {"roleArn": ROLE, "externalID": "tenant:7"})

pytestmark = pytest.mark.anyio


@pytest.fixture
async def aws(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxEcr]:
    assert anyio_backend == "asyncio"
    async with SandboxEcr() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credential.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credential.secret_key)
        yield endpoint


def source(number: int) -> HubObject:
    """A Secret with hosts of its own; every third has the same identity."""
    more = {"registryHosts": f"r{number}.example.com", **WAYS[number % len(WAYS)]}
    return secret(f"s{number}", ECR | more, "banzaicloud.io/aws-ecr-login-config")


def naming(number: int) -> HubObject:
    """A policy with sources of its own and with some that stand in it, of the same identities."""
    first = number * SOURCES
    named = [{"name": f"s{one}", "namespace": SPACE} for one in range(first, first + SOURCES - 2)]
    inline = [{"ecr": ECR}, {"ecr": {**ECR, "roleARN": ROLE, "registryHosts": [f"i{number}.example.com"]}}]
    return policy(f"p{number}", secret=f"pull-{number}", spec={"registry": {"credentials": [*named, *inline]}})


async def test_sources_in_secrets_and_in_policies_are_a_mint_for_each_identity_and_none_after_a_restart(
    aws: SandboxEcr,
) -> None:
    stage = Stage()
    stage.clock.offset = time.time() - anyio.current_time()  # the sandbox's tokens are of today
    stage.rules.set(rules(interpret=interpreter(ambient=AmbientRule(everybody=True), endpoints=())))
    cluster = stage.cluster("a", "team-0")
    stage.hub.put(*map(source, range(POLICIES * SOURCES)), *map(naming, range(POLICIES)))
    for _ in range(2):
        stage.provider = EcrProvider(stage.clock, tuple)  # type: ignore[assignment]  # the real one, and no fake
        async with stage.running() as service:
            await until(lambda: len(cluster.writes) >= POLICIES)
            await settled(service)
            assert len(service.world.value.sources) == POLICIES * (SOURCES - 1) + 1
        assert len(cluster.writes) == POLICIES
        assert (aws.mints, aws.calls["AssumeRole"]) == (len(WAYS), len(WAYS) - 1)
