"""OAuth2 client credentials over real HTTP, at an endpoint that checks the client, the grant, scope and audience."""

import json
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote_plus

import anyio
import pytest

from imps_multi.model.credential import Interpretation, MintedToken, MintSource, SourceFault
from imps_multi.model.refresh import Refused, accept
from imps_multi.ports import Forbidden, Invalid, PortError, Throttled, Transient, Unauthorized
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule

from .secrets import MARK, source
from .token_server import Heard, Said, TokenServer, said, token_server

NOW = 1_900_000_000.0
CLIENT, SECRET = "client+1 ü".encode().decode("ascii", "ignore") + ":/", f"{MARK} &=+%"
LISTED = ("127.0.0.1", "sts.corp", "*.example.com")
KEYS = {"clientID": CLIENT, "clientSecret": SECRET, "registries": "registry.example.com"}

pytestmark = pytest.mark.anyio


def interpret(**data: str) -> Interpretation:
    given = {"tokenURL": "https://sts.corp/token", **KEYS, **data}
    secret = source("imps-multi.io/oauth2", {key: value for key, value in given.items() if value != "-"})
    return interpreter(ambient=AmbientRule(), endpoints=LISTED)(secret)


def minted(**data: str) -> MintSource:
    interpreted = interpret(**data)
    assert isinstance(interpreted, MintSource), interpreted
    return interpreted


def client(heard: Heard) -> tuple[str, str]:
    """Return who asks, as RFC 6749 §2.3.1 has it."""
    scheme, _, login = heard.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        name, _, secret = b64decode(login).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)
    return heard.form.get("client_id", ""), heard.form.get("client_secret", "")


def checked(heard: Heard) -> Said:
    """Answer as a strict token endpoint does."""
    if heard.headers.get("content-type") != "application/x-www-form-urlencoded" or heard.method != "POST":
        return said(400, error="invalid_request")
    if "authorization" in heard.headers and "client_secret" in heard.form:
        return said(400, error="invalid_request")  # RFC 6749 §2.3: one way at a time
    if client(heard) != (CLIENT, SECRET):
        return said(401, error="invalid_client", error_description=f"{MARK}: {heard.form}")
    if heard.form.get("grant_type") != "client_credentials":
        return said(400, error="unsupported_grant_type")
    if heard.form.get("scope", "pull") != "pull":
        return said(400, error="invalid_scope")
    return said(access_token=f"for {heard.form.get('audience', 'all')}", token_type="bearer", expires_in=600)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as made:
        made.answer = checked
        yield made


async def mint(server: TokenServer, **data: str) -> MintedToken:
    who = minted(tokenURL=f"{server.url}/token", **data).identity
    with anyio.fail_after(20):
        return await Providers(lambda: NOW, lambda: LISTED).provider_for("oauth2").mint(who)


async def refused(server: TokenServer, **data: str) -> PortError:
    with pytest.raises(PortError) as caught:
        await mint(server, **data)
    assert MARK not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    return caught.value


@pytest.mark.parametrize("style", ["-", "header", "body"])
async def test_a_client_gets_a_token_by_its_secret(server: TokenServer, style: str) -> None:
    token = await mint(server, authStyle=style)
    assert (token.username, token.password) == ("oauth2accesstoken", "for all")
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 600)
    (heard,) = server.heard
    assert heard.path == "/token"
    assert ("authorization" in heard.headers) == (style != "body")


async def test_the_endpoint_may_have_a_query(server: TokenServer) -> None:
    """RFC 6749 §3.2 lets it."""
    who = minted(tokenURL=f"{server.url}/token?tenant=a").identity
    await Providers(lambda: NOW, lambda: LISTED).provider_for("oauth2").mint(who)
    assert server.heard[0].path == "/token?tenant=a"


async def test_scope_audience_and_user_name_are_the_secret_s(server: TokenServer) -> None:
    token = await mint(server, scope="pull", audience="registry & co", username="$oauthtoken")
    assert (token.username, token.password) == ("$oauthtoken", "for registry & co")
    assert isinstance(await refused(server, scope="pull push"), Invalid)


@pytest.mark.parametrize("style", ["header", "body"])
async def test_another_secret_is_refused(server: TokenServer, style: str) -> None:
    error = await refused(server, clientSecret=f"{MARK} another", authStyle=style)
    assert isinstance(error, Unauthorized)
    assert str(error) == "OAuth2 client credentials: invalid_client (HTTP 401)"


@pytest.mark.parametrize(
    ("expires", "key", "life"),
    [
        (7200, "-", 7200.0),
        ("7200", "-", 7200.0),
        (7200.5, "60", 7200.5),
        (None, "-", 3600.0),
        (None, "60", 60.0),
        (0, "-", 0.0),
        (-5, "-", -5.0),
    ],
)
async def test_a_token_lives_as_long_as_is_said(server: TokenServer, expires: object, key: str, life: float) -> None:
    server.answer = lambda _: said(access_token="t", expires_in=expires)
    token = await mint(server, expiresIn=key)
    assert token.expires_at == NOW + life


