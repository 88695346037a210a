"""A kubelet's keyring as pure functions: whether it reads a Secret, and which credential it would try for an image.

Follows kubelet's ``pkg/credentialprovider`` (keyring.go, config.go). Feeds the parsing of sources, the check of what
is written, and later the preflight. It must never put a value into an error or a repr.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

import msgspec

from imps_multi.model.discreet import Discreet

DEFAULT_REGISTRY: Final = "index.docker.io"
_DOCKER_HUB: Final = ("docker.io", "index.docker.io")
_HOST: Final = re.compile(r"\[[^\[\]/%]*\](?::\d*)?|[^\x00-\x20#%/?@\[\]\\^`{|}\x7f]*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HTML: Final = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class KeyringError(ValueError):
    """A kubelet would refuse the Secret, and with it every pull of a pod that names it. Holds no value."""


class Credential(Discreet, frozen=True):
    """What a kubelet takes from an ``auths`` entry. Only the key is ever shown."""

    key: str
    username: str = ""
    password: str = ""
    email: str = ""

    def __repr__(self) -> str:
        """Name the key only."""
        return f"Credential({self.key!r})"


def normalised(key: str) -> str | None:
    """Return the key that a kubelet files an ``auths`` key under, or None where it skips the entry."""
    url = _parsed(key.removeprefix("https://") if key.startswith("https://") else key.removeprefix("http://"))
    if url is None:
        return None
    path = url.path[3:] if url.path.startswith(("/v1/", "/v2/")) else url.path
    return url.host if path in {"", "/"} else url.host + path


def filing_key(key: str) -> str:
    """Return what a kubelet files a registry key under; a key that it skips stands for itself."""
    filed = normalised(key)
    return key if filed is None else filed


def decode_auth(auth: str) -> tuple[str, str]:
    """Split an ``auth`` field (padded or raw standard base64 of ``user:password``) as a kubelet does.

    Only what is not UTF-8 is refused here and not there: no container runtime could be handed it.

    Raises:
        KeyringError: it is no such thing.
    """
    # Go's decoders skip line breaks, and nothing else.
    text = auth.replace("\r", "").replace("\n", "")
    if auth.strip().endswith("="):
        whole = len(text) % 4 == 0
        padded = text
    else:
        whole = "=" not in text
        padded = text + "=" * (-len(text) % 4)
    try:
        decoded = b64decode(padded, validate=True) if whole else None
    except (binascii.Error, ValueError):
        decoded = None
    if decoded is None:
        raise KeyringError("auth is not standard base64")
    if b":" not in decoded:
        raise KeyringError("auth does not hold user:password (there is no colon in it)")
    try:
        username, _, password = decoded.decode().partition(":")
    except UnicodeDecodeError:
        raise KeyringError("auth does not hold UTF-8 text") from None
    return username, password


def kubelet_hash(username: str, password: str, email: str = "") -> str:
    """Return the hash by which a kubelet remembers a credential that pulled an image (KEP-2535), in hex."""
    fields = {"username": username, "password": password, "email": email}
    given = {name: value for name, value in fields.items() if value}
    text = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    # Backspace and form feed have short escapes here and in Go 1.22 and later.
    return sha256(text.translate(_HTML).encode()).hexdigest()


def read(content: bytes) -> tuple[Credential, ...]:
    """Read a ``.dockerconfigjson`` content as a kubelet does, keys normalised, sorted as it tries them.

    Raises:
        KeyringError: it would fail the whole pod.
    """
    document = fold_case(_object(content, ".dockerconfigjson"), frozenset({"auths", "httpheaders"}))
    if not are_headers(document.get("httpheaders")):
        raise KeyringError("HttpHeaders is not an object of texts")
    return _credentials(document.get("auths"))


def read_legacy(content: bytes) -> tuple[Credential, ...]:
    """Read a ``.dockercfg`` content, the bare map, as a kubelet does.

    Raises:
        KeyringError: it would fail the whole pod.
    """
    return _credentials(_object(content, ".dockercfg"))


def repository(image: str) -> str:
    """Return the name that a kubelet looks an image up by: docker-normalised, without tag and digest."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    name = head + slash + tail.partition(":")[0]
    domain, slash, rest = name.partition("/")
    plain = not any(mark in domain for mark in ".:") and domain != "localhost" and domain == domain.lower()
    if not slash or plain:
        domain, rest = "docker.io", name
    if domain == DEFAULT_REGISTRY:
        domain = "docker.io"
    if domain == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    return f"{domain}/{rest}"


