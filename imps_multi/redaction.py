"""Takes secrets out of whatever is about to be logged or told, by the name of a field and by the look of a value.

The last net, not the first: nobody should hand a secret to a logger. Pure; used by telemetry on every record, those of
libraries and their tracebacks included, and by kube on the words of servers and plugins, which a status shows too. When
in doubt it cuts: a log line with a hole is better than one with a key.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Collection, Mapping
from typing import Any, Final

REDACTED: Final = "[redacted]"
LONGEST: Final = 2000
LONGEST_TRACEBACK: Final = 8000
DEEPEST: Final = 6

_KEYS: Final = frozenset(
    {
        "auth",
        "auths",
        "authorization",
        "cookie",
        "setcookie",
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "token",
        "data",
        "stringdata",
        "content",
        "body",
        "payload",
        "headers",
        "dockerconfigjson",
        "dockercfg",
        "accesskeyid",
        "accesskey",
        "secretkey",
        "privatekey",
        "sessionkey",
        "apikey",
        "clientkeydata",
        "credentialdata",
    }
)
_KEY_ENDS: Final = (
    "password",
    "token",
    "secretkey",
    "accesskey",
    "accesskeyid",
    "privatekey",
    "authorization",
    "keydata",
)
_SIGNS: Final = re.compile(r"[^a-z0-9]")

_NAMED: Final = (
    r"(?:auth|(?:proxy-?)?authorization|(?:set-)?cookie|passw(?:or)?d|passphrase"
    r"|[a-z_-]{0,30}token|secret[-_]?(?:access[-_]?)?key|access[-_]?key(?:[-_]?id)?|private[-_]?key"
    r"|client-key-data|\.?dockerconfigjson|\.?dockercfg)"
)
_VALUE: Final = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&{}\[\]"']+)"""
_PATTERNS: Final = (
    (re.compile(r"(?i)\b(basic|bearer)\s+[a-z0-9+/=._~-]{6,}"), rf"\1 {REDACTED}"),
    # "auth": "…", password=…, 'token': b'…'
    (re.compile(rf"""(?i)(["']?\b{_NAMED}["']?\s*[:=]\s*(?:b(?=["']))?){_VALUE}"""), rf"\1{REDACTED}"),
    (re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*@"), f"{REDACTED}@"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), REDACTED),
    (re.compile(r"\bk8s-aws-v1\.[\w-]+"), REDACTED),
    (re.compile(r"\beyJ[\w+/=-]{8,}(?:\.[\w-]+)*"), REDACTED),  # a JSON object in base64: a JWT, a docker config
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
)
_HARMLESS: Final = re.compile(r"[a-z0-9._/-]{0,63}")
"""A name or a path: nothing below finds anything in it, and most values are such."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")
_MIXED: Final = (re.compile(r"[A-Z]"), re.compile(r"[a-z]"), re.compile(r"[0-9]"))


def secret_key(name: str) -> bool:
    """Whether a field of this name holds a secret. ``secret`` and ``secret_name`` are names of Secrets, and do not."""
    plain = _SIGNS.sub("", name.lower())
    return plain in _KEYS or plain.endswith(_KEY_ENDS)


def redact_text(text: str, *, longest: int = LONGEST) -> str:
    """Cut what looks like a credential, then what is too long."""
    if _HARMLESS.fullmatch(text):
        return text
    if len(text) > 4 * longest:
        text = text[: 4 * longest]
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    text = _OPAQUE.sub(_opaque, text)
    text = _BASE64.sub(_docker_auth, text)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def redact(value: object, *, depth: int = DEEPEST) -> object:
    """Redact a value of any shape; what is neither plain nor a collection is shown by its redacted str."""
    match value:
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case Mapping() | list() | tuple() | set() | frozenset():
            return _redact_collection(value, depth - 1) if depth else "…"
        case _:
            return redact_text(str(value))


def _redact_collection(value: Mapping[Any, object] | Collection[object], depth: int) -> object:
    if isinstance(value, Mapping):
        return redact_fields(value, depth=depth)
    return [redact(item, depth=depth) for item in value]


def redact_fields(fields: Mapping[Any, object], *, depth: int = DEEPEST) -> dict[str, object]:
    """Redact the fields of a record, or a mapping in one."""
    return {
        redact_text(str(name)): REDACTED if _holds_secret(str(name), value) else redact(value, depth=depth)
        for name, value in fields.items()
    }


def _holds_secret(name: str, value: object) -> bool:
    return value is not None and not isinstance(value, bool | int | float) and secret_key(name)


def _opaque(found: re.Match[str]) -> str:
    """Cut a long run of all kinds of letters and digits; hexadecimal digests and paths stay."""
    text = found[0]
    return REDACTED if all(len(kind.findall(text)) >= len(text) // 16 for kind in _MIXED) else text


def _docker_auth(found: re.Match[str]) -> str:
    """Cut what is ``user:password`` in base64, as docker configs and basic authentication have it."""
    try:
        plain = b64decode(found[0], validate=True)
    except (NotBase64, ValueError):
        return found[0]
    user, colon, password = plain.partition(b":")
    looks_so = bool(user and colon and password) and plain.isascii() and plain.decode("ascii").isprintable()
    return REDACTED if looks_so else found[0]
