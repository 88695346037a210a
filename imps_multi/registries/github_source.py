"""A source Secret of a GitHub App: which installation, for which repositories, under which registries the token goes.

Pure. Fed by the catalogue; the request it makes is read by the GitHub provider alone. White space around a value is
dropped in every key, since all of them are pasted.
"""

import re
from collections.abc import Mapping
from textwrap import wrap
from typing import Final

from imps_multi.model.credential import MintSource
from imps_multi.model.hub import SourceSecret
from imps_multi.model.names import RegistryKey
from imps_multi.registries.guard import guarded
from imps_multi.registries.minted_fields import known_keys, mint_source, registries
from imps_multi.registries.pem import is_whole
from imps_multi.registries.rules import AmbientRule
from imps_multi.registries.source_fields import UnusableSecretError, items, matching, required, text

PROVIDER: Final = "github"
GITHUB_TYPE: Final = "imps-multi.io/github"
DOCUMENTED_LIFE: Final = 3600.0
"""How long an installation's token lives by GitHub's documentation, in seconds."""
API: Final = "https://api.github.com"
REGISTRY: Final = RegistryKey("ghcr.io")
OWN_HOSTS: Final = ("api.github.com", "api.*.ghe.com")
"""GitHub's own, those with data residency included. A GitHub Enterprise Server is its owner's."""
MOST_REPOSITORIES: Final = 500
"""What GitHub takes in one request."""

_REPOSITORY: Final = r"[A-Za-z0-9._-]{1,100}"
_SHAPES: Final = {
    "appID": (r"[1-9][0-9]{0,18}", "an App's ID: a number"),
    "clientID": (r"[A-Za-z0-9._-]{1,64}", "an App's client ID, such as Iv23liABCDEFGHIJKLMN"),
    "installationID": (r"[1-9][0-9]{0,18}", "an installation's ID: a number"),
}
_KEYS: Final = frozenset({"apiURL", "privateKey", "repositories", "registry", "registries", *_SHAPES})
_PEM: Final = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY)-----\s(?P<body>[A-Za-z0-9+/=\s]+)-----END (?P=kind)-----"
)
_KINDS: Final = frozenset({"RSA PRIVATE KEY", "PRIVATE KEY"})
"""PKCS #1, as GitHub hands keys out, and PKCS #8, as other tools convert them."""


def github_source(secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> MintSource:  # noqa: ARG001  # nothing of the process's own is used here
    """Interpret a GitHub App.

    Raises:
        UnusableSecretError: a key is missing, wrong or not allowed.
    """
    data = secret.data
    remark = known_keys(data, _KEYS)
    required(data, "installationID")
    given = {key: matching(key, value, *_SHAPES[key]) for key in _SHAPES if (value := text(data, key))}
    if ("appID" in given) == ("clientID" in given):
        raise UnusableSecretError("key appID or key clientID must be there, one of them: the App's")
    url = guarded("apiURL", text(data, "apiURL") or API, endpoints, own=OWN_HOSTS).url.rstrip("/")
    request = {
        "apiURL": url,
        "issuer": given.get("clientID") or given["appID"],
        "installationID": given["installationID"],
        "privateKey": _private_key(data),
        **({"repositories": repositories} if (repositories := _repositories(data)) else {}),
    }
    return mint_source(secret, PROVIDER, request, _registries(data, url), remark)


def _registries(data: Mapping[str, bytes], url: str) -> tuple[RegistryKey, ...]:
    found = registries(data)
    if not found and url != API:
        raise UnusableSecretError(
            "key registries is missing; with apiURL it names the registry, such as containers.HOST"
        )
    return found or (REGISTRY,)


def _repositories(data: Mapping[str, bytes]) -> str:
    """Return the repositories by their names alone, in one order: they are those of the installation's owner."""
    named = [each.rpartition("/")[2] for each in items(text(data, "repositories"))]
    for each in named:
        matching("repositories", each, _REPOSITORY, "a comma list of repositories' names")
    if len(named) > MOST_REPOSITORIES:
        raise UnusableSecretError(
            f"key repositories holds more than {MOST_REPOSITORIES} names; without it all are meant"
        )
    return ",".join(sorted(set(named)))


def _private_key(data: Mapping[str, bytes]) -> str:
    """Return the key as PEM with lines of its own; that it is an RSA key shows when it signs."""
    value = (
        required(data, "privateKey").replace("\\n", "\n").strip()
    )  # as it stands in an environment variable or in JSON
    found = _PEM.fullmatch(value)
    if "ENCRYPTED" in value:
        raise UnusableSecretError("key privateKey is encrypted; it takes the key without a pass phrase")
    if found is None or found["kind"] not in _KINDS:
        raise UnusableSecretError("key privateKey is not an RSA key in PEM, as GitHub hands it out for the App")
    if not is_whole(found["body"]):
        raise UnusableSecretError(
            "key privateKey is cut short or damaged; it needs the whole file, as GitHub hands it out"
        )
    body = "\n".join(wrap("".join(found["body"].split()), 64))
    return f"-----BEGIN {found['kind']}-----\n{body}\n-----END {found['kind']}-----\n"
