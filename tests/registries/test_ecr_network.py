"""How calls get to AWS: through proxies that ask for a login, around them, and to authorities of one's own."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest

from imps_multi.model.credential import MintSource
from imps_multi.ports import Reason, Transient
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from tests.realcluster.pki import Authority, write

from .fake_aws import FakeAws, fake_aws
from .secrets import KEYS, MARK, ROLE, ecr, listed
from .tunnel_proxy import PASSWORD, USER, TunnelProxy, tunnel_proxy

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """An authority that nobody trusts by default: its certificate."""
    made = Authority("private")
    write(made.serving(), tmp_path, "aws")
    (tmp_path / "other.pem").write_bytes(Authority("other").pem)
    (bundle := tmp_path / "ca.pem").write_bytes(made.pem)
    return bundle


def server_side(authority: Path) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.with_name("aws.crt"), authority.with_name("aws.key"))
    return tls


@pytest.fixture
def aws(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """AWS over TLS, by that authority."""
    with fake_aws(server_side(authority), AKIDEXAMPLE=MARK) as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        yield fake


@pytest.fixture
def proxy() -> Iterator[TunnelProxy]:
    with tunnel_proxy() as running:
        yield running


async def mint(provider: EcrProvider | None = None, **data: str) -> None:
    source = interpreter(ambient=AmbientRule(), endpoints=("127.0.0.1",))(ecr(**KEYS, **data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(20):
        await (provider or EcrProvider(lambda: 0.0, listed)).mint(source.identity)


def trust(monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))


async def test_a_private_authority_is_trusted_where_the_bundle_names_it(
    aws: FakeAws, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Transient) as caught:
        await mint()
    assert caught.value.reason is Reason.TLS
    assert not aws.asked
    trust(monkeypatch, authority)
    await mint(roleArn=ROLE)
    await mint(ecrEndpointURL=aws.url)
    assert (aws.count("sts"), aws.count("ecr")) == (1, 2)


def swap(link: Path, target: Path) -> None:
    """Let a link point elsewhere, as a mounted ConfigMap does."""
    link.unlink()
    link.symlink_to(target)


async def test_a_changed_bundle_is_read_at_the_next_mint(
    aws: FakeAws, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = authority.with_name("both.pem")
    trust(monkeypatch, both)
    provider = EcrProvider(lambda: 0.0, listed)
    both.symlink_to(authority)
    await mint(provider)
    swap(both, authority.with_name("other.pem"))
    with pytest.raises(Transient):
        await mint(provider)
    assert aws.count("ecr") == 1
    swap(both, authority)
    await mint(provider)
    assert aws.count("ecr") == 2


async def test_a_bundle_that_cannot_be_read_is_no_fault_of_the_network(
    aws: FakeAws, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, authority.with_name("nowhere.pem"))
    with pytest.raises(Transient, match=r"AWS_CA_BUNDLE \(FileNotFoundError\)"):
        await mint()
    (empty := authority.with_name("empty.pem")).touch()
    trust(monkeypatch, empty)
    with pytest.raises(Transient) as caught:
        await mint()
    assert caught.value.reason is Reason.TLS
    assert not aws.asked


async def test_a_proxy_gets_its_login_and_carries_every_call(
    aws: FakeAws, authority: Path, proxy: TunnelProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, authority)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{USER}:{quote(PASSWORD, safe='')}@"))
    await mint(roleArn=ROLE)
    assert proxy.tunnels == [aws.url.removeprefix("https://")] * 2
    assert (aws.count("sts"), aws.count("ecr"), proxy.refused) == (1, 1, 0)


async def test_a_proxy_that_refuses_the_login_is_said_without_it(
    aws: FakeAws, authority: Path, proxy: TunnelProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, authority)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{USER}:wr0ng@"))
    with pytest.raises(Transient) as caught:
        await mint()
    assert "wr0ng" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert (proxy.tunnels, proxy.refused, aws.asked) == ([], 1, [])


@pytest.mark.parametrize("without", ["127.0.0.1", "*", "localhost,127.0.0.1"])
async def test_what_no_proxy_names_is_reached_directly(
    aws: FakeAws, authority: Path, proxy: TunnelProxy, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    trust(monkeypatch, authority)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", without)
    await mint()
    assert (proxy.tunnels, proxy.refused, aws.count("ecr")) == ([], 0, 1)
