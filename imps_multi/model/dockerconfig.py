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
from imps_multi.model.discreet import Discreet
from imps_multi.model.docker_remarks import entry_remarks, settings_remarks
from imps_multi.model.docker_settings import HELPERS, KNOWN, STORE, Setting, joined, members, settings_of
from imps_multi.model.keyring import KeyringError, decode_auth, filing_key, text_field
from imps_multi.model.names import RegistryKey
from imps_multi.model.strict_json import DoubledNameError, JsonError, canonical, read_object

MAX_SECRET_BYTES: Final = 1 << 20
"""A merged Secret over this is an error: the API server takes no more."""
LARGE_SECRET_BYTES: Final = 64 << 10
"""A merged Secret over this is worth a warning."""

_LOGIN: Final = frozenset({"auth", "username", "password", "email"})
_TOKENS: Final = frozenset({"identitytoken", "registrytoken"})
_SPELLINGS: Final = {name: name for name in (*_LOGIN, *_TOKENS, "serveraddress")}
_SHOWN: Final = 120
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder().decode


class DockerConfigError(ValueError):
    """Why a docker config cannot be used: which registry key, what is wrong, what to do; never a value."""


class Overlap(msgspec.Struct, frozen=True):
    """An entry that lost to an earlier source: the key as the loser wrote it, and the loser's index in the order."""

    registry: RegistryKey
    index: int


class DockerConfig(Discreet, frozen=True):
    """What a source holds: entries sorted by registry, all else as settings, and what is worth saying of it."""

    entries: tuple[Entry, ...]
    settings: tuple[Setting, ...] = ()
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show what may be seen."""
        return f"DockerConfig({self.entries!r}, {self.settings!r})"


class Merged(msgspec.Struct, frozen=True):
    """What a merge gave: entries sorted by registry, and what did not make it."""

    entries: tuple[Entry, ...]
    overlaps: tuple[Overlap, ...] = ()


def fingerprint(content: bytes) -> tuple[bytes, frozenset[RegistryKey]]:
    """Digest the canonical form of a ``.dockerconfigjson`` content, and name its registries.

    What does not parse is digested as it is, and names none. So is, but for its names, what two readers would take
    differently: a kubelet makes one of two ``auths``, where others take the last, so a login could hide behind ours.
    """
    try:
        document = _decode(content)
        canonical = _encode(document)
    except (ValueError, RecursionError):
        return content_digest(content), frozenset()
    auths = document.get("auths") if isinstance(document, dict) else None
    plain = canonical == content or _is_plain(content)
    registries = frozenset(map(RegistryKey, auths)) if isinstance(auths, dict) else frozenset()
    return content_digest(canonical if plain else content), registries


def _is_plain(content: bytes) -> bool:
    try:
        read_object(content)
    except JsonError:
        return False
    return True


def parse(content: bytes) -> DockerConfig:
    """Read a ``.dockerconfigjson`` content.

    Raises:
        DockerConfigError: a kubelet, or a reader of ours, could not use it.
    """
    document = _document(content, ".dockerconfigjson", KNOWN)
    auths = document.get("auths")
    if auths is None and not document.keys() & {HELPERS, STORE}:
        raise DockerConfigError('.dockerconfigjson has no "auths"; a .dockercfg is of type kubernetes.io/dockercfg')
    if not isinstance(auths, dict | None):
        raise DockerConfigError('"auths" in .dockerconfigjson is not a JSON object')
    try:
        settings = settings_of(document)
    except KeyringError as error:
        raise DockerConfigError(str(error)) from None
    return _config(auths or {}, settings)


def parse_legacy(content: bytes) -> DockerConfig:
    """Read a ``.dockercfg`` content, the bare map of registries.

    Raises:
        DockerConfigError: a kubelet, or a reader of ours, could not use it.
    """
    auths = _document(content, ".dockercfg", {})
    if "auths" in auths:
        raise DockerConfigError(
            '.dockercfg holds "auths"; a .dockerconfigjson is of type kubernetes.io/dockerconfigjson'
        )
    return _config(auths, ())


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


def render(entries: Iterable[Entry], settings: Iterable[Setting] = ()) -> bytes:
    """Write entries, of which no two share a registry, and settings as a canonical ``.dockerconfigjson`` content."""
    auths = joined({entry.registry: entry.content for entry in entries})
    return joined(members(settings) | {"auths": auths})


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


def _document(content: bytes, key: str, spellings: Mapping[str, str]) -> dict[str, object]:
    try:
        return _spelled(read_object(content), spellings)
    except DoubledNameError as error:
        raise DockerConfigError(f"{key}: {_shown(error.name)} stands twice in one object; keep one") from None
    except JsonError as error:
        raise DockerConfigError(f"{key} {error}") from None


def _spelled(fields: Mapping[str, object], spellings: Mapping[str, str]) -> dict[str, object]:
    """Give names that Go's decoder takes in any case their one spelling."""
    spelled: dict[str, object] = {}
    for name, value in fields.items():
        name_or_known = spellings.get(name.casefold(), name)
        if name_or_known in spelled:
            raise DoubledNameError(name_or_known)
        spelled[name_or_known] = value
    return spelled


def _config(auths: Mapping[str, object], settings: tuple[Setting, ...]) -> DockerConfig:
    filed: dict[str, Entry] = {}
    remarks: list[str] = []
    for registry, fields in _each(auths):
        entry = _entry(registry, fields)
        first = filed.setdefault(filing_key(registry), entry)
        if first.content != entry.content:
            raise DockerConfigError(
                f"{_shown(first.registry)} and {_shown(registry)} are one registry to a kubelet, "
                "with two credentials here; keep one"
            )
        remarks += [f"{_shown(registry)}: {remark}" for remark in entry_remarks(registry, fields)]
    return DockerConfig(tuple(filed.values()), settings, (*remarks, *settings_remarks(settings)))


def _each(auths: Mapping[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    for registry, fields in sorted(auths.items()):
        if not isinstance(fields, dict):
            raise DockerConfigError(f"{_shown(registry)}: the entry is not a JSON object")
        try:
            yield registry, _spelled(fields, _SPELLINGS)
        except DoubledNameError as error:
            raise DockerConfigError(f"{_shown(registry)}: {_shown(error.name)} stands twice; keep one") from None


def _entry(registry: str, fields: Mapping[str, object]) -> Entry:
    key = registry_key(registry)
    try:
        return Entry(key, canonical(_canonical(fields)))
    except KeyringError as error:
        raise DockerConfigError(f"{_shown(registry)}: {error}") from None


def _canonical(fields: Mapping[str, object]) -> dict[str, object]:
    username, password, email = (text_field(fields, name) for name in ("username", "password", "email"))
    if auth := text_field(fields, "auth"):
        username, password = decode_auth(auth)
    if ":" in username:
        raise KeyringError("username holds a colon, which no registry can take apart again")
    kept = {name: value for name, value in fields.items() if name not in _LOGIN}
    if username or password:
        pair = b64encode(f"{username}:{password}".encode()).decode()
        kept |= {"auth": pair, "username": username, "password": password}
    elif not any(isinstance(token := kept.get(name), str) and token for name in _TOKENS):
        raise KeyringError(
            "the entry holds no credential; a login kept in a credential store of the machine it comes from "
            "is not in the file"
        )
    if email:
        kept["email"] = email
    return kept


def _shown(registry: str) -> str:
    """Show a registry key: without user info, cut, and with nothing unprintable."""
    scheme, mark, rest = registry.rpartition("://")
    authority, slash, path = rest.partition("/")
    return repr((scheme + mark + authority.rpartition("@")[2] + slash + path)[:_SHOWN])
