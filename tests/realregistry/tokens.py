"""A token server as Docker's token authentication has it: it looks at a login and signs what that may do.

The registry verifies the signature by the authority's certificate, which the token carries under ``x5c``; it asks
nothing of this server. Beside it, an OAuth2 endpoint gives a client access tokens that are passwords here. Runs on a
thread. Feeds the registry's configuration and the tests of logins.
"""

import base64
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.realcluster.pki import Authority

SERVICE = "registry.test"
ISSUER = "token-server.test"
LIVES = 300
CLIENT, CLIENT_SECRET = "image-puller", "a client's secret"
Rule = Callable[[str, str, str], set[str]]
"""Of user name, password and repository: the actions that are granted; raises WrongLoginError."""


class WrongLoginError(Exception):
    """Nobody has that password."""


class TokenServer:
    """The endpoint; a context manager. ``passwords`` gathers the access tokens that the client got, oldest first."""

    def __init__(self, directory: Path, rule: Rule, passwords: list[str]) -> None:
        authority = Authority("token server")
        pair = authority.serving()
        self.bundle = directory / "token-roots.pem"
        self.bundle.write_bytes(authority.pem)
        self._rule = rule
        self._key = load_pem_private_key(pair.key, password=None)
        certificate = x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)
        self._headers = {"x5c": [base64.b64encode(certificate).decode()]}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer, self._client))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._passwords = passwords

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def auth(self) -> dict[str, object]:
        """Return what the registry is to be configured with."""
        names = {"realm": f"{self.url}/token", "service": SERVICE, "issuer": ISSUER}
        return {"token": {**names, "rootcertbundle": str(self.bundle)}}

    def _answer(self, username: str, password: str, asked: Mapping[str, str]) -> dict[str, object] | None:
        """Return the token that a login gets, None where it is nobody's."""
        kind, name, actions = asked["scope"].split(":") if asked.get("scope") else ("", "", "")
        try:
            granted = sorted(self._rule(username, password, name) & set(actions.split(",")))
        except WrongLoginError:
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

    def _client(self, username: str, password: str, _: Mapping[str, str]) -> dict[str, object] | None:
        """Return an access token by client credentials, as RFC 6749 has it; its client's id and secret are encoded."""
        if (unquote_plus(username), unquote_plus(password)) != (CLIENT, CLIENT_SECRET):
            return None
        self._passwords.append(secrets.token_urlsafe(900))
        return {"access_token": self._passwords[-1], "token_type": "Bearer", "expires_in": 3600}


Answering = Callable[[str, str, Mapping[str, str]], dict[str, object] | None]


def _handler(answer: Answering, client: Answering) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(answer(*self._basic(), _flat(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            form = _flat(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if form["grant_type"] == "password":
                self._reply(answer(form["username"], form["password"], form))
            else:
                assert (form["grant_type"], self.path) == ("client_credentials", "/oauth2")
                self._reply(client(*self._basic(), form))

        def _basic(self) -> tuple[str, str]:
            given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            username, _, password = given.partition(":")
            return username, password

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
