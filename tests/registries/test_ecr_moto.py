"""ECR tokens from moto's server, whose token never changes and ended in 2015."""

from collections.abc import Iterator

import anyio
import pytest
from moto.server import ThreadedMotoServer

from imps_multi.model.credential import MintedToken, MintSource
from imps_multi.model.refresh import Refused, accept
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule

from .secrets import KEYS, ROLE, ecr, listed

NOW = 1_900_000_000.0

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        assert server._server is not None
        server._server.server_close()


async def mint(**data: str) -> MintedToken:
    source = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1",))(ecr(**data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(30):
        return await EcrProvider(lambda: NOW, listed).mint(source.identity)


async def test_a_token_comes_by_the_source_s_endpoint(moto: str) -> None:
    minted = await mint(**KEYS, ecrEndpointURL=moto)
    assert minted.username == "AWS"
    assert "123456789012.dkr.ecr.eu-west-1.amazonaws.com" in minted.endpoint


async def test_a_token_comes_by_the_environment_s_endpoint(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    assert (await mint(**KEYS)).username == "AWS"


async def test_a_role_s_token_is_the_role_account_s(moto: str) -> None:
    minted = await mint(**KEYS, roleArn=ROLE, ecrEndpointURL=moto, stsEndpointURL=moto)
    assert "210987654321.dkr.ecr." in minted.endpoint


async def test_the_process_s_own_identity_asks(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient-secret")
    assert (await mint(ecrEndpointURL=moto)).username == "AWS"


async def test_a_token_that_ended_in_2015_is_refused(moto: str) -> None:
    assert isinstance(accept(await mint(**KEYS, ecrEndpointURL=moto), NOW, 12 * 3600), Refused)
