"""Google's access tokens over real HTTP: who asks, where, and what each answer means."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.model.refresh import MAX_TOKEN_BYTES, Refused, accept, next_refresh
from imps_multi.ports import Forbidden, Invalid, PortError, Provider, Reason, Throttled, Transient, Unauthorized
from imps_multi.registries import gcp as gcp_module
from imps_multi.registries import outbound
from imps_multi.registries.providers import Providers

from .fake_google import (
    ACCOUNT,
    EVERYTHING,
    MEMBER,
    OWN,
    PASSWORD,
    PERSON,
    READ_ONLY,
    TARGET,
    Answer,
    FakeGoogle,
    account_key,
    api_failure,
    failure,
    fake_google,
    federation,
    impersonation,
    login,
    pem,
    token,
)
from .secrets import MARK, identity_of

NOW = 1_900_000_000.0
LISTED = ("127.0.0.1",)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Aiohttp runs on asyncio."""
    return "asyncio"


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with fake_google(NOW) as fake:
        yield fake


@pytest.fixture
def provider() -> Provider:
    return Providers(lambda: NOW, lambda: LISTED).provider_for("gcp")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the process have no identity of its own."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "NO_GCE_CHECK", "GCE_METADATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")


def identity(**data: str) -> MintIdentity:
    return identity_of("imps-multi.io/gcp", {"location": "europe", **data})


def of_key(google: FakeGoogle, **data: str) -> MintIdentity:
    return identity(serviceAccountKey=account_key(google.url), **data)


def of_file(google: FakeGoogle, directory: Path, token: str = "kubernetes-token\n", /, **more: object) -> MintIdentity:
    (directory / "token").write_text(token)
    return identity(
        credentials=federation(google.url, **{"credential_source": {"file": str(directory / "token")}, **more})
    )


async def mint(provider: Provider, who: MintIdentity) -> MintedToken:
    with anyio.fail_after(20):
        return await provider.mint(who)


async def refused(provider: Provider, who: MintIdentity) -> PortError:
    with pytest.raises(PortError) as caught:
        await mint(provider, who)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__suppress_context__}"
    for secret in (MARK, PASSWORD, pem()[40:80], "kubernetes-token"):
        assert secret not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


# -- who asks ----------------------------------------------------------------------------------------------------------


async def test_a_service_account_s_key_signs_for_one_call(google: FakeGoogle, provider: Provider) -> None:
    minted = await mint(provider, of_key(google))
    assert (minted.username, minted.issued_at, minted.expires_at) == ("oauth2accesstoken", NOW, NOW + 3599)
    assert google.given[minted.password] == (ACCOUNT, EVERYTHING)
    assert len(google.asked) == 1


async def test_the_scopes_are_those_of_the_source(google: FakeGoogle, provider: Provider) -> None:
    minted = await mint(provider, of_key(google, scopes=READ_ONLY))
    assert google.given[minted.password] == (ACCOUNT, READ_ONLY)


async def test_a_federation_exchanges_the_token_of_a_file(
    google: FakeGoogle, provider: Provider, tmp_path: Path
) -> None:
    minted = await mint(provider, of_file(google, tmp_path))
    assert google.given[minted.password] == (MEMBER, EVERYTHING)
    assert len(google.asked) == 1


async def test_a_rotated_token_file_is_taken_up(google: FakeGoogle, provider: Provider, tmp_path: Path) -> None:
    who = of_file(google, tmp_path, "an-old-token")
    assert isinstance(await refused(provider, who), Unauthorized)
    (tmp_path / "token").write_text("kubernetes-token")
    assert (await mint(provider, who)).password in google.given


async def test_a_federation_s_token_may_be_a_field_of_a_file(
    google: FakeGoogle, provider: Provider, tmp_path: Path
) -> None:
    path = tmp_path / "token.json"
    path.write_text('{"value": "kubernetes-token"}')
    form = {"type": "json", "subject_token_field_name": "value"}
    who = identity(credentials=federation(google.url, credential_source={"file": str(path), "format": form}))
    assert google.given[(await mint(provider, who)).password] == (MEMBER, EVERYTHING)


