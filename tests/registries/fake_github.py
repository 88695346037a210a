"""GitHub's endpoint for installation tokens, as strict as the real one about the App's signature and what is asked."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .token_server import Heard, Said, said

LATEST = 600


@dataclass
class FakeGithub:
    """One App with one installation. ``prefix`` is where the API begins; ``now`` its clock."""

    issuer: str = "12345"
    installation: str = "678"
    prefix: str = ""
    now: float = field(default_factory=time.time)
    repositories: frozenset[str] = frozenset({"api", "web"})

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """The App's key; GitHub has its public half."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def pem(self, form: serialization.PrivateFormat = serialization.PrivateFormat.TraditionalOpenSSL) -> str:
        """The key as it is handed out."""
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def answer(self, heard: Heard) -> Said:
        """Answer one request."""
        if heard.method != "POST" or heard.path != f"{self.prefix}/app/installations/{self.installation}/access_tokens":
            return said(404, message="Not Found")
        if heard.headers.get("accept") != "application/vnd.github+json":
            return said(415, message="Unsupported 'Accept' header")
        if fault := self._fault(heard):
            return said(401, message=fault)
        asked = json.loads(heard.body)
        if (
            asked.get("permissions") != {"packages": "read"}
            or not set(asked.get("repositories", [])) <= self.repositories
        ):
            return said(422, message="The permissions requested are not granted to this installation.")
        end = datetime.fromtimestamp(self.now + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        what = ",".join(asked.get("repositories", ["all"]))
        return said(201, token=f"ghs_{what}", expires_at=end, permissions=asked["permissions"])

    def _fault(self, heard: Heard) -> str:
        scheme, _, signature = heard.headers.get("authorization", "").partition(" ")
        free = {"verify_exp": False, "verify_iat": False, "require": ["iss", "iat", "exp"]}  # by another clock, below
        try:
            claims = jwt.decode(signature, self.key.public_key(), algorithms=["RS256"], options=free)  # type: ignore[arg-type]  # a TypedDict to mypy
        except jwt.InvalidTokenError:
            return "A JSON web token could not be decoded"
        if scheme != "Bearer" or claims["iss"] != self.issuer:
            return "Integration not found"
        if claims["iat"] > self.now:
            return "'Issued at' claim ('iat') must be an Integer representing a time in the past"
        if not self.now < claims["exp"] <= self.now + LATEST:
            return "'Expiration time' claim ('exp') is too far in the future"
        return ""
