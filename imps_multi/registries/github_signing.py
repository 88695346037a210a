"""An App's proof of who it is, signed with its key: the one place where PyJWT and cryptography are imported for GitHub.

To read a key costs 60 ms, since it is checked, and to sign 1 ms: so keys are kept, the ones last used. Imported at the
first mint, and used in threads only. Feeds the GitHub provider.
"""

from functools import lru_cache
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_KEPT: Final = 1024
"""How many keys are kept at most."""
BEFORE: Final = 60
"""Seconds that a proof is dated back, since GitHub's clock may be behind."""
AFTER: Final = 540
"""Seconds until it ends: GitHub takes ten minutes at most."""


class UnreadableKeyError(ValueError):
    """A private key that is none, or not RSA's."""


class Signer:
    """Signs for any number of Apps."""

    def __init__(self) -> None:
        self._key = lru_cache(_KEPT)(_read)

    def proof(self, issuer: str, pem: str, now: int) -> str:
        """Return the proof of this moment (seconds since the epoch). Raises UnreadableKeyError."""
        try:
            return jwt.encode({"iss": issuer, "iat": now - BEFORE, "exp": now + AFTER}, self._key(pem), "RS256")
        except (ValueError, TypeError, UnsupportedAlgorithm, jwt.PyJWTError):
            # Without its cause, which may quote the key.
            raise UnreadableKeyError("the key cannot be read") from None


def _read(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise UnreadableKeyError("the key is not RSA's")
    return key
