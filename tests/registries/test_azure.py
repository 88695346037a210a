"""Azure's tokens over real HTTP: who logs in how, what is exchanged where, and what each answer means."""

import logging
import socket
from collections.abc import Iterator

import anyio
import pytest

from imps_multi.model.credential import MintedToken
from imps_multi.model.refresh import accept
from imps_multi.ports import Forbidden, Invalid, PortError, Provider, Reason, Throttled, Transient, Unauthorized
from imps_multi.registries import azure as azure_module
from imps_multi.registries import azure_certificates
from imps_multi.registries import outbound as outbound_module
from imps_multi.registries.providers import Providers
from tests.realcluster.pki import Authority

from .azure_mints import mint, principal, refused
from .fake_azure import (
    AUDIENCE,
    CLIENT,
    LIFE,
    NOW,
    SECRET,
    TENANT,
    FakeAzure,
    certificate,
    entra_refusal,
    fake_azure,
    refresh_token,
    registry_refusal,
)
from .secrets import MARK, listed
from .token_server import Said, said

pytestmark = pytest.mark.anyio


@pytest.fixture
def azure() -> Iterator[FakeAzure]:
    with fake_azure() as fake:
        yield fake


@pytest.fixture
def provider() -> Provider:
    return Providers(lambda: NOW, listed).provider_for("azure")


async def test_a_client_secret_becomes_a_registry_s_token(azure: FakeAzure, provider: Provider) -> None:
    minted = await mint(provider, principal(azure))
    assert minted.username == "00000000-0000-0000-0000-000000000000"
    assert minted.password == refresh_token(sub=CLIENT, exp=int(NOW + LIFE))
    assert (minted.issued_at, minted.expires_at) == (NOW, NOW + LIFE)
    (login,), (exchange,) = azure.entra.heard, azure.registry.heard
    assert login.form["scope"] == f"{AUDIENCE}/.default"
    assert exchange.form["tenant"] == TENANT
    for heard in (login, exchange):
        assert heard.headers["user-agent"].startswith("imps-multi/")


async def test_a_certificate_signs_the_login(azure: FakeAzure, provider: Provider) -> None:
    """The fake knows the certificate, and checks the signature with it."""
    pem, key = certificate()
    del azure.secrets[CLIENT]
    azure.certificates[CLIENT] = pem
    minted = await mint(provider, principal(azure, clientCertificate=(key + pem).decode()))
    assert minted.expires_at == NOW + LIFE
    assert "client_secret" not in azure.entra.heard[0].form


async def test_a_certificate_is_found_in_its_chain(azure: FakeAzure, provider: Provider) -> None:
    azure.certificates[CLIENT], key = certificate()
    chain = Authority("above").pem + azure.certificates[CLIENT] + key
    await mint(provider, principal(azure, clientCertificate=chain.decode()))


