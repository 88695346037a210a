"""Google over real HTTP that looks closely: at assertions, exchanged tokens, who becomes whom, the metadata server.

It keeps what was asked, and an answer of its own can be put in front of the right one.
"""

import json
import ssl
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from imps_multi.model.instant import format_instant

from .loopback import QuietHandler, serving

PASSWORD = "ya29.MINTED-TOKEN"
KEY_ID = "0123456789abcdef"
ACCOUNT = "pull@team-a.iam.gserviceaccount.com"
TARGET = "registry@team-b.iam.gserviceaccount.com"
OWN = "hub@infra.iam.gserviceaccount.com"
POOL = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster"
MEMBER = "principal://pool/hub"
PERSON = "person@example.com"
EVERYTHING = "https://www.googleapis.com/auth/cloud-platform"
READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_SUBJECT_TYPE = "urn:ietf:params:oauth:token-type:jwt"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    """What to answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeGoogle:
    """What was asked and given, and what is known: whose key, which foreign tokens, who may become whom."""

    now: float
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    given: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Token to (principal, scope)."""
    foreign: dict[str, str] = field(default_factory=lambda: {"kubernetes-token": MEMBER})
    may_become: set[tuple[str, str]] = field(default_factory=set)
    life: float = 3599
    instead: Callable[[Asked], Answer | None] = lambda _asked: None

    def give(self, principal: str, scope: str) -> str:
        """Make a token for somebody."""
        token = f"{PASSWORD}-{len(self.given)}"
        self.given[token] = (principal, scope)
        return token

    def count(self, end: str) -> int:
        """Return how often a path with this end was asked for."""
        return sum(asked.path.endswith(end) for asked in self.asked)


@cache
def key() -> rsa.RSAPrivateKey:
    """Return the one key of this run: making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


@cache
def pem() -> str:
    """Return it as a key file has it."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key().private_bytes(*form).decode()


def account_key(url: str, **more: object) -> str:
    """Return a service account's key file whose tokens come from ``url``."""
    fields = {
        "type": "service_account",
        "project_id": "team-a",
        "private_key_id": KEY_ID,
        "private_key": pem(),
        "client_email": ACCOUNT,
        "token_uri": f"{url}/token",
        "universe_domain": "googleapis.com",
    }
    return _file(fields | more)


def federation(url: str, **more: object) -> str:
    """Return the file of a federation whose tokens are exchanged at ``url``."""
    fields = {
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": _SUBJECT_TYPE,
        "token_url": f"{url}/v1/token",
        "credential_source": {"file": "/var/run/secrets/google/token"},
    }
    return _file(fields | more)


def login(url: str) -> str:
    """Return the file of a person's login."""
    fields = {
        "client_id": "gcloud",
        "client_secret": "open",
        "refresh_token": "1//refresh",
        "token_uri": f"{url}/token",
    }
    return _file({"type": "authorized_user", **fields})


def impersonation(url: str, email: str = TARGET) -> str:
    """Return where somebody's tokens are asked for."""
    return f"{url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"


def token(password: str = PASSWORD, **more: object) -> Answer:
    """Answer a token that lives an hour, or what is given."""
    return _json({"access_token": password, "expires_in": 3599, "token_type": "Bearer"} | more)


def failure(status: int, code: str, description: str = "MARKEDVALUE", **headers: str) -> Answer:
    """Answer an error as the token endpoints do."""
    return Answer(status, json.dumps({"error": code, "error_description": description}).encode(), headers)


def api_failure(status: int, code: str) -> Answer:
    """Answer an error as Google's APIs do."""
    return Answer(status, json.dumps({"error": {"code": status, "message": "MARKEDVALUE", "status": code}}).encode())


