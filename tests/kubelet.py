"""What a kubelet makes of pull Secrets, written down a second time and apart from the program's own keyring.

Follows kubelet's ``pkg/credentialprovider`` (config.go, keyring.go, secrets/secrets.go), and is stricter where Go is
lenient and a writer should not be: a name that stands twice in one object is refused. Judges what the program writes;
must use nothing of imps_multi. Feeds the tests.
"""

import base64
import binascii
import fnmatch
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

Json: TypeAlias = Any  # what a Secret holds, of any shape
KINDS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
HUB = "index.docker.io"
TOKENS = {"identitytoken", "registrytoken"}  # of no use to a kubelet


class UnreadableError(AssertionError):
    """A kubelet would not take the Secret, and starts no pod that names it."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a kubelet hands to the container runtime."""

    username: str
    password: str


Keyring: TypeAlias = dict[str, Login]  # by the key that a kubelet files an entry under


def keyring(kind: str, data: Mapping[str, bytes]) -> Keyring:
    """Read one Secret: its type and its decoded data.

    Raises:
        UnreadableError: the type, the key, the JSON, an entry or two keys that are one.
    """
    if kind not in KINDS or list(data) != [KINDS[kind]]:
        raise UnreadableError(f"type {kind}, keys {list(data)}")
    document = _decoded(data[KINDS[kind]])
    auths = document.get("auths") if kind.endswith("dockerconfigjson") else document
    if not isinstance(auths, dict) or not auths:
        raise UnreadableError("there are no auths")
    filed: Keyring = {}
    for key, entry in auths.items():
        if (place := _filed_under(key)) is None:
            continue
        if place in filed:
            raise UnreadableError(f"two keys are {place} to a kubelet")
        filed[place] = _login(key, entry)
    return filed


def logins(image: str, keyrings: Iterable[Keyring]) -> list[Login]:
    """Return what would be tried for an image, in order; the Secrets in the pod's order."""
    name = image_name(image)
    rings = list(keyrings)
    keys = sorted({key for ring in rings for key in ring}, reverse=True)
    found = [ring[key] for key in keys if _covers(key, name) for ring in rings if key in ring]
    first = name.partition("/")[0]
    if not found and (first in {"docker.io", HUB} or not re.search("[.:]", first)):
        return [ring[HUB] for ring in rings if HUB in ring]
    return found


def image_name(image: str) -> str:
    """Return an image's name in full, without tag and digest."""
    name = re.sub(r":[^:/]*$", "", image.split("@", 1)[0])
    first, _, rest = name.partition("/")
    if not rest or (not re.search("[.:]", first) and first != "localhost"):
        first, rest = "docker.io", name
    first = "docker.io" if first == HUB else first
    return f"{first}/library/{rest}" if first == "docker.io" and "/" not in rest else f"{first}/{rest}"


def _decoded(content: bytes) -> dict[str, Json]:
    try:
        document = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        raise UnreadableError(f"no JSON: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise UnreadableError("no JSON object")
    return document


def _once(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableError("a name stands twice in one object")
    return found


def _no_number(word: str) -> Json:
    raise UnreadableError(f"{word} is no JSON")


def _login(key: str, entry: Json) -> Login:
    """Take an entry apart; its parts must say the same as its ``auth``, for those who read one or the other."""
    if isinstance(entry, dict) and entry.keys() & TOKENS and not entry.keys() & {"auth", "username", "password"}:
        return Login("", "")
    try:
        auth = base64.b64decode(entry["auth"], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, KeyError, TypeError):
        raise UnreadableError(f"{key}: auth is no base64 text") from None
    username, colon, password = auth.partition(":")
    if not colon or (username, password) != (entry.get("username"), entry.get("password")):
        raise UnreadableError(f"{key}: auth is not user:password")
    return Login(username, password)


def _filed_under(key: str) -> str | None:
    try:
        url = urlsplit(key if re.match("https?://", key) else f"https://{key}")
        _ = url.port
    except ValueError:
        return None
    path = re.sub("^/v[12]/", "/", unquote(url.path))
    return url.netloc if path in {"", "/"} else url.netloc + path


def _covers(key: str, name: str) -> bool:
    (glob, glob_port, path), (host, port, rest) = _apart(key), _apart(name)
    patterns, labels = glob.split("."), host.split(".")
    return (
        glob_port == port
        and rest.startswith(path)
        and len(patterns) == len(labels)
        and all(fnmatch.fnmatchcase(*pair) for pair in zip(labels, patterns, strict=True))
    )


def _apart(name: str) -> tuple[str, str, str]:
    """Return host, port and path; only a host with a port loses the brackets of an IPv6 address."""
    authority, slash, path = name.partition("/")
    with_port = re.fullmatch(r"\[?([^\[\]]*)\]?:(\d*)", authority)
    host, port = with_port.groups() if with_port else (authority, "")
    return host, port, slash + path
