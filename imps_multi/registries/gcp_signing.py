"""A service account's assertions, signed by google-auth: the one place where its library is imported.

Imported at the first mint, in a thread, since that takes a fifth of a second. To read a key costs 40 ms, as it is
checked, and to sign 1 ms: so signers are kept, the ones last used. Used in threads only. Feeds the Google provider.
"""

from collections import OrderedDict
from threading import Lock
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from google.auth import crypt, jwt
from google.auth.exceptions import GoogleAuthError

from imps_multi.registries.gcp_credentials import ServiceAccountKey

_KEPT: Final = 2048
"""How many signers are kept at most."""
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, UnsupportedAlgorithm, GoogleAuthError)


class UnreadableKeyError(ValueError):
    """A private key that is none."""


class Signers:
    """Signs for any number of accounts."""

    def __init__(self) -> None:
        self._kept: OrderedDict[ServiceAccountKey, Any] = OrderedDict()
        self._turn = Lock()

    def sign(self, key: ServiceAccountKey, claims: dict[str, object]) -> str:
        """Return an assertion. Raises UnreadableKeyError."""
        try:
            token: bytes = jwt.encode(self._signer(key), claims)  # type: ignore[no-untyped-call]  # google-auth's own
        except _UNREADABLE:
            # Without its cause, which may quote the key.
            raise UnreadableKeyError("the key cannot be read") from None
        return token.decode()

    def _signer(self, key: ServiceAccountKey) -> Any:
        with self._turn:
            if key not in self._kept:
                read: Any = crypt.RSASigner.from_string  # google-auth's own, without types
                self._kept[key] = read(key.private_key, key.key_id or None)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]
