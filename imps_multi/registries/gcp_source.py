"""A Google source Secret as a mint: whose identity, whom it impersonates, under which registry hosts.

Pure. Fed by the catalogue; the request it makes is read by the Google provider alone. White space around a value is
dropped in every key, since all of them are pasted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from imps_multi.model.credential import MintSource
from imps_multi.model.dockerconfig import DockerConfigError, registry_key
from imps_multi.model.hub import SourceSecret
from imps_multi.model.matching import glob_match
from imps_multi.model.names import NamespaceName, RegistryKey
from imps_multi.registries.gcp_credentials import (
    OWN_HOSTS,
    CredentialFileError,
    Credentials,
    Federation,
    Login,
    ServiceAccountKey,
    SubjectFile,
    SubjectUrl,
    impersonation_url,
    read,
)
from imps_multi.registries.guard import guarded
from imps_multi.registries.minted_fields import known_keys, mint_source
from imps_multi.registries.rules import AmbientRule
from imps_multi.registries.source_fields import UnusableSecretError, items, matching, text

PROVIDER: Final = "gcp"
DOCUMENTED_LIFE: Final = 3600.0
"""How long an access token lives by Google's documentation, in seconds."""
GCP_TYPE: Final = "imps-multi.io/gcp"
EVERYTHING: Final = "https://www.googleapis.com/auth/cloud-platform"
"""The scope of every Google Cloud service; what may be done is IAM's to say."""

_CREDENTIALS: Final = {
    "serviceAccountKey": "a service account's key (type service_account)",
    "credentials": "a workload identity federation (type external_account)",
}
_EMAIL: Final = r"[A-Za-z0-9._-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_SCOPE: Final = r"https://www\.googleapis\.com/auth/[a-z0-9._-]+"
_GIVES_TOKENS: Final = r"/(o/)?(oauth2/)?(v[0-9][a-z0-9]*/)?token"
_LOCATION: Final = r"[a-z]+(-[a-z]+[0-9]+)?"
_KEYS: Final = frozenset({*_CREDENTIALS, "impersonate", "registries", "location", "locations", "scopes"})


