"""Digests: how contents are compared without being kept.

Pure. Used by adapters when they look at a Secret and by the planner when it says what should be there.
"""

from hashlib import blake2b

CONTENT_DIGEST_SIZE = 16


def content_digest(content: bytes) -> bytes:
    """Digest a content, 16 bytes."""
    return blake2b(content, digest_size=CONTENT_DIGEST_SIZE).digest()


def text_digest(value: str) -> str:
    """Digest a label's or annotation's value that is not ours: ``#`` and 16 hex digits."""
    return "#" + blake2b(value.encode(), digest_size=8).hexdigest()
