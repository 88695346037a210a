"""Google's access tokens over real HTTP: who asks, and where."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from imps_multi.model.credential import MintedToken
from imps_multi.model.refresh import Refused, accept, next_refresh
from imps_multi.ports import Forbidden, Invalid, PortError, Provider, Transient, Unauthorized
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
    fake_google,
    federation,
    impersonation,
    login,
    token,
)
from .google_mints import LISTED, NOW, identity, mint, of_file, of_key, refused

pytestmark = pytest.mark.anyio


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


async def test_a_metadata_server_that_is_not_up_yet_is_asked_again_later(
    google: FakeGoogle, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(google, monkeypatch)
    google.instead = lambda _: Answer(503, b"MARKEDVALUE")
    error = await refused(provider, identity())
    assert isinstance(error, Transient)
    assert error.answered


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
