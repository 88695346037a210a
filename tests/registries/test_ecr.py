"""ECR tokens over real HTTP: who asks, where, and what each answer means."""

import asyncio
import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintIdentity, MintSource
from imps_multi.model.refresh import MAX_TOKEN_BYTES, accept
from imps_multi.ports import Forbidden, Invalid, PortError, Reason, Throttled, Transient, Unauthorized
from imps_multi.registries import ecr as ecr_module
from imps_multi.registries.aws_trust import sharing_sessions
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule
from tests.realcluster.pki import Authority, write

from .fake_aws import ASSUMED, PASSWORD, Answer, Asked, FakeAws, failure, fake_aws, sts_failure, token
from .resolving import resolving
from .secrets import KEYS, MARK, ROLE, ecr, listed
from .token_server import token_server

NOW = 1_900_000_000.0
LOGIN = {"roleArn": ROLE, "externalID": "tenant:7", "sessionName": "team-a"}

pytestmark = pytest.mark.anyio


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with fake_aws(AKIDEXAMPLE=MARK, AKIDAMBIENT="ambient-secret") as fake:
        yield fake


@pytest.fixture
def provider() -> EcrProvider:
    return EcrProvider(lambda: NOW, listed)


def identity(**data: str) -> MintIdentity:
    interpret = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1",))
    source = interpret(ecr(**data))
    assert isinstance(source, MintSource), source
    return source.identity


def at(aws: FakeAws, **data: str) -> MintIdentity:
    return identity(**{**KEYS, "ecrEndpointURL": aws.url, "stsEndpointURL": aws.url, **data})


async def mint(provider: EcrProvider, who: MintIdentity) -> MintedToken:
    with anyio.fail_after(20):
        return await provider.mint(who)


async def refused(provider: EcrProvider, who: MintIdentity) -> PortError:
    with pytest.raises(PortError) as caught:
        await mint(provider, who)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert MARK not in shown
    assert PASSWORD not in shown
    return caught.value


async def test_keys_of_the_source_sign_one_call(aws: FakeAws, provider: EcrProvider) -> None:
    minted = await mint(provider, at(aws))
    assert (minted.username, minted.password, minted.issued_at) == ("AWS", PASSWORD, NOW)
    assert minted.expires_at is not None
    assert minted.endpoint == "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    (asked,) = aws.asked
    assert (asked.operation, asked.access_key, asked.region) == ("GetAuthorizationToken", "AKIDEXAMPLE", "eu-west-1")
    assert "imps-multi/" in asked.user_agent


async def test_a_wrong_secret_key_is_unauthorized(aws: FakeAws, provider: EcrProvider) -> None:
    """The service quotes the signed headers in its message; ours does not."""
    error = await refused(provider, at(aws, secretKey="wrong"))
    assert isinstance(error, Unauthorized)
    assert str(error) == "ECR GetAuthorizationToken in eu-west-1: InvalidSignatureException (HTTP 403)"


async def test_a_session_token_goes_along(aws: FakeAws, provider: EcrProvider) -> None:
    await mint(provider, at(aws, sessionToken="session"))
    assert [asked.session_token for asked in aws.asked] == ["session"]


async def test_a_role_is_assumed_with_its_external_id_and_session_name(aws: FakeAws, provider: EcrProvider) -> None:
    await mint(provider, at(aws, **LOGIN))
    assumed, got = aws.asked
    assert (assumed.operation, assumed.access_key, assumed.region) == ("AssumeRole", "AKIDEXAMPLE", "eu-west-1")
    wanted = {"RoleArn": ROLE, "ExternalId": "tenant:7", "RoleSessionName": "team-a"}
    assert {key: assumed.parameters.get(key) for key in wanted} == wanted
    assert (got.operation, got.access_key, got.session_token) == ("GetAuthorizationToken", ASSUMED[0], ASSUMED[2])


async def test_a_role_without_session_name_is_assumed_under_ours(aws: FakeAws, provider: EcrProvider) -> None:
    await mint(provider, at(aws, roleArn=ROLE))
    assert aws.asked[0].parameters["RoleSessionName"] == "imps-multi"
    assert "ExternalId" not in aws.asked[0].parameters


