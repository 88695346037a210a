"""ECR and STS over real HTTP that look closely: they check each signature and keep what was asked.

An answer of its own can be put in front of the right one.
"""

import hashlib
import hmac
import json
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

from .loopback import QuietHandler, serving

PASSWORD = "MINTED-TOKEN"
ASSUMED = ("ASIAASSUMED", "assumed-secret", "assumed-session-token")


@dataclass(frozen=True)
class Asked:
    """One request that was signed properly."""

    service: str
    operation: str
    access_key: str
    region: str
    parameters: Mapping[str, str]
    session_token: str
    user_agent: str


@dataclass(frozen=True)
class Answer:
    """What to answer: a body, its type follows the service."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeAws:
    """What was asked, which keys are known (access key to secret), and what to answer instead of a token."""

    known: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    instead: Callable[[Asked], Answer | None] = lambda _asked: None
    url: str = ""

    def count(self, service: str) -> int:
        """Return how often a service was asked."""
        return sum(asked.service == service for asked in self.asked)


@contextmanager
def fake_aws(tls: ssl.SSLContext | None = None, **known: str) -> Iterator[FakeAws]:
    """Serve on a loopback port while the context lasts."""
    fake = FakeAws(known=known | {ASSUMED[0]: ASSUMED[1]})

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = _answer(fake, {key.lower(): value for key, value in self.headers.items()}, self.path, body)
            self.answer(answer.status, answer.body, **answer.headers)

    with serving(Handler, tls) as fake.url:
        yield fake


def token(password: str = PASSWORD, **more: object) -> Answer:
    """Answer a token that lives twelve hours, or what is given."""
    given = {
        "authorizationToken": b64encode(f"AWS:{password}".encode()).decode(),
        "expiresAt": int(time.time()) + 12 * 3600,
        "proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    } | more
    data = {key: value for key, value in given.items() if value is not None}
    return Answer(200, json.dumps({"authorizationData": [data]}).encode())


def failure(status: int, code: str, *, message: str = "MARKEDVALUE", **headers: str) -> Answer:
    """Answer an error in ECR's protocol."""
    body = json.dumps({"__type": f"com.amazonaws.ecr#{code}", "message": message}).encode()
    return Answer(status, body, headers)


def sts_failure(status: int, code: str) -> Answer:
    """Answer an error in STS's protocol."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>MARKEDVALUE</Message></Error>"
    return Answer(status, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode())


def _answer(fake: FakeAws, headers: Mapping[str, str], path: str, body: bytes) -> Answer:
    scheme, _, rest = headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    access_key, date, region, service, _ = parts["Credential"].split("/")
    secret = fake.known.get(access_key)
    if scheme != "AWS4-HMAC-SHA256" or secret is None:
        return failure(403, "UnrecognizedClientException")
    scope = f"{date}/{region}/{service}/aws4_request"
    if _signature(secret, scope, parts["SignedHeaders"].split(";"), headers, path, body) != parts["Signature"]:
        return failure(403, "InvalidSignatureException", message=f"signed were {headers}")
    parameters = {key: values[0] for key, values in parse_qs(body.decode()).items()} if service == "sts" else {}
    asked = Asked(
        service=service,
        operation=parameters.get("Action", headers.get("x-amz-target", "").rpartition(".")[2]),
        access_key=access_key,
        region=region,
        parameters=parameters,
        session_token=headers.get("x-amz-security-token", ""),
        user_agent=headers["user-agent"],
    )
    fake.asked.append(asked)
    return fake.instead(asked) or (_role() if service == "sts" else token())


def _role() -> Answer:
    credentials = "".join(
        f"<{name}>{value}</{name}>"
        for name, value in zip(
            ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"),
            (*ASSUMED, "2099-01-01T00:00:00Z"),
            strict=True,
        )
    )
    result = f"<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>"
    namespace = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
    return Answer(200, f"<AssumeRoleResponse {namespace}>{result}</AssumeRoleResponse>".encode())


def _signature(secret: str, scope: str, signed: list[str], headers: Mapping[str, str], path: str, body: bytes) -> str:
    """Sign as the AWS documentation's Signature Version 4 has it."""
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in signed]
    request = "\n".join(["POST", path, "", *lines, "", ";".join(signed), hashlib.sha256(body).hexdigest()])
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
