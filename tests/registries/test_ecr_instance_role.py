"""The role of the machine that the process runs on: asked of its metadata service, at each mint."""

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintSource
from imps_multi.ports import Forbidden, Unauthorized
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.identities import Trust
from imps_multi.sandbox.sigv4 import Credential

from .metadata_service import ROLE as NODE_ROLE
from .metadata_service import MetadataService, metadata_service
from .secrets import ROLE, ecr, listed

NODE = Credential("ASIANODE", "node-secret", "node-session")

pytestmark = pytest.mark.anyio


@pytest.fixture
async def aws(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxEcr]:
    assert anyio_backend == "asyncio"
    async with SandboxEcr() as endpoint:
        endpoint.identities.add_user(NODE, account="5" * 12, name="node")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        yield endpoint


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataService]:
    with metadata_service(NODE) as service:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        yield service


async def mint(**data: str) -> MintedToken:
    source = interpreter(ambient=AmbientRule(everybody=True), endpoints=())(ecr(**data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(20):
        return await EcrProvider(lambda: 0.0, listed).mint(source.identity)


async def test_the_machine_s_role_asks_with_a_session_of_the_metadata_service(
    aws: SandboxEcr, metadata: MetadataService
) -> None:
    token = await mint()
    assert aws.is_valid(token.password)
    assert [(each.account, each.access_key) for each in aws.issued] == [("5" * 12, NODE.access_key)]
    roles = "/latest/meta-data/iam/security-credentials/"
    assert metadata.asked == ["PUT /latest/api/token", f"GET {roles}", f"GET {roles}{NODE_ROLE}"]


async def test_the_machine_s_role_takes_on_another_with_its_external_id(
    aws: SandboxEcr, metadata: MetadataService
) -> None:
    aws.identities.trust[ROLE] = Trust(
        by=f"arn:aws:iam::{'5' * 12}:user/node", external_id="tenant:7", session_name="team-a"
    )
    with pytest.raises(Forbidden):
        await mint(roleArn=ROLE, sessionName="team-a")
    await mint(roleArn=ROLE, sessionName="team-a", externalID="tenant:7")
    assert [each.account for each in aws.issued] == ["210987654321"]
    assert len(metadata.asked) == 6


async def test_rotated_keys_of_the_machine_are_taken_up(aws: SandboxEcr, metadata: MetadataService) -> None:
    await mint()
    metadata.credential = Credential("ASIANEXT", "next-secret", "next-session")
    aws.identities.add_user(metadata.credential, account="6" * 12)
    await mint()
    assert [each.account for each in aws.issued] == ["5" * 12, "6" * 12]


async def test_a_machine_without_a_role_is_said(aws: SandboxEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(Unauthorized, match="there is none"):
        await mint()
    assert not aws.calls