def lookup(name: str, configs: Sequence[Sequence[Credential]]) -> tuple[Credential, ...]:
    """Return the credentials that a kubelet tries for a repository name, in order.

    ``name`` is what ``repository`` returns, ``configs`` what the pod's Secrets hold, in the pod's order.
    """
    filed: dict[str, list[Credential]] = {}
    for config in configs:
        for credential in config:
            filed.setdefault(credential.key, []).append(credential)
    order = sorted(filed, key=str.encode, reverse=True)
    found = tuple(credential for key in order if matches(key, name) for credential in filed[key])
    if not found and _is_default_registry(name):
        return tuple(filed.get(DEFAULT_REGISTRY, ()))
    return found


def matches(key: str, name: str) -> bool:
    """Say whether a normalised key, a host glob with or without a path, covers a repository name."""
    glob, target = _parsed(key), _parsed(name)
    if glob is None or target is None:
        return False
    return (
        glob.port == target.port
        and len(glob.labels) == len(target.labels)
        and target.path.startswith(glob.path)
        and all(_label_matches(pattern, label) for pattern, label in zip(glob.labels, target.labels, strict=True))
    )


def can_match(key: str) -> bool:
    """Say whether any image's name can match a normalised key: none matches an IPv6 address without a port."""
    return not key.partition("/")[0].endswith("]")


def are_headers(value: object) -> bool:
    """Say whether a kubelet reads a value as HTTP headers: it uses none, but fails on what is something else."""
    return value is None or (isinstance(value, dict) and all(isinstance(one, str | None) for one in value.values()))


def fold_case(fields: Mapping[str, object], known: frozenset[str]) -> dict[str, object]:
    """Spell the known names as Go's decoder takes them: in any case; the last one wins."""
    return {name.casefold() if name.casefold() in known else name: value for name, value in fields.items()}


def text_field(fields: Mapping[str, object], name: str) -> str:
    """Return a text field, empty where it is missing or null.

    Raises:
        KeyringError: it is something else.
    """
    match fields.get(name):
        case None:
            return ""
        case str() as value:
            return value
        case _:
            raise KeyringError(f"{name} is not a string")


def json_object(content: bytes) -> dict[str, object] | None:
    """Decode a JSON object, None where it is anything else."""
    try:
        decoded = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _object(content: bytes, what: str) -> dict[str, object]:
    decoded = json_object(content)
    if decoded is None:
        raise KeyringError(f"{what} is not a JSON object")
    return decoded


def _credentials(auths: object) -> tuple[Credential, ...]:
    if auths is None:
        return ()
    if not isinstance(auths, dict):
        raise KeyringError("auths is not a JSON object")
    read_entries = ((normalised(key), _credential(key, entry)) for key, entry in auths.items())
    named = [msgspec.structs.replace(entry, key=key) for key, entry in read_entries if key is not None]
    return tuple(sorted(named, key=lambda credential: credential.key.encode(), reverse=True))


def _credential(key: str, entry: object) -> Credential:
    if entry is None:
        return Credential(key)
    if not isinstance(entry, dict):
        raise KeyringError("an entry of auths is not a JSON object")
    fields = fold_case(entry, frozenset({"auth", "username", "password", "email"}))
    username, password = text_field(fields, "username"), text_field(fields, "password")
    if auth := text_field(fields, "auth"):
        username, password = decode_auth(auth)
    return Credential(key, username, password, text_field(fields, "email"))


class _Url(msgspec.Struct, frozen=True):
    labels: list[str]
    port: str
    host: str
    path: str


def _parsed(schemeless: str) -> _Url | None:
    """Parse as Go's ``url.Parse`` does what stands behind a scheme, None where it fails."""
    if _CONTROL.search(schemeless):
        return None
    authority, slash, path = schemeless.partition("#")[0].partition("?")[0].partition("/")
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host) or _BAD_ESCAPE.search(path):
        return None
    name, colon, port = host.rpartition(":")
    if host.endswith("]") or not colon:
        return _Url(host.split("."), "", host, unquote(slash + path))
    if port.strip("0123456789"):
        return None
    return _Url(name.removeprefix("[").removesuffix("]").split("."), port, host, unquote(slash + path))


def _label_matches(pattern: str, label: str) -> bool:
    """Match one host label as Go's ``filepath.Match`` does, whose only signs in a host that parses are * and ?.

    An IPv6 address without a port is read as a set of letters there, and matches nothing that is looked up.
    """
    signs = {"*": "[^/]*", "?": "[^/]"}
    wanted = "".join(signs.get(sign) or re.escape(sign) for sign in pattern)
    return "[" not in pattern and re.fullmatch(wanted, label, re.DOTALL) is not None


def _is_default_registry(name: str) -> bool:
    first, slash, _ = name.partition("/")
    return bool(first) and (not slash or first in _DOCKER_HUB or not any(mark in first for mark in ".:"))
