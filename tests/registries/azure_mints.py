"""Mints of Azure sources against the fake: who asks is said by a Secret's keys."""

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintIdentity, MintSource
from imps_multi.ports import PortError, Provider
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule

from .fake_azure import CLIENT, SECRET, TENANT, FakeAzure
from .secrets import MARK, listed, source


def identity(data: dict[str, str]) -> MintIdentity:
    interpret = interpreter(ambient=AmbientRule(everybody=True), endpoints=listed())
    found = interpret(source("imps-multi.io/azure", dict(data)))
    assert isinstance(found, MintSource), found
    return found.identity


def principal(azure: FakeAzure, **data: str) -> MintIdentity:
    login = {"tenantID": TENANT, "clientID": CLIENT, "authorityHost": azure.entra.url}
    key = {} if "clientCertificate" in data else {"clientSecret": SECRET}
    return identity({"registries": azure.registry.url, **login, **key, **data})


def own(azure: FakeAzure, **data: str) -> MintIdentity:
    return identity({"registries": azure.registry.url, **data})


async def mint(provider: Provider, who: MintIdentity) -> MintedToken:
    with anyio.fail_after(20):
        return await provider.mint(who)


async def refused(provider: Provider, who: MintIdentity) -> PortError:
    with pytest.raises(PortError) as caught:
        await mint(provider, who)
    assert MARK not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    return caught.value
