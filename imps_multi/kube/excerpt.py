"""Text from outside, made fit for a message: cut, without control characters, and without what looks like a secret.

Pure. Used wherever a server's or a plugin's own words go into an error, and by that into the log and the status: an
admission webhook may quote the Secret that it refuses, a plugin the token that it could not use.
"""

from typing import Final

from imps_multi.redaction import redact_text

LIMIT: Final = 300


def excerpt(text: str, limit: int = LIMIT) -> str:
    """Return the first ``limit`` characters on one line; anything that does not print becomes a space."""
    seen = text[: 4 * limit]  # more than is kept: a secret that the cut would halve is not seen for one any more
    line = "".join(character if character.isprintable() else " " for character in seen)
    return redact_text(line, longest=len(line))[:limit].strip()
