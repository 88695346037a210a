"""An Azure source Secret as a mint: who logs in to which cloud, and at which registry the token is exchanged.

Pure. Fed by the catalogue; the request it makes is read by the Azure provider alone. White space around a value is
dropped in every key, since all of them are pasted.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from imps_multi.model.credential import MintSource
from imps_multi.model.hub import SourceSecret
from imps_multi.model.matching import glob_match
from imps_multi.model.names import NamespaceName, RegistryKey
from imps_multi.registries.azure_clouds import AUDIENCE, CLOUDS, OWN_HOSTS, Cloud, cloud_of
from imps_multi.registries.guard import guarded
from imps_multi.registries.minted_fields import known_keys, mint_source
from imps_multi.registries.pem import broken_parts
from imps_multi.registries.rules import AmbientRule
from imps_multi.registries.source_fields import UnusableSecretError, items, matching, required, text

PROVIDER: Final = "azure"
DOCUMENTED_LIFE: Final = 3 * 3600.0
"""How long a registry's refresh token lives by Azure's documentation, in seconds."""
AZURE_TYPE: Final = "imps-multi.io/azure"

SECRET: Final = "secret"  # noqa: S105  # the name of a way to log in
CERTIFICATE: Final = "certificate"
WORKLOAD: Final = "workload"
MANAGED: Final = "managed"
OWN: Final = "own"
"""Whichever of the last two the process has."""
_OF_THE_SECRET: Final = frozenset({SECRET, CERTIFICATE})

_GUID: Final = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_SHAPES: Final = {
    "tenantID": (rf"{_GUID}|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", "a tenant's ID (a GUID) or its domain"),
    "clientID": (_GUID, "an application's or managed identity's client ID (a GUID)"),
    "clientSecret": (r"[!-~]+", "a client secret's value: it holds white space or other signs"),
    "audience": (r"registry|manager|https://[A-Za-z0-9.-]+", "registry, manager or https://HOST"),
    "identity": (f"{WORKLOAD}|{MANAGED}", f"{WORKLOAD} or {MANAGED}"),
}
_KEYS: Final = frozenset({"registry", "registries", "clientCertificate", "cloud", "authorityHost", *_SHAPES})
_LOGIN_SERVER: Final = r"(https?://)?([a-z0-9_-]+(\.[a-z0-9_-]+)+|localhost|\[[0-9a-f:]+\])(:[0-9]{1,5})?/?"


def azure_source(secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> MintSource:
    """Interpret an Azure source.

    Raises:
        UnusableSecretError: a key is missing, wrong, not allowed or not supported.
    """
    data = secret.data
    remarks = [known_keys(data, _KEYS)]
    url, registry = _registry(data, endpoints)
    cloud = _cloud(data, registry)
    given = {key: value for key in _SHAPES if (value := _shaped(data, key))}
    login = _login(data, given)
    _whole(given, login)
    if login not in _OF_THE_SECRET:
        _may_borrow(secret.ref.namespace, given, ambient)
    request = {
        "login": login,
        "registry": registry,
        "url": url,
        "scope": _scope(given.get("audience", ""), cloud),
        "authority": _authority(data, login, endpoints) or cloud.authority,
        **{key: given[key] for key in ("tenantID", "clientID", "clientSecret") if key in given},
        **({"clientCertificate": _certificate(data)} if login == CERTIFICATE else {}),
    }
    remarks.append(_doubt(given))
    return mint_source(secret, PROVIDER, request, (registry,), "; ".join(filter(None, remarks)))


def _doubt(given: Mapping[str, str]) -> str:
    """Say what may be wrong though it has the right form."""
    looks = re.fullmatch(_GUID, given.get("clientSecret", "")) is not None
    return "key clientSecret looks like the ID of a secret; what is needed is its value" if looks else ""


def _shaped(data: Mapping[str, bytes], key: str) -> str:
    value = text(data, key)
    return matching(key, value, *_SHAPES[key]) if value else ""


def _registry(data: Mapping[str, bytes], endpoints: tuple[str, ...]) -> tuple[str, RegistryKey]:
    """Return where the registry is called, and the key that its token is written under."""
    key = "registry" if "registry" in data and "registries" not in data else "registries"
    required(data, key)
    listed = items(",".join(text(data, each) for each in ("registry", "registries")))
    if len(listed) != 1:
        raise UnusableSecretError(
            f"key {key} does not hold one login server; a token is for one registry, so make a Secret for each"
        )
    named = listed[0].lower()
    if re.fullmatch(_LOGIN_SERVER, named) is None:
        raise UnusableSecretError(f"key {key} is not a login server such as myregistry.azurecr.io, without globs")
    url = (named if "://" in named else f"https://{named}").rstrip("/")
    url = guarded(key, url, endpoints, own=OWN_HOSTS).url
    return url, RegistryKey(urlsplit(url).netloc)


def _cloud(data: Mapping[str, bytes], registry: RegistryKey) -> Cloud:
    """Return the cloud that is named, else the one that the registry's name tells."""
    of_registry = cloud_of(registry.partition(":")[0])
    name = text(data, "cloud")
    if not name:
        return of_registry or CLOUDS["public"]
    named = CLOUDS.get(name.lower())
    if named is None:
        raise UnusableSecretError("key cloud is not public, china or usgov")
    if of_registry not in {None, named}:
        raise UnusableSecretError(f"key cloud is not that of the registry, whose login servers end in {named.suffix}")
    return named


