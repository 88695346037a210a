"""A server's words about a request, without the secrets that were in it.

Pure. An API server masks the data of a Secret, an admission webhook that refuses one may quote it. Looked at only when
a request was refused, so it costs a write nothing. ``excerpt`` cuts what looks like a secret; this cuts what is one.
Used by ``transport``.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Final

import msgspec

from imps_multi.redaction import REDACTED

LEAST: Final = 4
"""A value that is shorter stands in many a word by chance."""
_NAMES: Final = frozenset({"username", "email", "serveraddress"})
"""Fields of a docker config's entry that are no secrets."""


class _Sent(msgspec.Struct, frozen=True):
    """As much of a request's body as may hold secrets."""

    data: dict[str, str | None] | None = None


_BODY: Final = msgspec.json.Decoder(_Sent)


def unquoted(words: str, *, body: bytes | None, authorization: str) -> str:
    """Return the words with every secret of the request cut out, however it is written."""
    if not words:
        return words
    secrets = {authorization.rpartition(" ")[2], *_of_body(body)}
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= LEAST:
            words = words.replace(form, REDACTED)
    return words


def _of_body(body: bytes | None) -> Iterator[str]:
    try:
        data = _BODY.decode(body or b"{}").data or {}
    except msgspec.DecodeError:
        return
    for value in filter(None, data.values()):
        yield value
        yield from _within(value)


def _within(value: str) -> Iterator[str]:
    """Return the secrets in one value of a Secret: the whole of it and, in a docker config, those of each entry."""
    try:
        text = b64decode(value).decode()
        yield text
        entries = json.loads(text)["auths"].values()
    except (ValueError, TypeError, LookupError, AttributeError):
        return
    for entry in entries:
        for name, secret in entry.items() if isinstance(entry, dict) else ():
            if isinstance(secret, str) and name not in _NAMES:
                yield secret