@pytest.mark.parametrize("expires", [0, -1, 9, "-0", "nan"])
async def test_a_token_that_is_over_is_refused_before_it_is_delivered(server: TokenServer, expires: object) -> None:
    server.answer = lambda _: said(access_token="t", expires_in=expires)
    assert isinstance(accept(await mint(server), NOW, 12 * 3600), Refused)


async def test_a_token_of_a_hundred_years_is_asked_for_anew_every_day(server: TokenServer) -> None:
    server.answer = lambda _: said(access_token="t", expires_in=10**400)
    assert isinstance(await refused(server), Invalid)
    server.answer = lambda _: said(access_token="t", expires_in="1e400")
    accepted = accept(await mint(server), NOW, Providers.documented_life("oauth2"))
    assert isinstance(accepted, MintedToken)
    assert accepted.expires_at == NOW + 86400


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (said(), "holds no access_token"),
        (said(access_token=""), "holds no access_token"),
        (said(access_token=7), "holds no access_token"),
        (said(access_token=[MARK]), "holds no access_token"),
        (said(error=MARK), "holds no access_token"),
        (said(access_token=f"{MARK}\n"), "signs that no token has"),
        (said(access_token=MARK, token_type="DPoP"), "token_type is not Bearer"),
        (said(access_token=MARK, token_type=None), "token_type is not Bearer"),
        (said(access_token=MARK, expires_in=MARK), "expires_in is no number"),
        (said(access_token=MARK, expires_in=True), "expires_in is no number"),
        (said(access_token=MARK, expires_in=[1]), "expires_in is no number"),
        (Said(200, json.dumps([MARK]).encode()), "no JSON object"),
        (said(access_token=MARK * 10_000), "longer than 64 KiB"),
    ],
)
async def test_an_answer_of_no_use_says_why(server: TokenServer, answer: Said, says: str) -> None:
    server.answer = lambda _: answer
    error = await refused(server)
    assert isinstance(error, Invalid)
    assert says in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(400, error="unauthorized_client"), Forbidden),
        (said(403, error="access_denied"), Forbidden),
        (Said(429, MARK.encode(), {"Retry-After": "30"}), Throttled),
        (Said(503, MARK.encode()), Transient),
        (Said(307, b"", {"Location": "http://127.0.0.1:1"}), Invalid),
    ],
)
async def test_a_refusal_says_what_to_do(server: TokenServer, answer: Said, kind: type[PortError]) -> None:
    server.answer = lambda _: answer
    assert type(await refused(server)) is kind


def test_a_secret_says_whose_token_goes_where() -> None:
    given = minted(
        registry="a.example.com", registries="b.example.com, *.c.example.com,a.example.com", scope="\n pull\n"
    )
    assert given.provider == "oauth2"
    assert given.registries == ("a.example.com", "b.example.com", "*.c.example.com")
    assert given.identity.request["scope"] == "pull"
    assert MARK not in repr(given)


def test_equal_clients_at_one_endpoint_share_a_token() -> None:
    key = minted().identity.key
    assert minted(registries="other.example.com", tokenURL="https://STS.corp./token").identity.key == key
    for other in ({"clientID": "x"}, {"clientSecret": "x"}, {"scope": "x"}, {"username": "x"}, {"authStyle": "body"}):
        assert minted(**other).identity.key != key


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"tokenURL": "-"}, "key tokenURL is missing"),
        ({"clientID": "-"}, "key clientID is missing"),
        ({"clientSecret": " "}, "key clientSecret is empty"),
        ({"registries": "-"}, "key registries is missing"),
        ({"registries": f"https://{MARK} x"}, "key registries does not hold registry hosts"),
        ({"registry": f"u:{MARK}@a.example.com"}, "key registry does not hold registry hosts"),
        ({"tokenURL": "https://elsewhere.org"}, "list its host in sources.endpoints"),
        ({"tokenURL": "http://sts.corp/token"}, "key tokenURL must begin with https://"),
        ({"tokenURL": f"https://u:{MARK}@sts.corp"}, "key tokenURL is not a URL"),
        ({"tokenURL": "https://169.254.169.254"}, "key tokenURL names a host that is not allowed"),
        ({"authStyle": "mtls"}, "key authStyle is not header or body"),
        ({"username": "a:b"}, "key username is not a user name"),
        ({"scope": "a  b"}, "key scope is not a list of scopes"),
        ({"clientSecret": f"{MARK}\nb"}, "key clientSecret is not a client secret"),
        ({"expiresIn": "1h"}, "key expiresIn is not a number of seconds"),
        ({"expiresIn": "99999"}, "key expiresIn is not a number of seconds"),
        ({"clientid": "x"}, "key clientid is unknown; did you mean clientID?"),
        ({"tokenUrl": "x"}, "key tokenUrl is unknown; did you mean tokenURL?"),
    ],
)
def test_a_secret_that_cannot_be_used_says_which_key_and_why(data: dict[str, str], says: str) -> None:
    interpreted = interpret(**data)
    assert isinstance(interpreted, SourceFault)
    assert says in interpreted.message
    assert MARK not in interpreted.message


def test_a_key_of_no_meaning_is_said_and_ignored() -> None:
    assert minted(note="x").remark == "key note is unknown and ignored"