@contextmanager
def fake_google(now: float, tls: ssl.SSLContext | None = None) -> Iterator[FakeGoogle]:
    """Serve on a loopback port while the context lasts."""
    fake = FakeGoogle(now)

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do(b"")

        def do_POST(self) -> None:
            self._do(self.rfile.read(int(self.headers["Content-Length"])))

        def _do(self, body: bytes) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            parts = urlsplit(self.path)
            fields = json.loads(body) if "json" in headers.get("content-type", "") else dict(parse_qsl(body.decode()))
            asked = Asked(self.command, unquote(parts.path), unquote(parts.query), headers, fields)
            fake.asked.append(asked)
            answer = fake.instead(asked) or _answer(fake, asked)
            self.send_response_only(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

    with serving(Handler, tls) as fake.url:
        yield fake


def _answer(fake: FakeGoogle, asked: Asked) -> Answer:
    match asked.method, asked.path:
        case "POST", "/token":
            return _granted(fake, asked)
        case "POST", "/v1/token":
            return _exchanged(fake, asked)
        case "POST", path if path.endswith(":generateAccessToken"):
            return _became(fake, asked)
        case "GET", "/computeMetadata/v1/instance/service-accounts/default/token":
            return _of_machine(fake, asked)
        case "GET", "/subject":
            right = asked.headers.get("x-machine") == "hub"
            return Answer(200, b'{"value": "kubernetes-token"}') if right else Answer(403, b"MARKEDVALUE")
        case _:
            return Answer(404, b"MARKEDVALUE")


def _granted(fake: FakeGoogle, asked: Asked) -> Answer:
    match asked.fields.get("grant_type"):
        case "refresh_token":
            wanted = {"client_id": "gcloud", "client_secret": "open", "refresh_token": "1//refresh"}
            right = wanted.items() <= asked.fields.items()
            return _given(fake, PERSON, str(asked.fields["scope"])) if right else failure(400, "invalid_grant")
        case str() as kind if kind == _JWT:
            assertion = str(asked.fields["assertion"])
            wrong = _wrong(fake, assertion)
            return failure(400, "invalid_grant", wrong) if wrong else _given(fake, ACCOUNT, claims(assertion)["scope"])
        case _:
            return failure(400, "unsupported_grant_type")


def _wrong(fake: FakeGoogle, assertion: str) -> str:
    """Say what is wrong with an assertion, in Google's words."""
    said, head = claims(assertion), _decoded(assertion.split(".", maxsplit=1)[0])
    try:
        _verify(assertion)
    except InvalidSignature:
        return "Invalid JWT Signature. MARKEDVALUE"
    if head != {"typ": "JWT", "alg": "RS256", "kid": KEY_ID} or said["aud"] != f"{fake.url}/token":
        return f"MARKEDVALUE {head} {said}"
    if said["iss"] != ACCOUNT:
        return "Invalid grant: account not found MARKEDVALUE"
    in_time = said["iat"] - 60 <= fake.now < said["exp"] <= said["iat"] + 3600
    return "" if in_time else "Invalid JWT: Token must be in a reasonable timeframe. MARKEDVALUE"


def claims(assertion: str) -> dict[str, Any]:
    """Return what an assertion says."""
    return _decoded(assertion.split(".")[1])


def _verify(assertion: str) -> None:
    signed, _, signature = assertion.rpartition(".")
    key().public_key().verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())


def _decoded(part: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(_bytes(part))
    return fields


def _bytes(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")


def _exchanged(fake: FakeGoogle, asked: Asked) -> Answer:
    wanted = {
        "grant_type": _EXCHANGE,
        "audience": POOL,
        "requested_token_type": _ACCESS_TOKEN,
        "subject_token_type": _SUBJECT_TYPE,
    }
    principal = fake.foreign.get(str(asked.fields.get("subject_token")))
    if not wanted.items() <= asked.fields.items():
        return failure(400, "invalid_request")
    if principal is None:
        return failure(400, "invalid_grant")
    return _given(fake, principal, str(asked.fields["scope"]), issued_token_type=_ACCESS_TOKEN)


def _became(fake: FakeGoogle, asked: Asked) -> Answer:
    email = asked.path.rpartition("/")[2].removesuffix(":generateAccessToken")
    bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
    principal, scope = fake.given.get(bearer, ("", ""))
    if not principal:
        return api_failure(401, "UNAUTHENTICATED")
    if EVERYTHING not in scope or (principal, email) not in fake.may_become:
        return api_failure(403, "PERMISSION_DENIED")
    scopes, life = asked.fields["scope"], str(asked.fields["lifetime"]).removesuffix("s")
    assert isinstance(scopes, list)
    end = format_instant(fake.now + float(life))
    return _json({"accessToken": fake.give(email, " ".join(scopes)), "expireTime": end})


def _of_machine(fake: FakeGoogle, asked: Asked) -> Answer:
    if asked.headers.get("metadata-flavor") != "Google":
        return Answer(403, b"MARKEDVALUE")
    answer = _given(fake, OWN, asked.query.removeprefix("scopes=").replace(",", " "))
    return Answer(answer.status, answer.body, {"Metadata-Flavor": "Google"})


def _given(fake: FakeGoogle, principal: str, scope: str, **more: object) -> Answer:
    return token(fake.give(principal, scope), expires_in=fake.life, **more)


def _json(fields: Mapping[str, object]) -> Answer:
    shown = {name: value for name, value in fields.items() if value is not None}
    return Answer(200, json.dumps(shown).encode(), {"Content-Type": "application/json"})


def _file(fields: Mapping[str, object]) -> str:
    return json.dumps({name: value for name, value in fields.items() if value is not None})