def gcp_source(secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> MintSource:
    """Interpret a Google source.

    Raises:
        UnusableSecretError: a key is missing, wrong, not allowed or not supported.
    """
    data = secret.data
    remark = known_keys(data, _KEYS)
    registries = _registries(data)
    key = _credentials_key(data)
    credentials = _credentials(key, text(data, key)) if key else None
    impersonate = matching("impersonate", text(data, "impersonate"), f"({_EMAIL})?", "a service account's e-mail")
    _may_borrow(secret.ref.namespace, credentials, impersonate, ambient)
    if credentials is not None:
        for url in _urls(credentials, impersonate):
            guarded(key, url, endpoints, own=OWN_HOSTS, inside=True, query=True)
        _gives_tokens(key, credentials)
    request = {
        **({"credentials": msgspec.json.encode(credentials, order="deterministic").decode()} if credentials else {}),
        **({"impersonate": impersonate} if impersonate else {}),
        "scopes": " ".join(sorted(_scopes(data))),
    }
    return mint_source(secret, PROVIDER, request, registries, remark)


def _registries(data: Mapping[str, bytes]) -> tuple[RegistryKey, ...]:
    """Return the hosts to write the token under: those that are named, and those of the locations."""
    locations = dict.fromkeys((*items(text(data, "location")), *items(text(data, "locations"))))
    for location in locations:
        key = "location" if location in items(text(data, "location")) else "locations"
        matching(key, location, _LOCATION, "a location such as europe-west1, or europe")
    named = items(text(data, "registries"))
    if not (locations or named):
        raise UnusableSecretError(
            "key registries is missing; it takes hosts such as europe-docker.pkg.dev (or location)"
        )
    try:
        return tuple(map(registry_key, dict.fromkeys((*named, *(f"{each}-docker.pkg.dev" for each in locations)))))
    except DockerConfigError:
        raise UnusableSecretError("key registries does not hold registry hosts (host[/path], globs)") from None


def _credentials_key(data: Mapping[str, bytes]) -> str:
    """Return which key holds the credentials; empty where the process's own identity is meant."""
    given = [key for key in _CREDENTIALS if key in data]
    for key in given:
        if not text(data, key):
            raise UnusableSecretError(
                f"key {key} is empty; leave serviceAccountKey and credentials out to use the process's own identity"
            )
    if len(given) > 1:
        raise UnusableSecretError(
            "key credentials is there together with serviceAccountKey; only one of them can be used"
        )
    return given[0] if given else ""


def _credentials(key: str, content: str) -> Credentials:
    try:
        credentials = read(content.encode())
    except CredentialFileError as error:
        raise UnusableSecretError(f"key {key} {error}") from None
    match credentials.start:
        case ServiceAccountKey():
            fitting = "serviceAccountKey"
        case Federation():
            fitting = "credentials"
        case Login():
            raise UnusableSecretError(f"key {key} holds a person's login; it takes {_CREDENTIALS[key]}")
    if key != fitting:
        raise UnusableSecretError(
            f"key {key} is not {_CREDENTIALS[key]}; what it holds belongs under the name {fitting}"
        )
    return credentials


def _scopes(data: Mapping[str, bytes]) -> tuple[str, ...]:
    scopes = items(text(data, "scopes"))
    for scope in scopes:
        matching("scopes", scope, _SCOPE, f"a comma list of scopes such as {EVERYTHING}")
    return scopes or (EVERYTHING,)


def _may_borrow(
    namespace: NamespaceName, credentials: Credentials | None, impersonate: str, ambient: AmbientRule
) -> None:
    """See that the Secret may use what is the process's own: its identity, and what it finds on its machine.

    Whom it becomes from there is bounded as roles are; an identity of the Secret's own is bounded by Google alone.
    """
    why = _borrowed(credentials)
    if not why:
        return
    if not ambient.everybody and not any(glob_match(glob, namespace) for glob in ambient.namespaces):
        raise UnusableSecretError(f"{why}, or add the namespace to sources.ambientIdentity.namespaces")
    for key, email in _becomes(credentials, impersonate):
        if not any(glob_match(glob, email) for glob in ambient.role_arns):
            raise UnusableSecretError(
                f"key {key} names a service account that the process's own identity may not take on; "
                "add its e-mail to sources.ambientIdentity.roleARNs"
            )


def _borrowed(credentials: Credentials | None) -> str:
    """Say what of the process's own a source would use, and what to do instead; empty if nothing."""
    if credentials is None:
        return (
            "keys serviceAccountKey and credentials are missing, and a Secret of this namespace may not use the "
            "process's own identity; add one of them"
        )
    match credentials.start:
        case Federation(subject=SubjectFile()):
            where = "a file of the process"
        case Federation(subject=SubjectUrl()):
            where = "an address that the process asks"
        case _:
            return ""
    return (
        f"key credentials takes its token from {where} (credential_source), and a Secret of this namespace may not use "
        "what is the process's own; use serviceAccountKey instead"
    )


def _becomes(credentials: Credentials | None, impersonate: str) -> Iterator[tuple[str, str]]:
    """Give every service account on the way, each with the key that names it."""
    for step in credentials.impersonations if credentials else ():
        yield from (("credentials", each.rpartition("/")[2]) for each in (*step.delegates, step.email))
    if impersonate:
        yield "impersonate", impersonate


def _urls(credentials: Credentials, impersonate: str) -> Iterator[str]:
    """Give every address that will be asked on behalf of the Secret."""
    assert not isinstance(credentials.start, Login)
    yield credentials.start.token_url
    if isinstance(credentials.start, Federation) and isinstance(credentials.start.subject, SubjectUrl):
        yield credentials.start.subject.url
    yield from (step.url for step in credentials.impersonations)
    if impersonate:
        yield impersonation_url(impersonate, credentials.universe)


def _gives_tokens(key: str, credentials: Credentials) -> None:
    """See that what is shown for a token goes to Google's token service, and not into somebody's bucket beside it."""
    assert not isinstance(credentials.start, Login)
    parts = urlsplit(credentials.start.token_url)
    if (parts.hostname or "").rstrip(".") in OWN_HOSTS and (parts.query or not re.fullmatch(_GIVES_TOKENS, parts.path)):
        raise UnusableSecretError(
            f"key {key} has a token address that is not that of Google's token service, https://sts.googleapis.com/v1/token"
        )
