"""ECR tokens from the sandbox: short lives, changing tokens, and every nonsense it can be told to talk."""

from collections.abc import AsyncIterator

import anyio
import pytest

from imps_multi.model.compose import registries
from imps_multi.model.credential import MintedToken, MintIdentity, MintSource
from imps_multi.model.names import RegistryKey
from imps_multi.model.refresh import Refused, accept
from imps_multi.ports import Forbidden, Invalid, PortError, Throttled, Transient, Unauthorized
from imps_multi.registries import ecr as ecr_module
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.ecr_faults import Nonsense

from .secrets import ROLE, ecr, listed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[SandboxEcr]:
    assert anyio_backend == "asyncio"
    async with SandboxEcr(lifetime=20.0) as endpoint:
        yield endpoint


def identity(sandbox: SandboxEcr, **data: str) -> MintIdentity:
    keys = {"accessKeyID": sandbox.credential.access_key, "secretKey": sandbox.credential.secret_key}
    urls = {"ecrEndpointURL": sandbox.url, "stsEndpointURL": sandbox.url}
    source = interpreter(ambient=AmbientRule(), endpoints=("127.0.0.1",))(ecr(**{**keys, **urls, **data}))
    assert isinstance(source, MintSource), source
    return source.identity


def now(sandbox: SandboxEcr) -> float:
    return sandbox._now().timestamp()


async def judged(sandbox: SandboxEcr, **data: str) -> MintedToken | Refused:
    provider = EcrProvider(lambda: now(sandbox), listed)
    with anyio.fail_after(20):
        token = await provider.mint(identity(sandbox, **data))
    return accept(token, now(sandbox), Providers.documented_life("ecr"))


async def test_each_mint_is_another_token_that_lives_as_told(sandbox: SandboxEcr) -> None:
    first, second = await judged(sandbox), await judged(sandbox)
    assert isinstance(first, MintedToken)
    assert isinstance(second, MintedToken)
    assert first.password != second.password
    assert sandbox.is_valid(first.password)
    assert sandbox.is_valid(second.password)
    assert first.expires_at is not None
    assert first.expires_at - first.issued_at == pytest.approx(20, abs=5)
    assert sandbox.mints == 2


async def test_a_role_s_token_is_the_role_account_s(sandbox: SandboxEcr) -> None:
    token = await judged(sandbox, roleArn=ROLE)
    assert isinstance(token, MintedToken)
    assert token.endpoint == "https://210987654321.dkr.ecr.eu-west-1.amazonaws.com"


async def test_the_endpoint_that_comes_with_a_token_is_the_host_of_a_source_that_names_none(
    sandbox: SandboxEcr,
) -> None:
    token = await judged(sandbox, region="cn-north-1")
    assert isinstance(token, MintedToken)
    host = f"{sandbox.account}.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert registries(MintSource(identity(sandbox), ()), token) == (host,)
    assert registries(MintSource(identity(sandbox), (RegistryKey("*.example.com"),)), token) == ("*.example.com",)


async def test_a_wrong_key_is_unauthorized(sandbox: SandboxEcr) -> None:
    with pytest.raises(Unauthorized):
        await judged(sandbox, secretKey="wrong")


@pytest.mark.parametrize("nonsense", [Nonsense.NO_COLON, Nonsense.NO_BASE64, Nonsense.EMPTY_LIST, Nonsense.HUGE])
async def test_an_answer_of_no_use_is_invalid(sandbox: SandboxEcr, nonsense: Nonsense) -> None:
    sandbox.faults.talk_nonsense(nonsense)
    with pytest.raises(Invalid):
        await judged(sandbox)


async def test_a_token_that_has_expired_is_refused(sandbox: SandboxEcr) -> None:
    sandbox.faults.talk_nonsense(Nonsense.EXPIRED)
    assert isinstance(await judged(sandbox), Refused)


@pytest.mark.parametrize(("nonsense", "hours"), [(Nonsense.NO_EXPIRY, 12), (Nonsense.CENTURY, 24)])
async def test_an_expiry_that_cannot_be_believed_becomes_one_that_can(
    sandbox: SandboxEcr, nonsense: Nonsense, hours: int
) -> None:
    sandbox.faults.talk_nonsense(nonsense)
    token = await judged(sandbox)
    assert isinstance(token, MintedToken)
    assert token.expires_at is not None
    assert token.expires_at - token.issued_at == pytest.approx(hours * 3600)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingException", Throttled), ("AccessDeniedException", Forbidden), ("ServerException", Transient)],
)
async def test_a_refusal_is_one_of_the_ports_errors_and_is_asked_once(
    sandbox: SandboxEcr, code: str, expected: type[PortError]
) -> None:
    sandbox.faults.fail(code)
    with pytest.raises(expected):
        await judged(sandbox)
    assert sandbox.mints == 1


async def test_an_endpoint_that_hangs_or_refuses_is_transient_until_it_heals(
    sandbox: SandboxEcr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecr_module, "_READ", 0.2)
    sandbox.faults.hang()
    with pytest.raises(Transient):
        await judged(sandbox)
    await sandbox.faults.refuse()
    with pytest.raises(Transient):
        await judged(sandbox)
    monkeypatch.undo()
    await sandbox.faults.heal()
    assert isinstance(await judged(sandbox), MintedToken)


async def test_the_public_registry_s_token_comes_from_its_one_region(sandbox: SandboxEcr) -> None:
    token = await judged(sandbox, public="true")
    assert isinstance(token, MintedToken)
    assert sandbox.is_valid(token.password)
    assert token.endpoint == ""
    assert [each.region for each in sandbox.issued] == ["us-east-1"]


async def test_a_refusal_of_the_public_registry_is_said_of_it(sandbox: SandboxEcr) -> None:
    sandbox.faults.fail("AccessDeniedException")
    with pytest.raises(Forbidden, match="ECR Public GetAuthorizationToken in us-east-1: AccessDenied"):
        await judged(sandbox, public="true")
