"""What an Azure source Secret gives, or which key is wrong and what to do."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.credential import Interpretation, MintSource, SourceFault, StaticSource
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule

from .fake_azure import CLIENT, TENANT, certificate
from .secrets import MARK, source

AZURE = "imps-multi.io/azure"
REGISTRY = "myregistry.azurecr.io"
NAMED = {"registries": REGISTRY, "tenantID": TENANT, "clientID": CLIENT}
LOGIN = {**NAMED, "clientSecret": MARK}
PEM = b"".join(certificate()).decode()

EVERYBODY = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1", "login.example.com", "*.corp"))
NOBODY = interpreter(ambient=AmbientRule(), endpoints=())


def interpreted(data: dict[str, str], *, anybody: bool = False) -> Interpretation:
    return (EVERYBODY if anybody else NOBODY)(source(AZURE, dict(data)))


def minted(data: dict[str, str], *, anybody: bool = False) -> MintSource:
    found = interpreted(data, anybody=anybody)
    assert isinstance(found, MintSource), found
    return found


def fault(data: dict[str, str], *, anybody: bool = False) -> str:
    found = interpreted(data, anybody=anybody)
    assert isinstance(found, SourceFault), found
    assert MARK not in found.message
    return found.message


def without(*keys: str, **more: str) -> dict[str, str]:
    return {key: value for key, value in LOGIN.items() if key not in keys} | more


def test_a_service_principal_logs_in_for_its_registry() -> None:
    found = minted(LOGIN)
    assert (found.provider, found.registries, found.remark) == ("azure", (REGISTRY,), "")
    assert found.identity.request == {
        "login": "secret",
        "registry": REGISTRY,
        "url": f"https://{REGISTRY}",
        "scope": "https://containerregistry.azure.net/.default",
        "authority": "https://login.microsoftonline.com",
        "tenantID": TENANT,
        "clientID": CLIENT,
        "clientSecret": MARK,
    }


def test_pasted_spellings_are_one_identity() -> None:
    spelled = {"registries": " HTTPS://MyRegistry.azurecr.io/\n", "clientSecret": f"{MARK}\r\n"}
    assert minted({**LOGIN, **spelled}) == minted(LOGIN)
    assert minted(without("registries", registry=REGISTRY)) == minted(without(registry=REGISTRY)) == minted(LOGIN)


@pytest.mark.parametrize(
    "other",
    [
        {"registries": "other.azurecr.io"},
        {"clientSecret": "rotated"},
        {"clientID": TENANT},
        {"tenantID": "contoso.example"},
        {"audience": "manager"},
    ],
)
def test_whatever_differs_is_another_identity(other: dict[str, str]) -> None:
    assert minted({**LOGIN, **other}).identity.key != minted(LOGIN).identity.key


@pytest.mark.parametrize(
    ("cloud", "suffix", "authority", "manager"),
    [
        ("public AzureCloud azurepubliccloud", "io", "login.microsoftonline.com", "management.azure.com"),
        ("china AzureChinaCloud", "cn", "login.chinacloudapi.cn", "management.chinacloudapi.cn"),
        ("usgov AzureUSGovernment", "us", "login.microsoftonline.us", "management.usgovcloudapi.net"),
    ],
)
def test_each_cloud_has_its_own_hosts(cloud: str, suffix: str, authority: str, manager: str) -> None:
    registry = f"myregistry.azurecr.{suffix}"
    follows = minted({**LOGIN, "registries": registry})
    for name in cloud.split():
        found = minted({**LOGIN, "registries": registry, "cloud": name})
        assert found == follows
        assert found.registries == (registry,)
        assert found.identity.request["authority"] == f"https://{authority}"
        assert found.identity.request["scope"] == "https://containerregistry.azure.net/.default"
    older = minted({**LOGIN, "registries": registry, "audience": "manager"})
    assert older.identity.request["scope"] == f"https://{manager}/.default"


def test_a_registry_of_another_name_is_of_the_cloud_that_is_named() -> None:
    found = minted({**LOGIN, "registries": "registry.corp", "cloud": "china"}, anybody=True)
    assert found.identity.request["authority"] == "https://login.chinacloudapi.cn"
    assert minted({**LOGIN, "registries": "registry.corp"}, anybody=True).identity.request["authority"].endswith(".com")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (without("registries"), "key registries is missing"),
        (without("registries", registry="x"), "key registry is not a login server such as"),
        (without(registry="other.azurecr.io"), "key registries does not hold one login server"),
        (without(registries=""), "key registries is empty"),
        (without(registries=f"{REGISTRY}, other.azurecr.io"), "key registries does not hold one login server"),
        (without(registries="myregistry"), "key registries is not a login server such as"),
        (without(registries="*.azurecr.io"), "key registries is not a login server"),
        (without(registries=f"{REGISTRY}/team"), "key registries is not a login server"),
        (without(registries=f"{MARK}@{REGISTRY}"), "key registries is not a login server"),
        (without(registries=f"http://{REGISTRY}"), "key registries must begin with https://"),
        (without(registries="registry.example.com"), "key registries names a host that is not allowed"),
        (without(registries="evilazurecr.io"), "key registries names a host that is not allowed"),
        (without(registries=f"{REGISTRY}.example.com"), "key registries names a host that is not allowed"),
        (without(registries="169.254.169.254"), "key registries names a host that is not allowed"),
        (without("tenantID"), "key tenantID is missing"),
        (without("clientID"), "key clientID is missing"),
        (without(tenantID=f"{MARK}/../x"), "key tenantID is not a tenant's ID"),
        (without(clientID=MARK), "key clientID is not an application's"),
        (without(clientSecret="two words"), "key clientSecret is not a client secret's value"),
        (without(clientSecret=" "), "key clientSecret is empty; leave it out"),
        (without(clientCertificate=PEM), "key clientSecret is there together with clientCertificate"),
        (without(cloud="germany"), "key cloud is not public, china or usgov"),
        (without(cloud="china"), "key cloud is not that of the registry"),
        (without(audience="https://x/y"), "key audience is not registry, manager"),
        (without(identity="managed"), "key identity is there with keys to log in"),
        (without("clientSecret", identity="x"), "key identity is not workload or managed"),
        (without(clientsecret=MARK), "key clientsecret is unknown; did you mean clientSecret?"),
        (without(tenantId=TENANT), "key tenantId is unknown; did you mean tenantID?"),
        (without(authorityHost="login.example.com"), "key authorityHost names a host that is not allowed"),
        (without(authorityHost="https://login.example.com/?x=y"), "key authorityHost is not a URL"),
        (without("clientSecret"), "keys clientSecret and clientCertificate are missing"),
    ],
)
def test_each_fault_names_its_key_and_no_value(data: dict[str, str], says: str) -> None:
    assert fault(data).startswith(says)


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        (MARK, "holds no certificate"),
        (certificate()[1].decode(), "holds no certificate"),
        (certificate()[0].decode(), "holds no RSA private key"),
        (PEM.replace("PRIVATE", "EC PRIVATE"), "holds no RSA private key"),
        (PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"), "holds an encrypted private key"),
        (PEM[:-300], "holds a private key that is cut short or damaged"),
        (PEM[:200] + PEM[300:], "holds a certificate that is cut short or damaged"),
    ],
)
def test_a_certificate_needs_its_key_beside_it(pem: str, says: str) -> None:
    assert fault(without("clientSecret", clientCertificate=pem)).startswith(f"key clientCertificate {says}")


def test_a_certificate_goes_along_whole() -> None:
    request = minted(without("clientSecret", clientCertificate=f"\n{PEM}")).identity.request
    assert (request["login"], request["clientCertificate"]) == ("certificate", PEM.strip())


def test_a_secret_s_id_in_place_of_its_value_is_said() -> None:
    assert "its value" in minted(without(clientSecret=CLIENT)).remark


def test_keys_that_mean_nothing_are_said_and_do_no_harm() -> None:
    found = minted(without(note=MARK))
    assert (found.identity, found.remark) == (minted(LOGIN).identity, "key note is unknown and ignored")


def test_a_login_elsewhere_needs_to_be_listed() -> None:
    for spelled in ("login.example.com", "https://login.example.com/"):
        found = minted(without(authorityHost=spelled), anybody=True)
        assert found.identity.request["authority"] == "https://login.example.com"
    found = minted(without(authorityHost="login.microsoftonline.us"))
    assert found.identity.request["authority"] == "https://login.microsoftonline.us"


def test_the_process_s_own_identity_never_logs_in_where_a_secret_says() -> None:
    said = fault(without("clientSecret", authorityHost="login.example.com"), anybody=True)
    assert said.startswith("key authorityHost is there without clientSecret or clientCertificate")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (AmbientRule(everybody=True), True),
        (AmbientRule(namespaces=("registry-*",)), True),
        (AmbientRule(namespaces=("other",)), False),
        (AmbientRule(everybody=True, role_arns=(CLIENT,)), True),
        (AmbientRule(everybody=True, role_arns=("arn:aws:*",)), False),
    ],
)
@pytest.mark.parametrize("identity", ["", "workload", "managed"])
def test_the_process_s_own_identity_needs_leave(rule: AmbientRule, identity: str, *, allowed: bool) -> None:
    data = without("clientSecret", **({"identity": identity} if identity else {}))
    found = interpreter(ambient=rule, endpoints=())(source(AZURE, dict(data)))
    assert isinstance(found, MintSource if allowed else SourceFault)
    if isinstance(found, MintSource):
        assert found.identity.request["login"] == (identity or "own")


def test_the_process_s_own_default_identity_needs_no_id() -> None:
    found = interpreter(ambient=AmbientRule(everybody=True, role_arns=()), endpoints=())
    assert isinstance(found(source(AZURE, {"registries": REGISTRY})), MintSource)


@given(
    st.dictionaries(
        st.sampled_from([*LOGIN, "clientCertificate", "cloud", "authorityHost", "audience", "identity", "x"]),
        st.binary(max_size=20) | st.sampled_from([*LOGIN.values(), PEM, "[::1]:1", "https://["]).map(str.encode),
    )
)
def test_no_content_raises(data: dict[str, str | bytes]) -> None:
    assert isinstance(EVERYBODY(source(AZURE, data)), StaticSource | MintSource | SourceFault)


def test_reading_a_source_imports_no_library_of_azure() -> None:
    """Nor does the provider, before it mints: azure-identity would cost 0.2 s and 22 MB."""
    code = f"""if True:
        import sys
        from imps_multi.model.credential import MintSource
        from imps_multi.registries.catalogue import interpreter
        from imps_multi.registries.providers import Providers
        from imps_multi.registries.rules import AmbientRule
        from tests.registries.secrets import source
        found = interpreter(ambient=AmbientRule(), endpoints=())(source({AZURE!r}, {LOGIN!r}))
        assert isinstance(found, MintSource), found
        light = {{"aiohttp", "azure.identity", "azure.core", "msal", "requests", "cryptography"}} & set(sys.modules)
        Providers(lambda: 0.0, tuple).provider_for("azure")
        heavy = light | {{"azure.identity", "azure.core", "msal", "requests", "cryptography"}} & set(sys.modules)
        sys.exit(f"imported: {{heavy}}" if heavy else 0)
    """
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603  # our own interpreter
    assert done.returncode == 0, done.stderr
