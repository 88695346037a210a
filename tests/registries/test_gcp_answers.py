"""What each answer of Google's means, and what an endpoint that gives none costs."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from imps_multi.model.credential import MintedToken
from imps_multi.model.refresh import MAX_TOKEN_BYTES, Refused, accept
from imps_multi.ports import Forbidden, Invalid, PortError, Provider, Reason, Throttled, Transient, Unauthorized
from imps_multi.registries import gcp as gcp_module
from imps_multi.registries import outbound
from imps_multi.registries.providers import Providers

from .fake_google import (
    Answer,
    FakeGoogle,
    account_key,
    api_failure,
    failure,
    fake_google,
    impersonation,
    token,
)
from .google_mints import LISTED, NOW, identity, mint, of_file, of_key, refused
from .secrets import MARK

pytestmark = pytest.mark.anyio


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with fake_google(NOW) as fake:
        yield fake


@pytest.fixture
def provider() -> Provider:
    return Providers(lambda: NOW, lambda: LISTED).provider_for("gcp")


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


@pytest.mark.parametrize("damaged", ["MAA=", "MAoAAAAAAAAAAAAA"])
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


async def test_threads_that_others_hold_keep_no_mint_waiting(google: FakeGoogle, provider: Provider) -> None:
    shared = anyio.to_thread.current_default_thread_limiter()
    others = [object() for _ in range(int(shared.total_tokens))]
    for other in others:
        shared.acquire_on_behalf_of_nowait(other)
    try:
        assert (await mint(provider, of_key(google))).password in google.given
    finally:
        for other in others:
            shared.release_on_behalf_of(other)


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
