"""The ECR and STS endpoint, asked by the client that the product uses."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import UNSIGNED
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.ecr_faults import Nonsense
from imps_multi.sandbox.sigv4 import Credential

pytestmark = pytest.mark.anyio

SESSION = get_session()  # one for all: each new one reads the service models again
ONCE = AioConfig(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=10)
ROLE = "arn:aws:iam::210987654321:role/pull"


@pytest.fixture
async def ecr() -> AsyncIterator[SandboxEcr]:
    """Give an endpoint."""
    async with SandboxEcr() as found:
        yield found


@asynccontextmanager
async def client(
    ecr: SandboxEcr, service: str, *, key: Credential | None = None, region: str = "eu-west-1", **config: Any
) -> AsyncIterator[Any]:
    chosen = key or ecr.credential
    async with SESSION.create_client(
        service,
        region_name=region,
        endpoint_url=ecr.url,
        aws_access_key_id=chosen.access_key,
        aws_secret_access_key=chosen.secret_key,
        aws_session_token=chosen.session_token or None,
        config=ONCE.merge(AioConfig(**config)),
    ) as found:
        yield found


async def mint(ecr: SandboxEcr, **how: Any) -> dict[str, Any]:
    async with client(ecr, "ecr", **how) as found:
        answer: dict[str, Any] = await found.get_authorization_token()
    entry: dict[str, Any] = answer["authorizationData"][0]
    return entry


def password(entry: dict[str, Any]) -> str:
    user, _, found = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    return found


async def refusal(ecr: SandboxEcr, **how: Any) -> str:
    with pytest.raises(ClientError) as caught:
        await mint(ecr, **how)
    return str(caught.value.response["Error"]["Code"])


async def test_each_call_gives_another_token_that_lives_half_a_day(ecr: SandboxEcr) -> None:
    first, second = await mint(ecr), await mint(ecr)
    assert password(first) != password(second)
    left = first["expiresAt"] - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    assert (ecr.mints, len(ecr.issued)) == (2, 2)
    assert ecr.is_valid(password(first))


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
async def test_the_host_is_of_the_account_and_region(ecr: SandboxEcr, region: str, host: str) -> None:
    assert (await mint(ecr, region=region))["proxyEndpoint"] == f"https://{host}"


async def test_a_token_lives_as_long_as_it_is_told_and_not_longer() -> None:
    moment = [datetime(2030, 1, 1, tzinfo=UTC)]
    async with SandboxEcr(lifetime=60.0, now=lambda: moment[0]) as ecr:
        entry = await mint(ecr)
        assert entry["expiresAt"] == moment[0] + timedelta(seconds=60)
        assert ecr.is_valid(password(entry))
        moment[0] += timedelta(seconds=61)
        assert not ecr.is_valid(password(entry))


async def test_a_withdrawn_token_is_not_valid(ecr: SandboxEcr) -> None:
    entry = await mint(ecr)
    ecr.withdraw()
    assert not ecr.is_valid(password(entry))


async def test_an_unknown_key_and_a_wrong_secret_are_refused(ecr: SandboxEcr) -> None:
    assert await refusal(ecr, key=Credential("AKIAUNKNOWN", "x")) == "UnrecognizedClientException"
    wrong = Credential(ecr.credential.access_key, "wrong")
    assert await refusal(ecr, key=wrong) == "InvalidSignatureException"
    foreign = Credential(ecr.credential.access_key, ecr.credential.secret_key, "a-session-token")
    assert await refusal(ecr, key=foreign) == "UnrecognizedClientException"
    assert (ecr.mints, ecr.issued) == (3, [])


async def test_an_unsigned_call_is_refused(ecr: SandboxEcr) -> None:
    with pytest.raises(ClientError) as caught:
        async with client(ecr, "sts", signature_version=UNSIGNED) as sts:
            await sts.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "MissingAuthenticationToken"


async def test_an_assumed_role_mints_for_its_own_account(ecr: SandboxEcr) -> None:
    async with client(ecr, "sts") as sts:
        keys = (await sts.assume_role(RoleArn=ROLE, RoleSessionName="imps"))["Credentials"]
    key = Credential(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert (await mint(ecr, key=key))["proxyEndpoint"].startswith("https://210987654321.")
    async with client(ecr, "sts", key=key) as sts:
        assert (await sts.get_caller_identity())["Arn"] == "arn:aws:sts::210987654321:assumed-role/pull/imps"
    assert dict(ecr.calls) == {"AssumeRole": 1, "GetAuthorizationToken": 1, "GetCallerIdentity": 1}


async def test_the_keys_of_a_role_expire() -> None:
    moment = [datetime(2030, 1, 1, tzinfo=UTC)]
    async with SandboxEcr(now=lambda: moment[0]) as ecr:
        async with client(ecr, "sts") as sts:
            keys = (await sts.assume_role(RoleArn=ROLE, RoleSessionName="imps", DurationSeconds=900))["Credentials"]
        key = Credential(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        moment[0] += timedelta(seconds=901)
        assert await refusal(ecr, key=key) == "UnrecognizedClientException"


async def test_a_web_identity_needs_no_signature(ecr: SandboxEcr) -> None:
    async with client(ecr, "sts", signature_version=UNSIGNED) as sts:
        answer = await sts.assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="irsa", WebIdentityToken="a.jwt.of.a.service.account"
        )
    assert answer["AssumedRoleUser"]["Arn"].endswith("assumed-role/pull/irsa")


async def test_the_caller_is_the_user_of_the_key(ecr: SandboxEcr) -> None:
    async with client(ecr, "sts") as sts:
        answer = await sts.get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == ("123456789012", "arn:aws:iam::123456789012:user/imps")


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("AccessDeniedException", 400), ("ServerException", 500)]
)
async def test_it_fails_as_told_and_as_often(ecr: SandboxEcr, code: str, status: int) -> None:
    ecr.faults.fail(code, times=1)
    with pytest.raises(ClientError) as caught:
        await mint(ecr)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert password(await mint(ecr))


async def test_a_failure_of_one_action_leaves_the_others(ecr: SandboxEcr) -> None:
    ecr.faults.fail("AccessDenied", action="AssumeRole", status=403)
    assert password(await mint(ecr))
    async with client(ecr, "sts") as sts:
        with pytest.raises(ClientError) as caught:
            await sts.assume_role(RoleArn=ROLE, RoleSessionName="imps")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


async def test_a_hanging_endpoint_lets_the_client_wait(ecr: SandboxEcr) -> None:
    ecr.faults.hang()
    with pytest.raises(HTTPClientError):
        await mint(ecr, read_timeout=0.05)
    await ecr.faults.heal()
    assert password(await mint(ecr))


async def test_a_refusing_endpoint_comes_back(ecr: SandboxEcr) -> None:
    await ecr.faults.refuse()
    with pytest.raises(EndpointConnectionError):
        await mint(ecr)
    await ecr.faults.heal()
    assert password(await mint(ecr))


@pytest.mark.parametrize("kind", [kind for kind in Nonsense if kind is not Nonsense.EMPTY_LIST])
async def test_nonsense_arrives_as_told(ecr: SandboxEcr, kind: Nonsense) -> None:
    ecr.faults.talk_nonsense(kind)
    entry = await mint(ecr)
    token = str(entry["authorizationToken"])
    assert {
        Nonsense.NO_COLON: b":" not in base64.b64decode(token),
        Nonsense.NO_BASE64: token == "%%%",
        Nonsense.NO_EXPIRY: "expiresAt" not in entry,
        Nonsense.EXPIRED: entry.get("expiresAt", datetime.now(UTC)).year == 2015,
        Nonsense.CENTURY: entry.get("expiresAt", datetime.now(UTC)).year == 2100,
        Nonsense.HUGE: len(token) == 5 * 1024 * 1024,
    }[kind]


async def test_an_empty_list_arrives_as_told(ecr: SandboxEcr) -> None:
    ecr.faults.talk_nonsense(Nonsense.EMPTY_LIST)
    async with client(ecr, "ecr") as found:
        assert (await found.get_authorization_token())["authorizationData"] == []


async def test_what_is_not_served_is_said_so(ecr: SandboxEcr) -> None:
    async with client(ecr, "ecr") as found:
        with pytest.raises(ClientError) as caught:
            await found.describe_repositories()
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"


async def test_neither_keys_nor_tokens_show_in_a_repr(ecr: SandboxEcr) -> None:
    await mint(ecr)
    shown = f"{ecr.credential!r} {ecr.issued!r}"
    assert ecr.credential.secret_key not in shown
    assert ecr.issued[0].password not in shown


async def test_many_callers_are_served_at_once(ecr: SandboxEcr) -> None:
    async with client(ecr, "ecr") as found, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(found.get_authorization_token)
    assert (ecr.mints, len({each.password for each in ecr.issued})) == (10, 10)
