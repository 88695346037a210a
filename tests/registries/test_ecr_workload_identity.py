"""The process's own web identity and pod identity: their tokens never go to an endpoint that a source names."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintSource
from imps_multi.ports import Transient, Unauthorized
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.sigv4 import Credential

from .pod_identity_agent import pod_identity_agent
from .secrets import ROLE, ecr, listed

OWN_ROLE = "arn:aws:iam::555555555555:role/imps-multi"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def aws(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxEcr]:
    """AWS as the process's own settings name it."""
    assert anyio_backend == "asyncio"
    async with SandboxEcr() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield endpoint


@pytest.fixture
async def other(anyio_backend: str) -> AsyncIterator[SandboxEcr]:
    """Whoever listens where a source sends us; it knows none of our keys."""
    assert anyio_backend == "asyncio"
    async with SandboxEcr() as endpoint:
        yield endpoint


@pytest.fixture
def web_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("service-account-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", OWN_ROLE)


async def mint(provider: EcrProvider | None = None, **data: str) -> MintedToken:
    source = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1",))(ecr(**data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(20):
        return await (provider or EcrProvider(lambda: 0.0, listed)).mint(source.identity)


@pytest.mark.usefixtures("web_identity")
async def test_a_web_identity_asks_at_the_process_s_own_endpoint(aws: SandboxEcr) -> None:
    token = await mint(roleArn=ROLE)
    assert aws.is_valid(token.password)
    assert [each.account for each in aws.issued] == ["210987654321"]
    assert dict(aws.calls) == {"AssumeRoleWithWebIdentity": 1, "AssumeRole": 1, "GetAuthorizationToken": 1}


async def test_a_web_identity_token_that_is_not_there_is_said(
    aws: SandboxEcr, web_identity: None, tmp_path: Path
) -> None:
    assert web_identity is None
    (tmp_path / "token").unlink()
    with pytest.raises(Transient, match=r"own AWS identity in eu-west-1: a file .* cannot be read: a token's"):
        await mint(roleArn=ROLE)
    assert not aws.calls


async def test_the_web_identity_s_token_is_read_anew_when_its_session_ends(
    aws: SandboxEcr, web_identity: None, tmp_path: Path
) -> None:
    """Until then the session is used again: the tokens of a pod are renewed hourly."""
    assert web_identity is None
    aws.identities.longest = 300
    aws.identities.web_tokens = {"first-token": OWN_ROLE, "second-token": OWN_ROLE, "another-role-s": ROLE}
    provider = EcrProvider(lambda: 0.0, listed)
    for token in ("first-token", "second-token"):
        (tmp_path / "token").write_text(token)
        await mint(provider)
        del aws.identities.web_tokens[token]
    for token in ("first-token", "another-role-s"):
        (tmp_path / "token").write_text(token)
        with pytest.raises(Unauthorized, match="the process's own AWS identity in eu-west-1: InvalidIdentityToken"):
            await mint(provider)
    assert [each.account for each in aws.issued] == ["5" * 12] * 2


@pytest.mark.usefixtures("web_identity")
async def test_a_web_identity_token_never_goes_to_a_source_s_endpoint(aws: SandboxEcr, other: SandboxEcr) -> None:
    with pytest.raises(Unauthorized):
        await mint(stsEndpointURL=other.url, roleArn=ROLE)
    assert dict(aws.calls) == {"AssumeRoleWithWebIdentity": 1}
    assert dict(other.calls) == {"AssumeRole": 1}


async def test_a_pod_identity_token_goes_to_its_agent_alone(
    aws: SandboxEcr, other: SandboxEcr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Credential("ASIAPOD", "pod-secret", "pod-session")
    aws.identities.add_user(pod, account="5" * 12)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file(tmp_path))
    with pod_identity_agent(pod) as (url, shown):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        await mint()
        (tmp_path / "pod-token").write_text("next-token")
        with pytest.raises(Unauthorized):
            await mint(stsEndpointURL=other.url, roleArn=ROLE)
    assert shown == ["pod-token", "next-token"]
    assert [each.account for each in aws.issued] == ["5" * 12]
    assert dict(other.calls) == {"AssumeRole": 1}


def token_file(directory: Path) -> str:
    path = directory / "pod-token"
    path.write_text("pod-token")
    return str(path)