def _scope(audience: str, cloud: Cloud) -> str:
    host = {"": AUDIENCE, "registry": AUDIENCE, "manager": cloud.manager}.get(audience, audience)
    return f"{host}/.default"


def _login(data: Mapping[str, bytes], given: Mapping[str, str]) -> str:
    """Say how to log in: with which key of the Secret, or as the process."""
    there = {key: bool(text(data, key)) for key in ("clientSecret", "clientCertificate") if key in data}
    for key, filled in there.items():
        if not filled:
            raise UnusableSecretError(f"key {key} is empty; leave it out to use the process's own identity")
    if len(there) > 1:
        raise UnusableSecretError("key clientSecret is there together with clientCertificate; only one can log in")
    if there and "identity" in given:
        raise UnusableSecretError("key identity is there with keys to log in; it names one of the process's own")
    return SECRET if "clientSecret" in there else CERTIFICATE if there else given.get("identity", OWN)


def _whole(given: Mapping[str, str], login: str) -> None:
    for key in ("tenantID", "clientID"):
        if login in _OF_THE_SECRET and key not in given:
            raise UnusableSecretError(f"key {key} is missing; a service principal logs in with it")


def _certificate(data: Mapping[str, bytes]) -> str:
    """Return the PEM text. That certificate and key belong together shows when they are used: it takes a library."""
    pem = text(data, "clientCertificate")
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise UnusableSecretError("key clientCertificate holds no certificate; it needs PEM: certificate and key")
    if "ENCRYPTED" in pem:
        raise UnusableSecretError("key clientCertificate holds an encrypted private key; it needs a plain one")
    if re.search("-----BEGIN (RSA )?PRIVATE KEY-----", pem) is None:
        raise UnusableSecretError("key clientCertificate holds no RSA private key; it needs PEM: certificate and key")
    if broken := broken_parts(pem):
        part = "certificate" if "CERTIFICATE" in broken else "private key"
        raise UnusableSecretError(f"key clientCertificate holds a {part} that is cut short or damaged")
    return pem


def _authority(data: Mapping[str, bytes], login: str, endpoints: tuple[str, ...]) -> str:
    """Return where to log in, if the Secret says so: only with keys of its own, never with the process's tokens."""
    given = text(data, "authorityHost")
    if not given:
        return ""
    if login not in _OF_THE_SECRET:
        raise UnusableSecretError(
            "key authorityHost is there without clientSecret or clientCertificate; "
            "the process's own identity logs in where its own settings say"
        )
    url = (given if "://" in given else f"https://{given}").rstrip("/")
    return guarded("authorityHost", url, endpoints, own=OWN_HOSTS).url


def _may_borrow(namespace: NamespaceName, given: Mapping[str, str], ambient: AmbientRule) -> None:
    """See that the Secret may use the process's own identity, and the one of them that it names."""
    if not ambient.everybody and not any(glob_match(glob, namespace) for glob in ambient.namespaces):
        raise UnusableSecretError(
            "keys clientSecret and clientCertificate are missing, and a Secret of this namespace may not use the "
            "process's own identity; add one, or add the namespace to sources.ambientIdentity.namespaces"
        )
    named = given.get("clientID", "")
    if named and not any(glob_match(glob, named) for glob in ambient.role_arns):
        raise UnusableSecretError(
            "key clientID names an identity that the process may not take on; "
            "add it to sources.ambientIdentity.roleARNs"
        )
