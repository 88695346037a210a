"""Client assertions: what an application with a certificate shows to Entra ID, signed with its key.

azure-identity has a credential for that, but it checks a key twice for each new credential, 40 ms each; here a key is
checked once, and a signature costs 1 ms. Imported with azure-identity, and used in a thread. Feeds the Azure provider.
"""

import time
import uuid
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from msgspec import Struct

_LIFE: Final = 600
_KEPT: Final = 64
"""How many keys are kept at most."""


class _Signer(Struct, frozen=True):
    """A key that was checked, and its certificate's thumbprint."""

    key: RSAPrivateKey
    thumbprint: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "_Signer()"


class Certificates:
    """Signs, and remembers the keys it has checked."""

    def __init__(self) -> None:
        self._signer = lru_cache(_KEPT)(_checked)

    def assertion(self, pem: str, client: str, audience: str) -> str:
        """Return an assertion for a token endpoint, of ten minutes, as Microsoft describes it (PS256, x5t#S256).

        Raises:
            ValueError, TypeError, UnsupportedAlgorithm: the PEM holds no certificate with its RSA key.
        """
        signer = self._signer(pem.encode())
        now = int(time.time())
        claims = {"aud": audience, "iss": client, "sub": client, "jti": str(uuid.uuid4()), "nbf": now, "iat": now}
        return jwt.encode(
            {**claims, "exp": now + _LIFE}, signer.key, algorithm="PS256", headers={"x5t#S256": signer.thumbprint}
        )


def _checked(pem: bytes) -> _Signer:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key")  # noqa: TRY004  # as cryptography says of a key that it cannot read
    chain = x509.load_pem_x509_certificates(pem)
    certificate = next((each for each in chain if each.public_key() == key.public_key()), None)
    if certificate is None:
        raise ValueError("the key is another certificate's")
    thumbprint = urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    return _Signer(key, thumbprint)
