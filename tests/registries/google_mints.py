"""Mints for the tests of Google's tokens: of a key, of a federation's file, with a bound, and what refuses one."""

from pathlib import Path

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import PortError, Provider

from .fake_google import PASSWORD, FakeGoogle, account_key, federation, pem
from .secrets import MARK, identity_of

NOW = 1_900_000_000.0
LISTED = ("127.0.0.1",)


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