async def test_a_federation_s_token_may_be_asked_for(google: FakeGoogle, provider: Provider) -> None:
    form = {"type": "json", "subject_token_field_name": "value"}
    where = {"url": f"{google.url}/subject", "headers": {"X-Machine": "hub"}, "format": form}
    who = identity(credentials=federation(google.url, credential_source=where))
    assert google.given[(await mint(provider, who)).password] == (MEMBER, EVERYTHING)
    assert [each.path for each in google.asked] == ["/subject", "/v1/token"]


async def test_a_federation_becomes_the_account_that_its_file_names(
    google: FakeGoogle, provider: Provider, tmp_path: Path
) -> None:
    google.may_become.add((MEMBER, TARGET))
    who = of_file(
        google,
        tmp_path,
        service_account_impersonation_url=impersonation(google.url),
        service_account_impersonation={"token_lifetime_seconds": 1800},
    )
    minted = await mint(provider, who)
    assert google.given[minted.password] == (TARGET, EVERYTHING)
    assert minted.expires_at == NOW + 1800


async def test_who_begins_has_every_scope_and_who_is_become_those_of_the_source(
    google: FakeGoogle, provider: Provider, tmp_path: Path
) -> None:
    google.may_become.add((MEMBER, TARGET))
    (tmp_path / "token").write_text("kubernetes-token")
    file = federation(
        google.url,
        credential_source={"file": str(tmp_path / "token")},
        service_account_impersonation_url=impersonation(google.url),
    )
    minted = await mint(provider, identity(credentials=file, scopes=READ_ONLY))
    assert google.given[minted.password] == (TARGET, READ_ONLY)


async def test_an_account_that_may_not_be_become_is_forbidden(
    google: FakeGoogle, provider: Provider, tmp_path: Path
) -> None:
    error = await refused(
        provider, of_file(google, tmp_path, service_account_impersonation_url=impersonation(google.url))
    )
    assert isinstance(error, Forbidden)
    assert "roles/iam.serviceAccountTokenCreator" in str(error)


# -- the process's own identity ----------------------------------------------------------------------------------------


def on_machine(google: FakeGoogle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))


