"""What whoever may write a source Secret might try: each attack on each key, at each kind of source.

The Secrets are read as the service reads them, and minted by the very providers; what they aim at is really there.
"""

import itertools
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from imps_multi.model.credential import Interpretation, MintIdentity, MintSource, SourceFault
from imps_multi.ports import Forbidden, Invalid, PortError, Provider, Transient
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.providers import Providers
from imps_multi.registries.rules import AmbientRule
from tests.realcluster.pki import Authority, write

from .aims import AIMS, ECR_TYPE, Aim
from .connect_proxy import connect_proxy
from .fake_azure import CLIENT, TENANT
from .fake_google import federation
from .resolving import resolving
from .secrets import ECR, KEYS, MARK, ROLE, source
from .token_server import Said, TokenServer, token_server

pytestmark = pytest.mark.anyio
NOW = 1_900_000_000.0
HERE = "127.0.0.1"
GLOB = "*.vpc.example"
REDIRECTS = (301, 302, 303, 307, 308)
each_aim = pytest.mark.parametrize("aim", AIMS, ids=str)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as made:
        yield made


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("abuse")


@pytest.fixture
def secure(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    """Serve HTTPS for localhost, trusted by everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(authority.serving(), tmp_path, "serving"))
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    with token_server(context) as made:
        yield made


def interpret(aim: Aim, url: str, *listed: str) -> Interpretation:
    return interpreter(ambient=AmbientRule(), endpoints=listed)(source(aim.kind, aim.data(url)))


def identity(aim: Aim, url: str, *listed: str) -> MintIdentity:
    interpreted = interpret(aim, url, *listed)
    assert isinstance(interpreted, MintSource), interpreted
    return interpreted.identity


async def refused(aim: Aim, who: MintIdentity, *listed: str) -> PortError:
    return await refused_by(Providers(lambda: NOW, lambda: listed).provider_for(aim.provider), who)


async def refused_by(provider: Provider, who: MintIdentity) -> PortError:
    with anyio.fail_after(20), pytest.raises(PortError) as caught:
        await provider.mint(who)
    assert MARK not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


# -- where it may aim --------------------------------------------------------------------------------------------------


@each_aim
@pytest.mark.parametrize(
    "url",
    [
        *("https://evil.example", "https://vpc.example", "https://a.vpc.example.evil.example", "https://avpc.example"),
        *(
            "https://evil.example/a.vpc.example",
            "https://a.vpc.example@evil.example",
            "https://evil.example#.vpc.example",
        ),
        *(
            "https://evil.example\\.vpc.example",
            "https://evil.example\t.vpc.example",
            "https://evil.example\uff0fa.vpc.example",
        ),
        *("http://a.vpc.example", "ftp://a.vpc.example", "file:///etc/passwd", "//a.vpc.example", "javascript:1"),
        *("https://u:p@a.vpc.example", "https://a.vpc.example:0", "https://a.vpc.example:99999", f"https://{MARK}"),
    ],
)
def test_no_url_leads_to_another_host_than_those_listed(aim: Aim, url: str) -> None:
    interpreted = interpret(aim, url, GLOB)
    assert isinstance(interpreted, SourceFault), url
    assert f"key {aim.key} " in interpreted.message
    assert url not in interpreted.message
    assert MARK not in interpreted.message


@each_aim
@pytest.mark.parametrize(
    "host",
    [
        *(
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "metadata.google.internal",
            "metadata",
        ),
        *("[fd00:ec2::254]", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]"),
        *("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.254.169.254.", "169.254.169.0376"),
        *("localhost", "a.localhost", "127.0.0.1", "127.1", "0", "0.0.0.1", "[::1]", "[::]", "[0:0:0:0:0:ffff:7f00:1]"),
        *("10.0.0.1", "172.31.0.1", "192.168.0.1", "100.64.0.1", "[fd00::1]", "[::ffff:10.0.0.1]"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_glob_that_matches_everything_leads_to_nothing_inward(aim: Aim, host: str, scheme: str) -> None:
    interpreted = interpret(aim, f"{scheme}://{host}:8080", "*")
    assert isinstance(interpreted, SourceFault), host
    assert f"key {aim.key} " in interpreted.message


@each_aim
async def test_a_listing_that_was_withdrawn_counts_at_the_next_mint(aim: Aim, server: TokenServer) -> None:
    listed: list[str] = []
    provider = Providers(lambda: NOW, lambda: tuple(listed)).provider_for(aim.provider)
    who = identity(aim, server.url, HERE)
    for listing in ("127.*", "127.0.0.1:1", "localhost"):
        listed[:] = [listing]
        error = await refused_by(provider, who)
        assert isinstance(error, Forbidden)
        assert "sources.endpoints" in str(error)
    assert server.heard == []
    listed[:] = [HERE]
    await refused_by(provider, who)
    assert server.heard != []


# -- what its name leads to --------------------------------------------------------------------------------------------


@each_aim
async def test_a_listed_name_that_leads_inward_is_not_connected_to(
    aim: Aim, secure: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a name server answered before, what counts is the address that would be connected to."""
    provider = Providers(lambda: NOW, lambda: (GLOB,)).provider_for(aim.provider)
    who = identity(aim, f"https://api.vpc.example:{secure.port}", GLOB)
    for addresses in (("127.0.0.1",), ("::1", "127.0.0.1"), ("::ffff:127.0.0.1",)):
        resolving(monkeypatch, addresses)
        error = await refused_by(provider, who)
        assert isinstance(error, Forbidden)
        assert "loopback" in str(error)
    assert secure.heard == []


@each_aim
async def test_the_same_name_written_out_is_called(
    aim: Aim, secure: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the tests around it are refused by the guard, and by nothing else."""
    url = f"https://localhost:{secure.port}"
    resolving(monkeypatch, ("127.0.0.1",))
    await refused(aim, identity(aim, url, "localhost"), "localhost")
    assert secure.heard != []


@each_aim
async def test_a_proxy_is_asked_for_listed_names_alone(aim: Aim, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands where the operator says, on this machine here, and looks at addresses by rules of its own."""
    listed = [GLOB]
    provider = Providers(lambda: NOW, lambda: tuple(listed)).provider_for(aim.provider)
    who = identity(aim, "https://api.vpc.example", GLOB)
    with connect_proxy() as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        assert isinstance(await refused_by(provider, who), Transient)
        listed[:] = ["*.other.example"]
        assert isinstance(await refused_by(provider, who), Forbidden)
    assert asked == ["api.vpc.example:443"]


# -- where it is sent on -----------------------------------------------------------------------------------------------


@each_aim
async def test_nobody_is_called_that_an_endpoint_redirects_to(aim: Aim, server: TokenServer) -> None:
    provider = Providers(lambda: NOW, lambda: (HERE,)).provider_for(aim.provider)
    who = identity(aim, server.url, HERE)
    with token_server() as other:
        for status in REDIRECTS:
            away = Said(status, MARK.encode(), {"Location": f"{other.url}/{MARK}", "Refresh": "0"})
            server.answer = lambda _, answer=away: answer  # type: ignore[misc]  # a default that binds the loop's value
            assert isinstance(await refused_by(provider, who), Invalid)
        assert other.heard == []
    assert len(server.heard) == len(REDIRECTS)


# -- what comes back ---------------------------------------------------------------------------------------------------

CANARIES = (
    MARK.encode(),
    json.dumps({"error": MARK, "error_description": MARK, "message": MARK, "__type": MARK}).encode(),
    json.dumps({"error": {"status": MARK, "message": MARK}, "errors": [{"code": MARK, "message": MARK}]}).encode(),
    json.dumps([MARK]).encode(),
    f"<ErrorResponse><Error><Code>a {MARK}</Code><Message>{MARK}</Message></Error></ErrorResponse>".encode(),
    f"<html><body>{MARK}</body></html>".encode(),
    b"\xff" + MARK.encode(),
)


HEADERS = {"WWW-Authenticate": f"Bearer {MARK}", "X-Amzn-ErrorType": f"a {MARK}", "Retry-After": MARK}


@each_aim
async def test_no_word_of_an_answer_is_ever_shown(aim: Aim, server: TokenServer) -> None:
    """A server may answer what it was sent, or what it holds: whoever reads a policy's status need not know it."""
    provider = Providers(lambda: NOW, lambda: (HERE,)).provider_for(aim.provider)
    who = identity(aim, server.url, HERE)
    for status, canary in itertools.product((200, 201, 400, 401, 403, 404, 418, 429, 500, 503), CANARIES):
        answer = Said(status, canary, HEADERS)
        server.answer = lambda _, answer=answer: answer  # type: ignore[misc]  # a default that binds the loop's value
        assert len(str(await refused_by(provider, who))) < 300


@each_aim
async def test_an_answer_that_does_not_end_is_not_read_to_its_end(aim: Aim, server: TokenServer) -> None:
    server.answer = lambda _: Said(200, b'{"access_token": "' + MARK.encode() * 500_000 + b'"}')
    assert isinstance(await refused(aim, identity(aim, server.url, HERE), HERE), Invalid)


# -- whose identity ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fine"),
    [
        *(
            ("sts.googleapis.com/v1/token", True),
            ("STS.googleapis.com./v1/token", True),
            ("sts.googleapis.com/v1beta/token", True),
        ),
        *(("oauth2.googleapis.com/token", True), ("www.googleapis.com/oauth2/v4/token", True)),
        *(("accounts.google.com/o/oauth2/token", True), ("sts.corp/anything", True)),
        *(("www.googleapis.com/upload/storage/v1/b/evil/o?uploadType=media&name=token", False),),
        *(("www.googleapis.com/oauth2/v4/token?x", False), ("www.googleapis.com./upload/token", False)),
        *(
            ("WWW.googleapis.com/upload/storage/v1/b/token/o", False),
            ("accounts.google.com/o/oauth2/../../x/token", False),
        ),
    ],
)
def test_a_file_of_the_process_is_shown_to_a_token_service_only(path: str, fine: bool) -> None:  # noqa: FBT001  # a parameter of the table
    """Beside Google's token service there are buckets that anybody may write to, at hosts that are Google's, too."""
    data = {"location": "europe", "credentials": federation("", token_url=f"https://{path}")}
    read = interpreter(ambient=AmbientRule(everybody=True), endpoints=("sts.corp",))
    interpreted = read(source("imps-multi.io/gcp", data))
    assert isinstance(interpreted, MintSource if fine else SourceFault), interpreted


BORROWERS = {
    "ecr": (ECR_TYPE, ECR),
    "ecr role": (ECR_TYPE, {**ECR, "roleArn": ROLE}),
    "ecr profile": (ECR_TYPE, {**ECR, "profile": "admin"}),
    "ecr chain": (ECR_TYPE, {**ECR, **KEYS, "roleChain": ROLE}),
    "azure": ("imps-multi.io/azure", {"registries": "a.azurecr.io"}),
    "azure workload": ("imps-multi.io/azure", {"registries": "a.azurecr.io", "identity": "workload"}),
    "azure client": ("imps-multi.io/azure", {"registries": "a.azurecr.io", "tenantID": TENANT, "clientID": CLIENT}),
    "gcp": ("imps-multi.io/gcp", {"location": "europe"}),
    "gcp impersonation": ("imps-multi.io/gcp", {"location": "europe", "impersonate": "a@b.iam.gserviceaccount.com"}),
    "gcp file": ("imps-multi.io/gcp", {"location": "europe", "credentials": federation("https://sts.googleapis.com")}),
}


@pytest.mark.parametrize("kind", BORROWERS)
def test_nobody_borrows_what_is_the_process_s_own_without_leave(kind: str) -> None:
    read = interpreter(ambient=AmbientRule(namespaces=("imps-system", "infra-*")), endpoints=("*",))
    for namespace in ("registry-access", "imps-system-2", "xinfra-a"):
        interpreted = read(source(*BORROWERS[kind], namespace=namespace))
        assert isinstance(interpreted, SourceFault)
        assert "sources.ambientIdentity.namespaces" in interpreted.message
    for namespace in ("imps-system", "infra-a"):
        assert isinstance(read(source(*BORROWERS[kind], namespace=namespace)), MintSource)
