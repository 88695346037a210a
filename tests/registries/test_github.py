"""GitHub App installation tokens over real HTTP, at an endpoint that checks the signature and what is asked."""

import os
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from imps_multi.model.credential import Interpretation, MintedToken, MintSource, SourceFault
from imps_multi.ports import Forbidden, Invalid, PortError, Throttled, Transient, Unauthorized
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule

from .connect_proxy import connect_proxy
from .fake_github import FakeGithub
from .secrets import MARK, source
from .token_server import Said, TokenServer, said, token_server

NOW = 1_900_000_000.0
PKCS1, PKCS8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
LISTED = ("127.0.0.1", "github.corp")
NO_KEY = f"-----BEGIN RSA PRIVATE KEY-----\nMAoA{MARK}A\n-----END RSA PRIVATE KEY-----"
"""PEM that is whole, and no key."""

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def keyed() -> FakeGithub:
    """Make one key for all tests: it takes a moment."""
    return FakeGithub()


@pytest.fixture
def github(keyed: FakeGithub) -> FakeGithub:
    made = FakeGithub(now=NOW)
    made.__dict__["key"] = keyed.key
    return made


@pytest.fixture
def server(github: FakeGithub) -> Iterator[TokenServer]:
    with token_server() as made:
        made.answer = github.answer
        yield made


def interpret(**data: str) -> Interpretation:
    given = {"appID": "12345", "installationID": "678", "privateKey": NO_KEY, **data}
    secret = source("imps-multi.io/github", {key: value for key, value in given.items() if value != "-"})
    return interpreter(ambient=AmbientRule(), endpoints=LISTED)(secret)


def minted(**data: str) -> MintSource:
    interpreted = interpret(**data)
    assert isinstance(interpreted, MintSource), interpreted
    return interpreted


async def mint(github: FakeGithub, server: TokenServer, *, prefix: str = "", **data: str) -> MintedToken:
    given = {"privateKey": github.pem(), "apiURL": f"{server.url}{prefix}", "registries": "containers.corp", **data}
    with anyio.fail_after(20):
        return await Providers(lambda: NOW, lambda: LISTED).provider_for("github").mint(minted(**given).identity)


async def refused(github: FakeGithub, server: TokenServer, **data: str) -> PortError:
    with pytest.raises(PortError) as caught:
        await mint(github, server, **data)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert MARK not in shown
    assert "PRIVATE KEY" not in shown
    assert str(caught.value).startswith("GitHub installation token: ")
    return caught.value


async def test_an_app_gets_a_token_for_its_installation(github: FakeGithub, server: TokenServer) -> None:
    token = await mint(github, server)
    assert (token.username, token.password) == ("x-access-token", "ghs_all")
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 3600)
    (heard,) = server.heard
    assert heard.headers["x-github-api-version"] == "2022-11-28"


async def test_a_client_id_is_as_good_as_an_app_s_id(github: FakeGithub, server: TokenServer) -> None:
    github.issuer = "Iv23liABCDEFGHIJKLMN"
    assert (await mint(github, server, appID="-", clientID=github.issuer)).password == "ghs_all"


async def test_an_enterprise_server_has_its_api_below_a_path(github: FakeGithub, server: TokenServer) -> None:
    github.prefix = "/api/v3"
    assert (await mint(github, server, prefix="/api/v3/")).password == "ghs_all"


async def test_a_token_may_be_for_some_repositories(github: FakeGithub, server: TokenServer) -> None:
    assert (await mint(github, server, repositories="corp/web, api,web")).password == "ghs_api,web"
    error = await refused(github, server, repositories="secret")
    assert isinstance(error, Invalid)
    assert "does not grant packages: read" in str(error)


@pytest.mark.parametrize("form", [PKCS1, PKCS8])
@pytest.mark.parametrize(("old", "new"), [("\n", "\n"), ("\n", "\r\n"), ("\n", "\\n"), ("\n", "\n\n")])
async def test_a_key_is_taken_as_it_comes(
    github: FakeGithub, server: TokenServer, form: serialization.PrivateFormat, old: str, new: str
) -> None:
    await mint(github, server, privateKey=f"\n{github.pem(form).replace(old, new)}\n")