async def test_without_keys_the_machine_s_own_account_asks(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(google, monkeypatch)
    minted = await mint(provider, identity(scopes=f"{READ_ONLY},{EVERYTHING}"))
    assert google.given[minted.password] == (OWN, f"{EVERYTHING} {READ_ONLY}")
    assert len(google.asked) == 1


async def test_what_is_no_metadata_server_is_not_believed(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(google, monkeypatch)
    google.instead = lambda _: token()
    assert "Metadata-Flavor" in str(await refused(provider, identity()))


async def test_the_metadata_server_is_never_asked_by_way_of_a_proxy(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", "metadata.test:" + google.url.rpartition(":")[2])
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more, **how: resolve("127.0.0.1", *more, **how))
    assert (await mint(provider, identity())).password in google.given


@pytest.mark.parametrize("kind", ["named", "gcloud"])
async def test_a_file_of_the_process_goes_before_its_machine(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    on_machine(google, monkeypatch)
    path = tmp_path / "application_default_credentials.json"
    path.write_text(account_key(google.url))
    name, value = ("GOOGLE_APPLICATION_CREDENTIALS", path) if kind == "named" else ("CLOUDSDK_CONFIG", tmp_path)
    monkeypatch.setenv(name, str(value))
    assert google.given[(await mint(provider, identity())).password] == (ACCOUNT, EVERYTHING)
    path.write_text(login(google.url))
    assert google.given[(await mint(provider, identity())).password] == (PERSON, EVERYTHING)


async def test_the_process_s_own_file_may_name_any_address(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own.json").write_text(account_key(google.url))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "own.json"))
    strict = Providers(lambda: NOW, tuple).provider_for("gcp")
    assert (await mint(strict, identity())).password in google.given
    error = await refused(strict, of_key(google))
    assert isinstance(error, Forbidden)
    assert "sources.endpoints" in str(error)


async def test_the_process_s_own_file_may_be_an_impersonation(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    google.may_become.add((PERSON, TARGET))
    outer = {
        "type": "impersonated_service_account",
        "source_credentials": json.loads(login(google.url)),
        "service_account_impersonation_url": impersonation(google.url),
        "delegates": [],
    }
    (tmp_path / "own.json").write_text(json.dumps(outer))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "own.json"))
    assert google.given[(await mint(provider, identity())).password] == (TARGET, EVERYTHING)


@pytest.mark.parametrize(
    ("environment", "kind", "words"),
    [
        ({"NO_GCE_CHECK": "true"}, Unauthorized, "there is none"),
        ({}, Transient, "the metadata server"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}, Transient, "its file cannot be read"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/dev/zero"}, Invalid, "what should be a file is none"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": __file__}, Invalid, "is not the JSON of a Google credential file"),
    ],
)
async def test_a_process_without_identity_says_so(
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    kind: type[PortError],
    words: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = await refused(provider, identity())
    assert isinstance(error, kind)
    assert words in str(error)


async def test_a_file_that_never_ends_or_never_begins_is_given_up(
    provider: Provider, google: FakeGoogle, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"x" * (64 << 10) + b"x")
    for name in ("pipe", "long"):
        who = identity(credentials=federation(google.url, credential_source={"file": str(tmp_path / name)}))
        assert isinstance(await refused(provider, who), Invalid)
    assert google.asked == []


# -- a provider that caches --------------------------------------------------------------------------------------------


async def test_a_token_that_was_given_before_keeps_its_end_though_it_is_told_in_whole_seconds(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(google, monkeypatch)
    clock = [NOW]
    provider = Providers(lambda: clock[0], tuple).provider_for("gcp")
    google.instead = lambda _: Answer(200, token(expires_in=google.life).body, {"Metadata-Flavor": "Google"})
    first = await mint(provider, identity())
    clock[0], google.life = NOW + 1800.4, 3599 - 1801
    again = await mint(provider, identity())
    assert again.password == first.password
    assert again.expires_at == first.expires_at
    assert again.issued_at == NOW + 1800.4


async def test_a_machine_that_caches_is_asked_a_few_times_an_hour_and_no_more() -> None:
    """The metadata server hands out one token until five minutes before its end."""
    asked, now, ends = 0, NOW, NOW
    while now < NOW + 12 * 3600:
        if ends - now < 300:
            ends = now + 3600
        taken = accept(MintedToken("oauth2accesstoken", PASSWORD, now, ends), now, 3600)
        assert not isinstance(taken, Refused)
        assert taken.expires_at is not None
        now, asked = next_refresh(taken.issued_at, taken.expires_at, 0.0), asked + 1
        assert now < ends
    assert asked <= 12 * 6


# -- what the answers mean ---------------------------------------------------------------------------------------------

AHEAD = {"Date": formatdate(NOW - 600, usegmt=True)}
BEHIND = {"Date": formatdate(NOW + 900, usegmt=True)}
ANSWERS = [
    (failure(400, "invalid_grant"), Unauthorized, "was the key deleted"),
    (failure(400, "invalid_grant", "Invalid JWT Signature."), Unauthorized, "the key is none of the account's"),
    (failure(400, "invalid_grant", "Invalid grant: account not found"), Unauthorized, "there is no such account"),
    (failure(400, "invalid_grant", "in a reasonable timeframe"), Unauthorized, "is this host's clock right?"),
    (failure(400, "invalid_grant", **AHEAD), Unauthorized, "this host's clock is 600 seconds ahead of Google's"),
    (failure(400, "invalid_grant", **BEHIND), Unauthorized, "this host's clock is 900 seconds behind Google's"),
    (failure(401, "disabled_client"), Unauthorized, "the account is disabled"),
    (failure(401, "invalid_client"), Unauthorized, "invalid_client"),
    (failure(401, "unauthorized_client"), Unauthorized, "unauthorized_client"),
    (failure(403, "access_denied"), Forbidden, "access_denied"),
    (failure(400, "invalid_scope"), Invalid, "invalid_scope"),
    (failure(400, MARK), Invalid, "(HTTP 400)"),
    (failure(500, "internal_failure"), Transient, "internal_failure"),
    (failure(503, MARK), Transient, "(HTTP 503)"),
    (Answer(429, b"", {"Retry-After": "17"}), Throttled, "(HTTP 429)"),
    (Answer(302, b"", {"Location": "/elsewhere"}), Invalid, "redirects are not followed"),
    (Answer(200, MARK.encode()), Invalid, "the answer is no JSON object"),
    (Answer(200, b"[" * 50_000), Invalid, "the answer is no JSON object"),
    (Answer(200, b"\xff"), Invalid, "the answer is no JSON object"),
    (token(access_token=None, id_token=MARK), Invalid, "the answer holds no token"),
    (token(access_token=7), Invalid, "the answer holds no token"),
    (token(access_token="a b"), Invalid, "the answer holds no token"),
    (token(expires_in=MARK), Invalid, "the answer's expires_in cannot be read"),
    (token("x" * (5 << 20)), Invalid, "longer than 64 KiB"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), ANSWERS)
async def test_each_answer_is_one_of_the_ports_errors_and_is_asked_once(
    google: FakeGoogle, provider: Provider, answer: Answer, kind: type[PortError], words: str
) -> None:
    google.instead = lambda _: answer
    error = await refused(provider, of_key(google))
    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith("the token endpoint: ")
    assert len(google.asked) == 1


async def test_throttling_says_when_to_come_back(google: FakeGoogle, provider: Provider) -> None:
    google.instead = lambda _: Answer(429, b"", {"Retry-After": "17"})
    error = await refused(provider, of_key(google))
    assert isinstance(error, Throttled)
    assert error.retry_after == 17


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (api_failure(404, "NOT_FOUND"), Invalid, "there is no such service account"),
        (api_failure(400, "FAILED_PRECONDITION"), Invalid, "is the account disabled?"),
        (api_failure(401, "UNAUTHENTICATED"), Unauthorized, "UNAUTHENTICATED"),
        (api_failure(429, "RESOURCE_EXHAUSTED"), Throttled, "RESOURCE_EXHAUSTED"),
        (Answer(200, b'{"accessToken": "a", "expireTime": "MARKEDVALUE"}'), Invalid, "expireTime cannot be read"),
        (Answer(200, b'{"accessToken": "a", "expireTime": 5}'), Invalid, "expireTime cannot be read"),
        (Answer(200, b"{}"), Invalid, "the answer is no JSON object"),
    ],
)
async def test_each_answer_to_an_impersonation_is_one_of_the_ports_errors(
    google: FakeGoogle, provider: Provider, tmp_path: Path, answer: Answer, kind: type[PortError], words: str
) -> None:
    google.instead = lambda asked: answer if asked.path.startswith("/v1/projects") else None
    error = await refused(
        provider, of_file(google, tmp_path, service_account_impersonation_url=impersonation(google.url))
    )
    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith("the impersonation of a service account: ")


async def test_a_token_without_expiry_is_handed_on_as_such(google: FakeGoogle, provider: Provider) -> None:
    google.instead = lambda _: token(expires_in=None)
    assert (await mint(provider, of_key(google))).expires_at is None


@pytest.mark.parametrize("expires_in", [0, -1, "-inf", "nan"])
async def test_an_end_that_is_past_is_refused_by_the_rules(
    google: FakeGoogle, provider: Provider, expires_in: object
) -> None:
    google.instead = lambda _: token(expires_in=expires_in)
    assert isinstance(accept(await mint(provider, of_key(google)), NOW, 3600), Refused)


async def test_an_end_in_a_hundred_years_is_cut_by_the_rules(google: FakeGoogle, provider: Provider) -> None:
    google.instead = lambda _: token(expires_in="1e999")
    taken = accept(await mint(provider, of_key(google)), NOW, 3600)
    assert isinstance(taken, MintedToken)
    assert taken.expires_at == NOW + 7200


async def test_a_token_that_is_too_large_never_gets_that_far(google: FakeGoogle, provider: Provider) -> None:
    assert outbound.LARGEST <= MAX_TOKEN_BYTES
    google.instead = lambda _: token("x" * MAX_TOKEN_BYTES)
    assert isinstance(await refused(provider, of_key(google)), Invalid)


async def test_a_host_whose_clock_is_wrong_is_told(google: FakeGoogle, provider: Provider) -> None:
    google.now = NOW + 7200
    error = await refused(provider, of_key(google))
    assert isinstance(error, Unauthorized)
    assert "is this host's clock right?" in str(error)


async def test_another_account_s_key_is_told(google: FakeGoogle, provider: Provider) -> None:
    who = identity(serviceAccountKey=account_key(google.url, client_email="other@x.iam.gserviceaccount.com"))
    assert "there is no such account" in str(await refused(provider, who))


@pytest.mark.parametrize("damaged", ["AAAA", pem().splitlines()[1]])
async def test_a_key_that_cannot_be_read_is_told(google: FakeGoogle, provider: Provider, damaged: str) -> None:
    broken = f"-----BEGIN PRIVATE KEY-----\n{damaged}\n-----END PRIVATE KEY-----\n"
    error = await refused(provider, identity(serviceAccountKey=account_key(google.url, private_key=broken)))
    assert isinstance(error, Invalid)
    assert "its private_key cannot be read" in str(error)
    assert google.asked == []


async def test_a_refused_connection_is_transient(provider: Provider) -> None:
    error = await refused(provider, identity(serviceAccountKey=account_key("http://127.0.0.1:1")))
    assert isinstance(error, Transient)
    assert not error.answered


async def test_an_endpoint_that_hangs_costs_its_own_mint_only(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than there are threads, and the next one is served at once."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        stuck = identity(serviceAccountKey=account_key(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        async with anyio.create_task_group() as hanging:
            for _ in range(50):
                hanging.start_soon(provider.mint, stuck)
            await anyio.wait_all_tasks_blocked()
            assert (await mint(provider, of_key(google))).password in google.given
            hanging.cancel_scope.cancel()
        monkeypatch.setattr(outbound, "WHOLE", 0.1)
        error = await refused(provider, stuck)
    assert error.reason is Reason.TIMEOUT


async def test_the_whole_mint_has_a_time_limit(monkeypatch: pytest.MonkeyPatch, provider: Provider) -> None:
    monkeypatch.setattr(gcp_module, "_WHOLE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refused(
            provider, identity(serviceAccountKey=account_key(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        )
    assert "not done after" in str(error)
    assert error.reason is Reason.TIMEOUT


async def test_many_mints_at_once_read_the_key_once(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth import crypt

    read: list[str] = []
    original: Any = crypt.RSASigner.from_string

    def counted(key: str, key_id: str | None = None) -> object:
        read.append(key)
        return original(key, key_id)

    monkeypatch.setattr(crypt.RSASigner, "from_string", counted)
    async with anyio.create_task_group() as all_at_once:
        for _ in range(20):
            all_at_once.start_soon(mint, provider, of_key(google))
    assert len(google.asked) == 20
    assert len(read) == 1


_FRESH = """
import sys
import anyio
from imps_multi.ports import PortError
from imps_multi.registries.providers import Providers
from tests.registries.secrets import identity_of
who = identity_of("imps-multi.io/gcp", {"location": "europe", "serviceAccountKey": sys.stdin.read()})
provider = Providers(lambda: 0.0, lambda: ("127.0.0.1",)).provider_for("gcp")
print(sorted(name for name in sys.modules if name.startswith("google.")))
async def mint():
    try:
        await provider.mint(who)
    except PortError as error:
        print(type(error).__name__)
anyio.run(mint)
print("google.auth.crypt" in sys.modules)
"""


def test_nothing_of_google_is_imported_before_a_key_signs() -> None:
    """In a process of its own: this one has it."""
    run = [sys.executable, "-c", _FRESH]
    told = subprocess.run(run, input=account_key("http://127.0.0.1:1"), capture_output=True, text=True, check=True)  # noqa: S603  # a script of the test's own
    assert told.stdout.split() == ["[]", "Transient", "True"]
