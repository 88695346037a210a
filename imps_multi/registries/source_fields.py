"""A source Secret's keys as text, with the faults that every kind of source shares.

Pure. A fault names the key and says what to write, never what stands there.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from imps_multi.model.credential import Bounds
from imps_multi.model.hub import SourceSecret
from imps_multi.model.names import (
    ALLOW_CLUSTERS_ANNOTATION,
    ALLOW_NAMESPACES_ANNOTATION,
    ALLOW_POLICIES_ANNOTATION,
    DOMAIN,
)

_BOUNDS: Final = (ALLOW_CLUSTERS_ANNOTATION, ALLOW_NAMESPACES_ANNOTATION, ALLOW_POLICIES_ANNOTATION)
_BOUND: Final = f"{DOMAIN}/allow"
_PREFIXED: Final = 0.0
_MISTYPED: Final = 0.85
"""How like a bound (0 to 1) an annotation is that must be meant for it; any that begins like one is."""


class UnusableSecretError(ValueError):
    """Why a source Secret cannot be used, in words for its owner; never a value."""


def bounds(secret: SourceSecret) -> Bounds:
    """Read where a source may go. An annotation that is empty allows nothing.

    Raises:
        UnusableSecretError: an annotation must be meant for a bound, and is none; the source would go further without.
    """
    for name in sorted(secret.annotations.keys() - set(_BOUNDS)):
        if meant := _meant_bound(name):
            raise UnusableSecretError(f"annotation {name[:80]} is unknown; did you mean {meant}?")
    return Bounds(
        policies=_globs(secret, ALLOW_POLICIES_ANNOTATION),
        clusters=_globs(secret, ALLOW_CLUSTERS_ANNOTATION),
        namespaces=_globs(secret, ALLOW_NAMESPACES_ANNOTATION),
    )


def text(data: Mapping[str, bytes], key: str) -> str:
    """Return a key's text without the white space around it, which comes with pasting; empty where it is missing.

    Raises:
        UnusableSecretError: it is not text.
    """
    try:
        return data.get(key, b"").decode().strip()
    except UnicodeDecodeError:
        raise UnusableSecretError(f"key {key} is not UTF-8 text") from None


def required(data: Mapping[str, bytes], key: str) -> str:
    """Return a key's text.

    Raises:
        UnusableSecretError: it is missing, empty or not text.
    """
    if key not in data:
        raise UnusableSecretError(f"key {key} is missing")
    value = text(data, key)
    if not value:
        raise UnusableSecretError(f"key {key} is empty")
    return value


def matching(key: str, value: str, pattern: str, what: str) -> str:
    """Return the value.

    Raises:
        UnusableSecretError: it is not ``what`` it must be.
    """
    if not re.fullmatch(pattern, value):
        raise UnusableSecretError(f"key {key} is not {what}")
    return value


def items(value: str) -> tuple[str, ...]:
    """Split a comma list, without white space, empty items and repetitions."""
    return tuple(dict.fromkeys(filter(None, (item.strip() for item in value.split(",")))))


def _meant_bound(annotation: str) -> str:
    """Return the bound that a mistyped annotation must be meant for, if any."""
    name = annotation.casefold()
    near = get_close_matches(name, _BOUNDS, 1, _PREFIXED if name.startswith(_BOUND) else _MISTYPED)
    return near[0] if near else ""


def _globs(secret: SourceSecret, annotation: str) -> tuple[str, ...] | None:
    value = secret.annotations.get(annotation)
    return None if value is None else items(value)
