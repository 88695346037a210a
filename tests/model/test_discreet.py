"""No value of the model shows a credential: not to repr, not to str, not to rich, which tracebacks use too."""

import importlib
import pkgutil

import msgspec
import pytest
from rich.pretty import pretty_repr

import imps_multi.model
from imps_multi.model.compose import KeeperState
from imps_multi.model.credential import Bounds, MintedToken, MintIdentity, MintSource, SourceKind, StaticSource
from imps_multi.model.discreet import Discreet
from imps_multi.model.docker_settings import Given, Setting, merge_settings
from imps_multi.model.dockerconfig import DockerConfig, merge
from imps_multi.model.history import Delivered, History
from imps_multi.model.hub import HubObject, HubReading, HubSnapshot, Place, SourceSecret
from imps_multi.model.names import NamespaceName, RegistryKey
from imps_multi.model.policy import SourceRef
from tests.model.scenes import HUB_REGISTRY, SECOND, Bench, entry, resolved, source, world, written

MARK = "MARKED-a-secret-b"
REF = SourceRef(NamespaceName("sources"), "one")
SENSITIVE = {"content", "data", "password", "tail", "request"}
HARMLESS = {("SeenSecret", "content")}
"""A digest."""


def everything() -> list[object]:
    """Return one value of each kind that a credential can be reached from."""
    given = source(HUB_REGISTRY, kind=SourceKind.MINTED, password=MARK, expires_in=3600.0)
    one = resolved(None, given, retained=[entry(SECOND, MARK)])
    creating = Bench(one)
    found = written(resolved(None, source(HUB_REGISTRY, SECOND)))
    updating = Bench(one, found=found)
    setting = Setting("HttpHeaders", "X-Meta", MARK.encode())
    token = MintedToken("AWS", MARK, 0.0, 1.0)
    secret = SourceSecret(REF, "Opaque", {"secretKey": MARK.encode()})
    manifest = HubObject("Secret", "sources", "one", Place("file.yaml"), {"data": {"secretKey": MARK}})
    return [
        world(one),
        one,
        given,
        creating.view,
        creating.cache,
        creating.needed(),
        creating.needed().write,
        updating.needed(),
        updating.needed().write,
        updating.cache.wanted(one, one.sources).payload,
        merge([given.entries]),
        token,
        KeeperState(token=token),
        MintSource(MintIdentity("ecr", "key", {"secretKey": MARK}), ()),
        StaticSource(given.entries, Bounds(), settings=(setting,)),
        DockerConfig(given.entries, (setting,)),
        merge_settings([Given(("a.io",), (setting,)), Given(("b.io",), (setting,))]),
        secret,
        HubReading((manifest,)),
        HubSnapshot(sources={REF: secret}),
        History(delivered={RegistryKey(SECOND): Delivered(MARK)}),
    ]


@pytest.mark.parametrize("value", everything(), ids=lambda value: type(value).__name__)
def test_no_way_of_showing_a_value_shows_a_credential(value: object) -> None:
    base64_of_the_entry = entry(HUB_REGISTRY, MARK).content[9:30].decode()
    for shown in (repr(value), str(value), f"{value}", pretty_repr(value), pretty_repr([value], expand_all=True)):
        assert MARK not in shown
        assert base64_of_the_entry not in shown


def test_whatever_holds_a_content_is_discreet() -> None:
    """A new struct with such a field has to say how it is shown."""
    for module in pkgutil.iter_modules(imps_multi.model.__path__):
        importlib.import_module(f"imps_multi.model.{module.name}")
    shown = [
        (one.__name__, name)
        for one in descendants(msgspec.Struct)
        if one.__module__.startswith("imps_multi.model") and not issubclass(one, Discreet)
        for name in SENSITIVE.intersection(one.__struct_fields__)
    ]
    assert sorted(shown) == sorted(HARMLESS)


def descendants(base: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Return every subclass."""
    return [one for child in base.__subclasses__() for one in (child, *descendants(child))]