@pytest.mark.parametrize("drift", [-50, 50])
async def test_clocks_that_differ_by_less_than_a_minute_do_no_harm(
    github: FakeGithub, server: TokenServer, drift: int
) -> None:
    github.now = NOW + drift
    await mint(github, server)


async def test_github_itself_is_called_where_it_is(github: FakeGithub, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_proxy() as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        for given in ({}, {"apiURL": "https://api.octocorp.ghe.com", "registries": "containers.octocorp.ghe.com"}):
            who = minted(privateKey=github.pem(), **given).identity
            with pytest.raises(Transient):
                await Providers(lambda: NOW, tuple).provider_for("github").mint(who)
    assert asked == ["api.github.com:443", "api.octocorp.ghe.com:443"]


async def test_who_is_not_the_app_is_refused(github: FakeGithub, server: TokenServer) -> None:
    for data in ({"appID": "54321"}, {"privateKey": FakeGithub().pem()}):
        error = await refused(github, server, **data)
        assert isinstance(error, Unauthorized)
        assert "do not belong together" in str(error)
    assert "no such installation" in str(await refused(github, server, installationID="1"))


async def test_what_is_no_rsa_key_is_said_when_it_signs(github: FakeGithub, server: TokenServer) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(serialization.Encoding.PEM, PKCS8, serialization.NoEncryption()).decode()
    for key in (pem, NO_KEY):
        error = await refused(github, server, privateKey=key)
        assert isinstance(error, Invalid)
        assert "must be an RSA key" in str(error)
    assert server.heard == []


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (said(201, expires_at="2030-01-01T00:00:00Z"), Invalid, "holds no token"),
        (said(201, token=[MARK]), Invalid, "holds no token"),
        (said(201, token=f"{MARK}\n"), Invalid, "holds no token"),
        (said(201, token=MARK, expires_at=MARK), Invalid, "expires_at cannot be read"),
        (said(201, token=MARK, expires_at="2030-01-01T00:00:00"), Invalid, "expires_at cannot be read"),
        (said(201, token=MARK, expires_at=7), Invalid, "expires_at cannot be read"),
        (Said(201, MARK.encode() * 10_000), Invalid, "longer than 64 KiB"),
        (Said(302, b"", {"Location": f"http://127.0.0.1:1/{MARK}"}), Invalid, "redirects are not followed"),
        (said(403, message=MARK), Forbidden, "(HTTP 403)"),
        (Said(403, MARK.encode(), {"X-RateLimit-Remaining": "0"}), Throttled, "(HTTP 403)"),
        (Said(403, MARK.encode(), {"Retry-After": "60"}), Throttled, "(HTTP 403)"),
        (Said(502, MARK.encode()), Transient, "(HTTP 502)"),
    ],
)
async def test_an_answer_of_no_use_says_why(
    github: FakeGithub, server: TokenServer, answer: Said, kind: type[PortError], says: str
) -> None:
    server.answer = lambda _: answer
    error = await refused(github, server)
    assert type(error) is kind
    assert says in str(error)
    assert not isinstance(error, Throttled) or error.retry_after == 60


async def test_a_token_without_an_end_lives_its_documented_hour(github: FakeGithub, server: TokenServer) -> None:
    server.answer = lambda _: said(201, token="t")
    assert (await mint(github, server)).expires_at is None
    assert Providers.documented_life("github") == 3600


def test_github_itself_needs_no_listing_and_its_registry_no_name() -> None:
    assert minted().registries == ("ghcr.io",)
    assert minted().identity.request["apiURL"] == "https://api.github.com"
    tenant = minted(apiURL="https://api.octocorp.ghe.com/", registries="containers.octocorp.ghe.com")
    assert tenant.registries == ("containers.octocorp.ghe.com",)
    assert tenant.identity.request["apiURL"] == "https://api.octocorp.ghe.com"


