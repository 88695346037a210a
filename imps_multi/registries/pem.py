"""Whether what stands between the lines of a PEM is there from end to end.

Pure, and without a cloud's library: a private key that was pasted in part is found where it is read, not when it signs.
Says nothing about what kind of key it is. Feeds the kinds of sources that hold one.
"""

import re
from base64 import b64decode
from typing import Final

_SEQUENCE: Final = 0x30
_LONG: Final = 0x80
_MARKS: Final = r"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----(?P<body>[^-]*)-----END (?P=kind)-----"


def broken_parts(pem: str) -> tuple[str, ...]:
    """Return the kinds of what begins in a PEM text and is not there from end to end, such as ``PRIVATE KEY``."""
    begun = re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----", pem)
    whole = [found["kind"] for found in re.finditer(_MARKS, pem) if is_whole(found["body"])]
    return tuple(kind for kind in dict.fromkeys(begun) if begun.count(kind) != whole.count(kind))


def is_whole(body: str) -> bool:
    """Say whether base64 text is one DER sequence, exactly as long as it says."""
    try:
        content = b64decode("".join(body.split()), validate=True)
    except ValueError:
        return False
    if content[:1] != bytes([_SEQUENCE]):
        return False
    return len(content) == _said(content[1:10])


def _said(head: bytes) -> int:
    """Return how long a DER value is by what follows its tag; -1 where that cannot be read."""
    if not head:
        return -1
    count = head[0] - _LONG
    if count < 0:
        return 2 + head[0]
    return 2 + count + int.from_bytes(head[1 : 1 + count]) if 0 < count < len(head) else -1