async def test_a_key_is_checked_once(azure: FakeAzure, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL takes 40 ms for that, more than all the rest of a mint."""
    checked: list[bytes] = []

    def noting(pem: bytes) -> object:
        checked.append(pem)
        return check(pem)

    check = azure_certificates._checked
    monkeypatch.setattr(azure_certificates, "_checked", noting)
    azure.certificates[CLIENT], key = certificate()
    pem = (key + azure.certificates[CLIENT]).decode()
    for _ in range(3):
        await mint(provider, principal(azure, clientCertificate=pem))
    azure.certificates[CLIENT], _ = certificate(2)
    await mint(provider, principal(azure, clientCertificate=(key + azure.certificates[CLIENT]).decode()))
    assert len(checked) == 2
    assert len({heard.form["client_assertion"] for heard in azure.entra.heard}) == 4


async def test_another_certificate_is_refused(azure: FakeAzure, provider: Provider) -> None:
    pem, key = certificate()
    azure.certificates[CLIENT], _ = certificate(2)
    error = await refused(provider, principal(azure, clientCertificate=(pem + key).decode()))
    assert isinstance(error, Unauthorized)
    assert "AADSTS700027" in str(error)


def elliptic() -> tuple[bytes, bytes]:
    pair = Authority("elliptic").client("jane")
    return pair.certificate, pair.key


@pytest.mark.parametrize(
    "broken",
    [
        "".join(
            f"-----BEGIN {kind}-----\nMAoA{MARK}A\n-----END {kind}-----\n" for kind in ("CERTIFICATE", "PRIVATE KEY")
        ),
        Authority("other").pem.decode() + certificate()[1].decode(),
        "".join(part.decode() for part in elliptic()),
    ],
    ids=["nothing in the PEM", "the key of another", "an elliptic curve's key"],
)
async def test_a_certificate_that_cannot_be_used_is_said_and_nobody_is_asked(
    azure: FakeAzure, provider: Provider, broken: str
) -> None:
    error = await refused(provider, principal(azure, clientCertificate=broken))
    assert isinstance(error, Invalid)
    assert "key clientCertificate cannot be read; it needs a certificate and its own RSA key" in str(error)
    assert not azure.entra.heard


async def test_the_older_audience_can_be_asked_for(azure: FakeAzure, provider: Provider) -> None:
    azure.audiences = ("https://management.azure.com",)
    await refused(provider, principal(azure))
    await mint(provider, principal(azure, audience="manager"))


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (entra_refusal(401, "invalid_client", 7000215), Unauthorized, "AADSTS7000215, the client secret is wrong"),
        (entra_refusal(401, "invalid_client", 7000222), Unauthorized, "the client secret has expired"),
        (entra_refusal(400, "unauthorized_client", 7000112), Forbidden, "AADSTS7000112, the application is disabled"),
        (entra_refusal(400, "unauthorized_client", 700016), Forbidden, "there is no such application"),
        (entra_refusal(400, "invalid_grant", 53003), Unauthorized, "AADSTS53003"),
        (entra_refusal(400, "invalid_request", 90002), Invalid, "there is no such tenant"),
        (entra_refusal(400, "invalid_scope", 1), Invalid, "AADSTS1: invalid_scope (HTTP 400)"),
        (entra_refusal(429, "temporarily_unavailable", 1, **{"Retry-After": "7"}), Throttled, "HTTP 429"),
        (entra_refusal(503, "temporarily_unavailable", 90033), Transient, "HTTP 503"),
        (said(400, error=MARK, error_codes=[MARK]), Invalid, "HTTP 400"),
        (Said(401, MARK.encode()), Unauthorized, "HTTP 401"),
        (Said(302, b"", {"Location": f"http://{MARK}"}), Invalid, "redirects are not followed"),
        (Said(200, MARK.encode()), Invalid, "the answer holds no token"),
        (Said(200, b"{}"), Invalid, "the answer holds no token"),
        (said(access_token={"a": MARK}), Invalid, "the answer holds no token"),
        (Said(200, b'{"access_token":' + b"[" * 60_000), Invalid, "the answer holds no token"),
        (said(access_token="x" * 5_000_000), Invalid, "longer than 64 KiB"),
    ],
)
async def test_each_answer_of_entra_says_what_to_do_and_is_asked_for_once(
    azure: FakeAzure, provider: Provider, answer: Said, kind: type[PortError], says: str
) -> None:
    azure.instead["entra"] = answer
    error = await refused(provider, principal(azure))
    assert type(error) is kind
    assert str(error).startswith(f"the Entra ID login for {azure.host}: ")
    assert says in str(error)
    assert (len(azure.entra.heard), len(azure.registry.heard)) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (registry_refusal(401, "UNAUTHORIZED"), Unauthorized, "UNAUTHORIZED (HTTP 401)"),
        (registry_refusal(403, "DENIED"), Forbidden, "DENIED (HTTP 403)"),
        (registry_refusal(404, MARK), Invalid, "(HTTP 404)"),
        (Said(429, b"", {"Retry-After": "7"}), Throttled, "HTTP 429"),
        (Said(502, MARK.encode()), Transient, "HTTP 502"),
        (Said(200, MARK.encode()), Invalid, "no JSON object"),
        (said(refresh_token=""), Invalid, "holds no token"),
        (said(refresh_token=7), Invalid, "holds no token"),
        (said(refresh_token=MARK), Invalid, "no JWT"),
        (said(refresh_token=f"a.{MARK}.c"), Invalid, "no JWT"),
        (said(refresh_token=refresh_token(exp=MARK)), Invalid, "no JWT"),
        (said(refresh_token="x" * 5_000_000), Invalid, "longer than 64 KiB"),
    ],
)
async def test_each_answer_of_the_registry_says_what_to_do_and_is_asked_for_once(
    azure: FakeAzure, provider: Provider, answer: Said, kind: type[PortError], says: str
) -> None:
    azure.instead["registry"] = answer
    error = await refused(provider, principal(azure))
    assert type(error) is kind
    assert str(error).startswith(f"the exchange at {azure.host}: ")
    assert says in str(error)
    assert len(azure.registry.heard) == 1


@pytest.mark.parametrize(
    ("claims", "expected"),
    [({}, NOW + LIFE), ({"exp": NOW + 60}, NOW + 60), ({"exp": NOW + 1e10}, NOW + 2 * LIFE), ({"exp": NOW - 1}, None)],
)
async def test_a_token_s_own_end_is_believed_within_reason(
    azure: FakeAzure, provider: Provider, claims: dict[str, float], expected: float | None
) -> None:
    azure.instead["registry"] = said(refresh_token=refresh_token(**claims))
    judged = accept(await mint(provider, principal(azure)), NOW, Providers.documented_life("azure"))
    assert (judged.expires_at if isinstance(judged, MintedToken) else None) == expected


async def test_a_rotated_secret_is_asked_with_at_once(azure: FakeAzure, provider: Provider) -> None:
    """Nothing of the earlier login is kept: neither its token nor its refusal."""
    await mint(provider, principal(azure))
    azure.secrets[CLIENT] = "rotated"
    assert isinstance(await refused(provider, principal(azure)), Unauthorized)
    await mint(provider, principal(azure, clientSecret="rotated"))
    assert [heard.form["client_secret"] for heard in azure.entra.heard] == [SECRET, SECRET, "rotated"]


async def test_a_host_that_is_no_longer_listed_is_not_asked(azure: FakeAzure) -> None:
    allowed = ["127.0.0.1"]
    provider = Providers(lambda: NOW, lambda: tuple(allowed)).provider_for("azure")
    await mint(provider, principal(azure))
    allowed.clear()
    assert isinstance(await refused(provider, principal(azure)), Forbidden)
    assert len(azure.entra.heard) == 1


async def test_an_endpoint_that_hangs_costs_its_time_limit_only(
    azure: FakeAzure, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mint(provider, principal(azure))
    monkeypatch.setattr(outbound_module, "WHOLE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for hanging in (principal(azure, authorityHost=url), principal(azure, registries=url)):
            error = await refused(provider, hanging)
            assert isinstance(error, Transient)
            assert error.reason is Reason.TIMEOUT


async def test_the_whole_mint_has_a_time_limit(
    azure: FakeAzure, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mint(provider, principal(azure))
    monkeypatch.setattr(azure_module, "_WHOLE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refused(provider, principal(azure, authorityHost=f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert str(error).endswith(": not done after 0 s")
    assert error.reason is Reason.TIMEOUT


async def test_a_cancelled_mint_leaves_nothing_open(azure: FakeAzure, provider: Provider) -> None:
    """An open connection would fail the test by its ResourceWarning."""
    async with anyio.create_task_group() as group:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.setblocking(False)
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            group.start_soon(mint, provider, principal(azure, registries=url))
            with anyio.fail_after(10):
                await anyio.wait_readable(silent)
            group.cancel_scope.cancel()
    await mint(provider, principal(azure))


async def test_nothing_is_said_beside_the_error(
    azure: FakeAzure, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    azure.instead["entra"] = entra_refusal(401, "invalid_client", 7000215)
    await refused(provider, principal(azure))
    assert not [record for record in caplog.records if record.name.startswith("azure")]
