"""Text from outside, made fit for a message: cut, and without control characters.

Pure. Used wherever a server's or a plugin's own words go into an error.
"""

from typing import Final

LIMIT: Final = 300


def excerpt(text: str, limit: int = LIMIT) -> str:
    """Return the first ``limit`` characters on one line; anything that does not print becomes a space."""
    return "".join(character if character.isprintable() else " " for character in text[:limit]).strip()
