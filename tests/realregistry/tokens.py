"""A token server as Docker's token authentication has it: it looks at a login and signs what that may do.

The registry verifies the signature by the authority's certificate, which the token carries under ``x5c``; it asks
nothing of this server. Runs on a thread. Feeds the registry's configuration and the tests of logins.
"""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.realcluster.pki import Authority

SERVICE = "registry.test"
ISSUER = "token-server.test"
LIVES = 300
Rule = Callable[[str, str, str], set[str]]
"""Of user name, password and repository: the actions that are granted; raises WrongLoginError."""


class WrongLoginError(Exception):
    """Nobody has that password."""


class TokenServer:
    """The endpoint; a context manager."""

    def __init__(self, directory: Path, rule: Rule) -> None:
        authority = Authority("token server")
        pair = authority.serving()
        self.bundle = directory / "token-roots.pem"
        self.bundle.write_bytes(authority.pem)
        self._rule = rule
        self._key = load_pem_private_key(pair.key, password=None)
        certificate = x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)
        self._headers = {"x5c": [base64.b64encode(certificate).decode()]}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.refused = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def auth(self) -> dict[str, object]:
        """Return what the registry is to be configured with."""
        realm = f"http://127.0.0.1:{self._server.server_port}/token"
        names = {"realm": realm, "service": SERVICE, "issuer": ISSUER}
        return {"token": {**names, "rootcertbundle": str(self.bundle)}}

    def _answer(self, username: str, password: str, asked: Mapping[str, str]) -> dict[str, object] | None:
        """Return the token that a login gets, None where it is nobody's."""
        kind, name, actions = asked["scope"].split(":") if asked.get("scope") else ("", "", "")
        try:
            granted = sorted(self._rule(username, password, name) & set(actions.split(",")))
        except WrongLoginError:
            self.refused += 1
            return None
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": username,
            "aud": asked.get("service", ""),
            "nbf": now - 10,
            "iat": now,
            "exp": now + LIVES,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": name, "actions": granted}] if granted else [],
        }
        token = jwt.encode(claims, self._key, algorithm="ES256", headers=self._headers)  # type: ignore[arg-type]  # an EC key
        return {"token": token, "access_token": token, "expires_in": LIVES}


def _handler(answer: Callable[[str, str, Mapping[str, str]], dict[str, object] | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            username, _, password = base64.b64decode(given).decode().partition(":")
            self._reply(answer(username, password, _flat(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            form = _flat(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert form["grant_type"] == "password"
            self._reply(answer(form["username"], form["password"], form))

        def log_message(self, *_: object) -> None:
            """Say nothing: a line would hold a login."""

        def _reply(self, found: dict[str, object] | None) -> None:
            body = json.dumps(found or {"errors": [{"code": "UNAUTHORIZED"}]}).encode()
            self.send_response(200 if found else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _flat(query: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(query).items()}
