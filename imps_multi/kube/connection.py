"""How one cluster is reached, as a value: address, trust, identity, proxy.

Made by ``kubeconfig``, read by ``target_client`` and what it builds. Everything that a file was named for is here as
content, except a token file, which is read anew while running. No repr shows a credential.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

FINGERPRINT_KEY: Final = secrets.token_bytes(32)
"""Fingerprints are compared inside this process alone, so that one that gets out tells nothing about a password."""


class KeyPair(Struct, frozen=True):
    """A client certificate with its private key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Show neither."""
        return "KeyPair(…)"


class BearerToken(Struct, frozen=True, tag=True):
    """A token written in the kubeconfig."""

    token: str

    def __repr__(self) -> str:
        """Hide the token."""
        return "BearerToken(…)"


class TokenFile(Struct, frozen=True, tag=True):
    """A token in a file that somebody else renews. ``fallback`` serves until the file could be read."""

    path: str
    fallback: str = ""

    def __repr__(self) -> str:
        """Name the file."""
        return f"TokenFile({self.path!r})"


class BasicLogin(Struct, frozen=True, tag=True):
    """User name and password."""

    username: str
    password: str

    def __repr__(self) -> str:
        """Hide both."""
        return "BasicLogin(…)"


class ExecSpec(Struct, frozen=True, tag=True):
    """An exec credential plugin. ``cluster`` is the JSON of spec.cluster where provideClusterInfo asks for it."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    install_hint: str = ""
    cluster: str = ""

    def __repr__(self) -> str:
        """Name the command; arguments and environment may hold secrets."""
        return f"ExecSpec({self.command!r})"


Credential = BearerToken | TokenFile | BasicLogin | ExecSpec


class Connection(Struct, frozen=True):
    """Everything that is needed to talk to one API server.

    ``server``: URL without a trailing slash, perhaps with a path. ``ca``: PEM, None for the system's. ``server_name``:
    the name that the certificate is checked against, where it is not the server's. ``impersonation``: header pairs.
    ``place``: where it is written, for people.
    """

    server: str
    ca: bytes | None = None
    insecure: bool = False
    server_name: str = ""
    certificate: KeyPair | None = None
    credential: Credential | None = None
    proxy: str = ""
    impersonation: tuple[tuple[str, str], ...] = ()
    place: str = ""

    def __repr__(self) -> str:
        """Show where to, and the kind of the credential."""
        return f"Connection({self.server!r}, credential={self.credential!r}, place={self.place!r})"

    @property
    def fingerprint(self) -> str:
        """Return a digest of all but ``place``; another one means another client."""
        content = msgspec.msgpack.encode(msgspec.structs.replace(self, place=""))
        return hashlib.blake2b(content, digest_size=16, key=FINGERPRINT_KEY).hexdigest()

    @property
    def host(self) -> str:
        """Return the server's host, with the port where the URL has one, as client-go's metrics name it."""
        return urlsplit(self.server).netloc

    @property
    def token_file(self) -> Path | None:
        """Return the token file, where the credential is one."""
        return Path(self.credential.path) if isinstance(self.credential, TokenFile) else None