async def test_without_keys_the_process_s_own_identity_asks(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient-secret")
    await mint(provider, identity(ecrEndpointURL=aws.url))
    await mint(provider, identity(ecrEndpointURL=aws.url, stsEndpointURL=aws.url, **LOGIN))
    assert [asked.access_key for asked in aws.asked] == ["AKIDAMBIENT", "AKIDAMBIENT", ASSUMED[0]]


async def test_a_profile_of_the_process_is_its_own_identity(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its files are read in a thread: on the loop the read would fail this test."""
    (tmp_path / "credentials").write_text(
        "[base]\naws_access_key_id = AKIDAMBIENT\naws_secret_access_key = ambient-secret\n"
    )
    (tmp_path / "config").write_text(
        f"[profile pull]\nrole_arn = {ROLE}\nsource_profile = base\nrole_session_name = from-profile\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "pull")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    await mint(provider, identity(ecrEndpointURL=aws.url))
    assumed, got = aws.asked
    assert (assumed.access_key, assumed.parameters["RoleSessionName"]) == ("AKIDAMBIENT", "from-profile")
    assert got.access_key == ASSUMED[0]


async def test_rotated_keys_of_the_process_are_taken_up(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    for key, secret in (("AKIDAMBIENT", "ambient-secret"), ("AKIDEXAMPLE", MARK)):
        path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        await mint(provider, identity(ecrEndpointURL=aws.url))
    assert [asked.access_key for asked in aws.asked] == ["AKIDAMBIENT", "AKIDEXAMPLE"]


async def test_a_missing_profile_of_the_process_is_said(provider: EcrProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    error = await refused(provider, identity())
    assert isinstance(error, Unauthorized)
    assert "ProfileNotFound" in str(error)


async def test_keys_of_the_source_go_before_the_process_s_own(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "ambient-session")
    await mint(provider, at(aws))
    assert [(asked.access_key, asked.session_token) for asked in aws.asked] == [("AKIDEXAMPLE", "")]


async def test_a_process_without_identity_says_so(aws: FakeAws, provider: EcrProvider) -> None:
    error = await refused(provider, identity(ecrEndpointURL=aws.url))
    assert isinstance(error, Unauthorized)
    assert "the process's own AWS identity in eu-west-1: there is none" in str(error)
    assert not aws.asked


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR"])
async def test_the_environment_moves_the_endpoint(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, aws.url)
    await mint(provider, identity(**KEYS))
    assert aws.count("ecr") == 1


async def test_each_service_has_an_endpoint_of_its_own(aws: FakeAws, provider: EcrProvider) -> None:
    with fake_aws(AKIDEXAMPLE=MARK) as sts:
        await mint(provider, at(aws, roleArn=ROLE, stsEndpointURL=sts.url))
        assert (aws.count("ecr"), aws.count("sts"), sts.count("sts")) == (1, 0, 1)


async def test_a_source_s_endpoint_goes_before_the_environment_s(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", "http://127.0.0.1:1")
    await mint(provider, at(aws))
    assert aws.count("ecr") == 1


@pytest.mark.parametrize(
    ("answer", "expected", "code"),
    [
        (failure(400, "ThrottlingException"), Throttled, "ThrottlingException (HTTP 400)"),
        (failure(400, "LimitExceededException"), Throttled, "LimitExceededException"),
        (Answer(429, b"{}"), Throttled, "HTTP 429"),
        (failure(400, "UnrecognizedClientException"), Unauthorized, "UnrecognizedClientException"),
        (failure(400, "ExpiredTokenException"), Unauthorized, "ExpiredTokenException"),
        (failure(403, "InvalidSignatureException"), Unauthorized, "InvalidSignatureException"),
        (failure(400, "AccessDeniedException"), Forbidden, "AccessDeniedException (HTTP 400)"),
        (failure(403, "SomethingElse"), Forbidden, "no known error code (HTTP 403)"),
        (failure(500, "ServerException"), Transient, "ServerException (HTTP 500)"),
        (Answer(503, b"<html>MARKEDVALUE</html>"), Transient, "HTTP 503"),
        (failure(400, "ValidationException"), Invalid, "ValidationException"),
        (failure(400, "MARKED VALUE\nMARKEDVALUE"), Invalid, "no known error code (HTTP 400)"),
        (Answer(200, b"MARKEDVALUE is no JSON"), PortError, ""),
        (Answer(200, b"{}"), Invalid, "holds no token"),
        (Answer(200, b'{"authorizationData":[]}'), Invalid, "holds no token"),
        (Answer(200, b'{"authorizationData":[null]}'), Invalid, ""),
        (Answer(200, b'{"authorizationData":"MARKEDVALUE"}'), Invalid, ""),
        (token(authorizationToken=b64encode(b"MARKEDVALUE").decode()), Invalid, "no colon"),
        (token(authorizationToken="MARKEDVALUE!"), Invalid, "cannot be read"),
        (token(authorizationToken=b64encode(b"AWS:\xff").decode()), Invalid, "cannot be read"),
        (token(authorizationToken=None), Invalid, ""),
        (token(expiresAt="MARKEDVALUE"), Invalid, ""),
        (token(expiresAt=1e300), Invalid, ""),
    ],
)
async def test_each_answer_is_one_of_the_ports_errors_and_is_asked_once(
    aws: FakeAws, provider: EcrProvider, answer: Answer, expected: type[PortError], code: str
) -> None:
    aws.instead = lambda _asked: answer
    error = await refused(provider, at(aws))
    assert isinstance(error, expected)
    assert str(error).startswith("ECR GetAuthorizationToken in eu-west-1: ")
    assert code in str(error)
    assert len(aws.asked) == 1


async def test_an_answered_failure_is_known_as_answered(aws: FakeAws, provider: EcrProvider) -> None:
    aws.instead = lambda _asked: failure(500, "ServerException")
    error = await refused(provider, at(aws))
    assert isinstance(error, Transient)
    assert error.answered


async def test_throttling_says_when_to_come_back(aws: FakeAws, provider: EcrProvider) -> None:
    aws.instead = lambda _asked: failure(429, "ThrottlingException", **{"Retry-After": "7"})
    error = await refused(provider, at(aws))
    assert isinstance(error, Throttled)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("answer", "expected", "says"),
    [
        (sts_failure(403, "AccessDenied"), Forbidden, "STS AssumeRole in eu-west-1: AccessDenied (HTTP 403)"),
        (sts_failure(403, "InvalidClientTokenId"), Unauthorized, "InvalidClientTokenId"),
        (sts_failure(403, "ExpiredToken"), Unauthorized, "ExpiredToken"),
        (sts_failure(400, "Throttling"), Throttled, "Throttling"),
        (Answer(200, b"<AssumeRoleResponse/>"), Invalid, "STS AssumeRole in eu-west-1: "),
    ],
)
async def test_a_role_that_cannot_be_assumed_is_said_of_sts(
    aws: FakeAws, provider: EcrProvider, answer: Answer, expected: type[PortError], says: str
) -> None:
    def instead(asked: Asked) -> Answer | None:
        return answer if asked.service == "sts" else None

    aws.instead = instead
    error = await refused(provider, at(aws, roleArn=ROLE))
    assert isinstance(error, expected)
    assert says in str(error)
    assert aws.count("ecr") == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("service", ["ecr", "sts"])
async def test_redirects_are_not_followed(provider: EcrProvider, aws: FakeAws, service: str, status: int) -> None:
    with token_server() as other:
        elsewhere = Answer(status, b"{}", {"Location": f"{other.url}/{MARK}", "X-Amz-Bucket-Region": "us-east-1"})
        aws.instead = lambda asked: elsewhere if asked.service == service else None
        error = await refused(provider, at(aws, roleArn=ROLE))
        assert other.heard == []
    assert isinstance(error, Invalid)
    assert "redirects are not followed" in str(error)


async def test_an_endpoint_must_be_listed_when_it_is_called_too(aws: FakeAws) -> None:
    listing = ["127.0.0.1"]
    provider = EcrProvider(lambda: NOW, lambda: tuple(listing))
    await mint(provider, at(aws))
    for glob in ("127.*", "nobody"):
        listing[:] = [glob]
        error = await refused(provider, at(aws))
        assert isinstance(error, Forbidden)
        assert "sources.endpoints" in str(error)
    assert len(aws.asked) == 1


@pytest.mark.parametrize("key", ["ecrEndpointURL", "stsEndpointURL"])
async def test_an_endpoint_whose_name_leads_inward_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """By a glob a name may be listed; the address that it has in the end must then be a public one."""
    with token_server() as inward:
        resolving(monkeypatch, ("127.0.0.1", "::1"))
        interpret = interpreter(ambient=AmbientRule(), endpoints=("*.vpc.example",))
        role = {"roleArn": ROLE} if key == "stsEndpointURL" else {}
        source = interpret(ecr(**KEYS, **role, **{key: f"https://api.vpc.example:{inward.port}"}))
        assert isinstance(source, MintSource)
        error = await refused(EcrProvider(lambda: NOW, lambda: ("*.vpc.example",)), source.identity)
    assert isinstance(error, Forbidden)
    assert "loopback" in str(error)
    assert inward.heard == []


async def test_a_refused_connection_is_transient(provider: EcrProvider) -> None:
    error = await refused(provider, identity(**KEYS, ecrEndpointURL="http://127.0.0.1:1"))
    assert isinstance(error, Transient)
    assert not error.answered
    assert error.reason is Reason.UNREACHABLE


async def test_an_endpoint_that_hangs_costs_its_time_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecr_module, "_READ", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        error = await refused(EcrProvider(lambda: NOW, listed), identity(**KEYS, ecrEndpointURL=url))
    assert isinstance(error, Transient)
    assert error.reason is Reason.TIMEOUT


async def test_the_whole_mint_has_a_time_limit(monkeypatch: pytest.MonkeyPatch, provider: EcrProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        await refused(provider, identity(**KEYS, ecrEndpointURL="http://127.0.0.1:1"))
        monkeypatch.setattr(ecr_module, "_WHOLE", 0.2)
        error = await refused(provider, identity(**KEYS, ecrEndpointURL=url))
    assert isinstance(error, Transient)
    assert error.reason is Reason.TIMEOUT


async def test_a_token_without_expiry_is_handed_on_as_such(aws: FakeAws, provider: EcrProvider) -> None:
    aws.instead = lambda _asked: token(expiresAt=None)
    assert (await mint(provider, at(aws))).expires_at is None


async def test_an_answer_without_end_is_given_up_early(provider: EcrProvider) -> None:
    sent: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 10_000)
                sent.append(10_000)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        error = await refused(provider, identity(**KEYS, ecrEndpointURL=url))
    assert isinstance(error, Invalid)
    assert "larger than 256 KiB" in str(error)
    assert sum(sent) < 20_000_000  # what the sockets take included


async def test_a_token_as_large_as_may_be_is_read(aws: FakeAws, provider: EcrProvider) -> None:
    aws.instead = lambda _asked: token(password="x" * (MAX_TOKEN_BYTES - 3), expiresAt=int(NOW) + 3600)
    judged = accept(await mint(provider, at(aws)), NOW, Providers.documented_life("ecr"))
    assert isinstance(judged, MintedToken)


async def test_many_mints_at_once_share_one_session(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []
    build = ecr_module._build

    def counted() -> object:
        built.append(None)
        session: object = build()
        return session

    monkeypatch.setattr(ecr_module, "_build", counted)
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(mint, provider, at(aws))
    assert (len(aws.asked), len(built)) == (8, 1)


async def test_the_ca_bundle_is_read_once_until_it_changes(
    aws: FakeAws, provider: EcrProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[str] = []

    def noting(_: object) -> ssl.SSLContext:
        read.append(bundle.read_text())
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr("aiobotocore.httpsession.AIOHTTPSession._build_verify_context", noting)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle := tmp_path / "bundle.pem"))
    bundle.write_text("one")
    await mint(provider, at(aws))
    await mint(provider, at(aws))
    bundle.write_text("another")
    await mint(provider, at(aws))
    await mint(EcrProvider(lambda: NOW, listed), at(aws))
    assert read == ["one", "another", "another"]


def test_a_client_certificate_gets_a_context_of_its_own(tmp_path: Path) -> None:
    kind = sharing_sessions()
    shared, _ = kind()._build_ssl_contexts(None)
    assert kind()._build_ssl_contexts(None)[0] is shared
    assert kind()._build_ssl_contexts("http://127.0.0.1:1")[0] is not shared
    assert kind(verify=False)._build_ssl_contexts(None)[0] is not shared
    certificate, key = write(Authority("aws").client("jane"), tmp_path, "jane")
    assert kind(client_cert=(str(certificate), str(key)))._build_ssl_contexts(None)[0] is not shared
    assert sharing_sessions()()._build_ssl_contexts(None)[0] is not shared


async def test_a_cancelled_mint_leaves_nothing_open(aws: FakeAws, provider: EcrProvider) -> None:
    """An open connection would fail the test by its ResourceWarning."""
    async with anyio.create_task_group() as group:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            silent.setblocking(False)

            async def one() -> None:
                await mint(provider, identity(**KEYS, ecrEndpointURL=url))

            group.start_soon(one)
            with anyio.fail_after(10):
                await anyio.wait_readable(silent)
            group.cancel_scope.cancel()
    await mint(provider, at(aws))


def test_each_name_has_one_provider() -> None:
    providers = Providers(lambda: NOW, tuple)
    assert providers.provider_for("ecr") is providers.provider_for("ecr")
    with pytest.raises(KeyError):
        providers.provider_for("other")


def test_nothing_of_the_marked_key_is_in_the_fake_s_own_answers() -> None:
    """The tests above search for the mark: it must be what the fake answers with."""
    assert MARK in json.loads(failure(400, "X").body)["message"]
