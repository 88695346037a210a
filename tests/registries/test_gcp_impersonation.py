"""Becoming a service account by ``impersonate``: asked of Google's own host by its name, over TLS."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from aiohttp.abc import ResolveResult

from imps_multi import resolver as name_lookup
from imps_multi.model.credential import MintedToken
from imps_multi.ports import Forbidden, Reason, Transient
from imps_multi.registries.providers import Providers
from tests.realcluster.pki import Authority, write

from .fake_google import (
    ACCOUNT,
    EVERYTHING,
    MEMBER,
    OWN,
    READ_ONLY,
    TARGET,
    FakeGoogle,
    account_key,
    claims,
    fake_google,
    federation,
    impersonation,
    token,
)
from .secrets import identity_of

NOW = 1_900_000_000.0
HOST = "iamcredentials.googleapis.com"
OLD_HOST = "www.googleapis.com"
LISTED = ("127.0.0.1", HOST)
"""By its name, since here it has a loopback address."""
LAST = "last@team-c.iam.gserviceaccount.com"

pytestmark = pytest.mark.anyio


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGoogle]:
    """Google under its own name, with a certificate that the process trusts."""
    authority = Authority("google")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(authority.serving(HOST, OLD_HOST), tmp_path, "google"))
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with fake_google(NOW, context) as fake:
        found(monkeypatch, HOST, int(fake.url.rpartition(":")[2]))
        yield fake


def found(monkeypatch: pytest.MonkeyPatch, name: str, port: int) -> None:
    """Let a name lead to a loopback port, whatever port is asked for."""
    real = name_lookup.addresses

    def look_up(host: str, asked: int, family: socket.AddressFamily) -> list[ResolveResult]:
        return real("127.0.0.1", port, family) if host == name else real(host, asked, family)

    monkeypatch.setattr(name_lookup, "addresses", look_up)


async def mint(listed: tuple[str, ...] = LISTED, **data: str) -> MintedToken:
    who = identity_of("imps-multi.io/gcp", {"location": "europe", **data}, listed=listed)
    with anyio.fail_after(20):
        return await Providers(lambda: NOW, lambda: listed).provider_for("gcp").mint(who)


async def test_a_key_s_account_becomes_another(google: FakeGoogle) -> None:
    google.may_become.add((ACCOUNT, TARGET))
    minted = await mint(serviceAccountKey=account_key(google.url), impersonate=TARGET, scopes=READ_ONLY)
    assert google.given[minted.password] == (TARGET, READ_ONLY)
    assert minted.expires_at == NOW + 3600
    assert [scope for _, scope in google.given.values()] == [EVERYTHING, READ_ONLY]


async def test_a_federation_s_account_becomes_yet_another(google: FakeGoogle, tmp_path: Path) -> None:
    google.may_become |= {(MEMBER, TARGET), (TARGET, LAST)}
    (tmp_path / "token").write_text("kubernetes-token")
    file = federation(
        google.url,
        credential_source={"file": str(tmp_path / "token")},
        service_account_impersonation_url=impersonation(google.url),
    )
    minted = await mint(credentials=file, impersonate=LAST)
    assert google.given[minted.password] == (LAST, EVERYTHING)


async def test_the_process_s_own_file_becomes_whom_the_source_names(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    google.may_become.add((ACCOUNT, TARGET))
    (tmp_path / "own.json").write_text(account_key(google.url))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "own.json"))
    minted = await mint((), impersonate=TARGET)
    assert google.given[minted.password] == (TARGET, EVERYTHING)


async def test_the_machine_s_account_becomes_whom_the_source_names(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.may_become.add((OWN, TARGET))
    with fake_google(NOW) as machine:
        machine.given = google.given
        monkeypatch.setenv("GCE_METADATA_HOST", machine.url.removeprefix("http://"))
        minted = await mint((), impersonate=TARGET, scopes=READ_ONLY)
    assert google.given[minted.password] == (TARGET, READ_ONLY)
    assert [scope for _, scope in google.given.values()] == [EVERYTHING, READ_ONLY]


async def test_the_account_of_another_universe_is_asked_for_there(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is for Google's own name, so it shows who was asked."""
    found(monkeypatch, "iamcredentials.example.cloud", int(google.url.rpartition(":")[2]))
    key = account_key(google.url, universe_domain="example.cloud")
    with pytest.raises(Transient, match="Hostname mismatch") as caught:
        await mint((*LISTED, "iamcredentials.example.cloud"), serviceAccountKey=key, impersonate=TARGET)
    assert caught.value.reason is Reason.TLS


async def test_google_s_name_with_a_loopback_address_is_not_google(google: FakeGoogle) -> None:
    with pytest.raises(Forbidden, match="loopback address"):
        await mint(("127.0.0.1",), serviceAccountKey=account_key(google.url), impersonate=TARGET)


async def test_an_assertion_for_google_names_google_s_one_endpoint_whatever_the_address(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, OLD_HOST, int(google.url.rpartition(":")[2]))
    google.instead = lambda _: token()
    key = account_key(google.url, token_uri=f"https://{OLD_HOST}/oauth2/v4/token")
    await mint((*LISTED, OLD_HOST), serviceAccountKey=key)
    (asked,) = google.asked
    assert claims(str(asked.fields["assertion"]))["aud"] == "https://oauth2.googleapis.com/token"