def test_equal_apps_share_a_token() -> None:
    key = minted().identity.key
    assert (
        minted(
            registries="a.io", privateKey=NO_KEY.replace("\n", "\\n"), apiURL="https://api.GITHUB.com./"
        ).identity.key
        == key
    )
    for other in ({"installationID": "1"}, {"appID": "1"}, {"repositories": "api"}):
        assert minted(**other).identity.key != key
    assert minted(repositories="b,a").identity.key == minted(repositories="corp/a,b,b").identity.key


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"installationID": "-"}, "key installationID is missing"),
        ({"installationID": "x"}, "key installationID is not an installation's ID"),
        ({"appID": "-"}, "key appID or key clientID must be there"),
        ({"clientID": "Iv1.x"}, "key appID or key clientID must be there, one of them"),
        ({"appID": "Iv1.x"}, "key appID is not an App's ID"),
        ({"privateKey": "-"}, "key privateKey is missing"),
        ({"privateKey": MARK}, "key privateKey is not an RSA key in PEM"),
        ({"privateKey": NO_KEY.replace("RSA", "EC")}, "key privateKey is not an RSA key in PEM"),
        ({"privateKey": NO_KEY.replace("RSA", "ENCRYPTED")}, "key privateKey is encrypted"),
        ({"privateKey": NO_KEY.replace("MAoA", "MAsA")}, "key privateKey is cut short or damaged; it needs the whole"),
        ({"privateKey": f"{NO_KEY}\n{NO_KEY}"}, "key privateKey is not an RSA key in PEM"),
        ({"repositories": "a b"}, "key repositories is not a comma list"),
        ({"repositories": ",".join(map(str, range(501)))}, "key repositories holds more than 500"),
        ({"apiURL": "https://github.corp/api/v3"}, "key registries is missing; with apiURL"),
        ({"apiURL": "https://github.evil", "registries": "a.io"}, "list its host in sources.endpoints"),
        ({"apiURL": "https://api.github.com.evil.example", "registries": "a.io"}, "list its host in sources.endpoints"),
        ({"apiURL": f"https://{MARK}@api.github.com"}, "key apiURL is not a URL"),
        ({"apiURL": f"https://api.github.com?{MARK}"}, "key apiURL is not a URL"),
        ({"appId": "1"}, "key appId is unknown; did you mean appID?"),
    ],
)
def test_a_secret_that_cannot_be_used_says_which_key_and_why(data: dict[str, str], says: str) -> None:
    interpreted = interpret(**data)
    assert isinstance(interpreted, SourceFault)
    assert says in interpreted.message
    assert MARK not in interpreted.message


def test_without_its_library_a_secret_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imps_multi.registries.catalogue.find_spec", lambda _: None)
    interpreted = interpret()
    assert isinstance(interpreted, SourceFault)
    assert "pip install 'imps-multi[github]'" in interpreted.message


def test_the_library_is_imported_by_a_mint_alone() -> None:
    code = """if True:
        import sys
        from imps_multi.registries import catalogue
        from imps_multi.registries.providers import Providers
        Providers(lambda: 0.0, tuple).provider_for("github")
        heavy = {"jwt", "cryptography"} & set(sys.modules)
        sys.exit(f"imported: {heavy}" if heavy else 0)
    """
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603  # our own interpreter
    assert done.returncode == 0, done.stderr


async def test_a_key_is_read_once(github: FakeGithub, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is checked when it is read, which takes more than all the rest of a mint."""
    read: list[bytes] = []

    def noting(pem: bytes, password: None) -> object:
        read.append(pem)
        return load_pem_private_key(pem, password)

    monkeypatch.setattr("imps_multi.registries.github_signing.load_pem_private_key", noting)
    provider = Providers(lambda: NOW, lambda: LISTED).provider_for("github")
    given = {"privateKey": github.pem(), "apiURL": server.url, "registries": "a.io"}
    for _ in range(3):
        await provider.mint(minted(**given).identity)
    other = FakeGithub().pem()
    with pytest.raises(Unauthorized):
        await provider.mint(minted(**given | {"privateKey": other}).identity)
    assert read == [github.pem().encode(), other.encode()]
