"""Docker configs as canonical entries: parse what a source holds, merge in order, render the same bytes every time.

Pure. Fed with source Secrets by the registries' catalogue and with target Secrets (``fingerprint``) by the watches;
feeds the planner. Validated as a kubelet would (``keyring``). No value ever stands in an error or a repr.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from imps_multi.model.credential import Entry
from imps_multi.model.digest import content_digest
from imps_multi.model.keyring import KeyringError, decode_auth, fold_case, json_object, normalised, text_field
from imps_multi.model.names import RegistryKey

MAX_SECRET_BYTES: Final = 1 << 20
"""A merged Secret over this is an error: the API server takes no more."""
LARGE_SECRET_BYTES: Final = 64 << 10
"""A merged Secret over this is worth a warning."""

_KNOWN: Final = frozenset({"auth", "username", "password", "email"})
_SHOWN: Final = 120
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder().decode


class DockerConfigError(ValueError):
    """Why a docker config cannot be used: which registry key, what is wrong, what to do; never a value."""


class Overlap(msgspec.Struct, frozen=True):
    """An entry that lost to an earlier source: the key as the loser wrote it, and the loser's index in the order."""

    registry: RegistryKey
    index: int


class Merged(msgspec.Struct, frozen=True):
    """What a merge gave: entries sorted by registry, and what did not make it."""

    entries: tuple[Entry, ...]
    overlaps: tuple[Overlap, ...] = ()


def fingerprint(content: bytes) -> tuple[bytes, frozenset[RegistryKey]]:
    """Digest the canonical form of a ``.dockerconfigjson`` content, and name its registries.

    What does not parse is digested as it is, and names none.
    """
    try:
        document = _decode(content)
        canonical = _encode(document)
    except (ValueError, RecursionError):
        return content_digest(content), frozenset()
    auths = document.get("auths") if isinstance(document, dict) else None
    return content_digest(canonical), frozenset(map(RegistryKey, auths)) if isinstance(auths, dict) else frozenset()


def parse(content: bytes) -> tuple[Entry, ...]:
    """Read a ``.dockerconfigjson`` content into canonical entries, sorted by registry.

    Raises:
        DockerConfigError: a kubelet, or a reader of ours, could not use it.
    """
    document = json_object(content)
    if document is None:
        raise DockerConfigError(".dockerconfigjson is not a JSON object")
    match fold_case(document, frozenset({"auths"})).get("auths"):
        case None:
            raise DockerConfigError('.dockerconfigjson has no "auths"; a .dockercfg is of type kubernetes.io/dockercfg')
        case dict() as auths:
            return _entries(auths)
        case _:
            raise DockerConfigError('"auths" in .dockerconfigjson is not a JSON object')


def parse_legacy(content: bytes) -> tuple[Entry, ...]:
    """Read a ``.dockercfg`` content, the bare map of registries, into canonical entries, sorted by registry.

    Raises:
        DockerConfigError: a kubelet, or a reader of ours, could not use it.
    """
    auths = json_object(content)
    if auths is None:
        raise DockerConfigError(".dockercfg is not a JSON object")
    return _entries(auths)


def basic_entry(registry: str, username: str, password: str) -> Entry:
    """Make the canonical entry of a user name and a password.

    Raises:
        DockerConfigError: the registry or the user name cannot be written.
    """
    return _entry(registry, {"username": username, "password": password})


def merge(sources: Sequence[Sequence[Entry]]) -> Merged:
    """Merge in order: the first source that names a registry wins, however the others spell it."""
    taken: dict[str, Entry] = {}
    overlaps: list[Overlap] = []
    for index, entries in enumerate(sources):
        for entry in entries:
            key = filing_key(entry.registry)
            if key in taken:
                overlaps.append(Overlap(entry.registry, index))
            else:
                taken[key] = entry
    return Merged(tuple(sorted(taken.values(), key=_registry)), tuple(overlaps))


def render(entries: Iterable[Entry]) -> bytes:
    """Write entries, of which no two share a registry, as a canonical ``.dockerconfigjson`` content."""
    members = (_encode(entry.registry) + b":" + entry.content for entry in sorted(entries, key=_registry))
    return b'{"auths":{' + b",".join(members) + b"}}"


def filing_key(registry: str) -> str:
    """Return what a kubelet files a registry key under; a key that it skips stands for itself."""
    key = normalised(registry)
    return registry if key is None else key


def registry_key(registry: str) -> RegistryKey:
    """Take a text as a key of ``auths``.

    Raises:
        DockerConfigError: it names no registry, or holds a user name or a password.
    """
    if not registry.strip():
        raise DockerConfigError("an entry has no registry")
    if "@" in registry.removeprefix("https://").removeprefix("http://").partition("/")[0]:
        raise DockerConfigError(
            f"{_shown(registry)}: the registry key holds a user name or a password; it takes host and path only"
        )
    return RegistryKey(registry)


def _registry(entry: Entry) -> str:
    return entry.registry


def _entries(auths: Mapping[str, object]) -> tuple[Entry, ...]:
    filed: dict[str, Entry] = {}
    for entry in _each(auths):
        first = filed.setdefault(filing_key(entry.registry), entry)
        if first.content != entry.content:
            raise DockerConfigError(
                f"{_shown(first.registry)} and {_shown(entry.registry)} are one registry to a kubelet, "
                "with two credentials here; keep one"
            )
    return tuple(filed.values())


def _each(auths: Mapping[str, object]) -> Iterator[Entry]:
    for registry, fields in sorted(auths.items()):
        if not isinstance(fields, dict):
            raise DockerConfigError(f"{_shown(registry)}: the entry is not a JSON object")
        yield _entry(registry, fields)


def _entry(registry: str, given: Mapping[str, object]) -> Entry:
    key = registry_key(registry)
    try:
        return Entry(key, _encode(_canonical(given)))
    except KeyringError as error:
        raise DockerConfigError(f"{_shown(registry)}: {error}") from None


def _canonical(given: Mapping[str, object]) -> dict[str, object]:
    fields = fold_case(given, _KNOWN)
    username, password, email = (text_field(fields, name) for name in ("username", "password", "email"))
    if auth := text_field(fields, "auth"):
        username, password = decode_auth(auth)
    if ":" in username:
        raise KeyringError("username holds a colon, which no registry can take apart again")
    canonical = {name: value for name, value in fields.items() if name not in _KNOWN}
    if username or password:
        pair = b64encode(f"{username}:{password}".encode()).decode()
        canonical |= {"auth": pair, "username": username, "password": password}
    if not any(canonical.values()):
        raise KeyringError(
            "the entry holds no credential; a login kept in a credential store of the machine it comes from "
            "is not in the file"
        )
    if email:
        canonical["email"] = email
    return canonical


def _shown(registry: str) -> str:
    """Show a registry key: without user info, cut, and with nothing unprintable."""
    scheme, mark, rest = registry.rpartition("://")
    authority, slash, path = rest.partition("/")
    return repr((scheme + mark + authority.rpartition("@")[2] + slash + path)[:_SHOWN])
