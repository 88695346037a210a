"""The metadata service of a cloud machine on loopback, version 2: who shows no session token gets nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from imps_multi.sandbox.sigv4 import Credential

from .loopback import QuietHandler, serving

ROLE = "node-role"
_ROLES = "/latest/meta-data/iam/security-credentials/"
_SESSION = "imds-session"


@dataclass
class MetadataService:
    """Where it listens, whose keys it gives, and what was asked of it."""

    credential: Credential
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def metadata_service(credential: Credential) -> Iterator[MetadataService]:
    """Serve while the context lasts."""
    service = MetadataService(credential)

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            service.asked.append(f"PUT {self.path}")
            allowed = self.path == "/latest/api/token" and self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
            self.answer(200 if allowed else 400, _SESSION.encode() if allowed else b"")

        def do_GET(self) -> None:
            service.asked.append(f"GET {self.path}")
            if self.headers.get("x-aws-ec2-metadata-token") != _SESSION:
                self.answer(401)
            elif self.path == _ROLES:
                self.answer(200, ROLE.encode())
            elif self.path == _ROLES + ROLE:
                self.answer(200, _keys(service.credential))
            else:
                self.answer(404)

    with serving(Handler) as url:
        service.url = url
        yield service


def _keys(credential: Credential) -> bytes:
    return json.dumps(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": credential.access_key,
            "SecretAccessKey": credential.secret_key,
            "Token": credential.session_token,
            "Expiration": "2099-01-01T00:00:00Z",
        }
    ).encode()
