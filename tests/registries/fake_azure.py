"""Entra ID, a managed identity's endpoint and a registry over real HTTP, each checking what the real one checks.

Each is a server of its own, so that a call to the wrong one fails. An answer of its own can be put in front of theirs.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from .secrets import MARK
from .token_server import Heard, Said, TokenServer, said, token_server

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = f"{MARK}~client.secret"
AUDIENCE = "https://containerregistry.azure.net"
SERVICE = "what an app service shows"
EXCHANGED = "api://AzureADTokenExchange"
NOW = 1_900_000_000.0
LIFE = 3 * 3600.0
_ENTRA_KEY = "entra-signs-its-access-tokens-with-this"
_CLUSTER_KEY = "the-cluster-signs-service-accounts-with"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class FakeAzure:
    """The servers, who may log in how, and who may pull."""

    entra: TokenServer
    machine: TokenServer
    registry: TokenServer
    secrets: dict[str, str] = field(default_factory=lambda: {CLIENT: SECRET})
    certificates: dict[str, bytes] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    """The service account whose token an application takes."""
    assigned: list[str] = field(default_factory=lambda: [""])
    """The machine's identities; the empty one is the system's."""
    pullers: set[str] = field(default_factory=lambda: {CLIENT, "system"})
    audiences: tuple[str, ...] = (AUDIENCE,)
    instead: dict[str, Said] = field(default_factory=dict)
    """By the server's name: what it answers, whatever it is asked."""

    @property
    def host(self) -> str:
        """The registry's login server."""
        return urlsplit(self.registry.url).netloc


@contextmanager
def fake_azure() -> Iterator[FakeAzure]:
    """Serve while the context lasts."""
    with ExitStack() as stack:
        entra, machine, registry = (stack.enter_context(token_server()) for _ in range(3))
        azure = FakeAzure(entra, machine, registry)
        _serve(azure, "entra", azure.entra, _entra)
        _serve(azure, "machine", azure.machine, _machine)
        _serve(azure, "registry", azure.registry, _registry)
        yield azure


def refresh_token(**claims: object) -> str:
    """Return a registry's token with these claims."""
    payload = {"jti": "1", "sub": CLIENT, "grant_type": "refresh_token", **claims}
    return jwt.encode(payload, "the-registry-signs-its-tokens-with-this-key", algorithm="HS256")


def cluster_token(subject: str, audience: str = EXCHANGED) -> str:
    """Return a service account's token, as a cluster projects it."""
    return jwt.encode({"sub": subject, "aud": audience}, _CLUSTER_KEY, algorithm="HS256")


def entra_refusal(status: int, error: str, number: int = 0, **headers: str) -> Said:
    """Answer as Entra does; its description quotes."""
    content = {"error": error, "error_description": f"AADSTS{number}: {MARK}", "error_codes": [number]}
    return Said(status, json.dumps(content).encode(), headers)


def registry_refusal(status: int, code: str) -> Said:
    """Answer as a registry does."""
    return said(status, errors=[{"code": code, "message": MARK, "detail": MARK}])


@cache
def certificate(number: int = 1) -> tuple[bytes, bytes]:
    """Return one of the self-signed certificates of one RSA key, and the key, as PEM."""
    key = _key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pull")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), number)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _serve(azure: FakeAzure, name: str, server: TokenServer, answer: Callable[[FakeAzure, Heard], Said]) -> None:
    server.answer = lambda heard: azure.instead.get(name) or answer(azure, heard)


def _entra(azure: FakeAzure, heard: Heard) -> Said:
    if (heard.method, heard.path) != ("POST", f"/{TENANT}/oauth2/v2.0/token"):
        return entra_refusal(400, "invalid_request", 90002)
    form = heard.form
    client, scope = form.get("client_id", ""), form.get("scope", "")
    if form.get("grant_type") != "client_credentials" or not scope.endswith("/.default"):
        return entra_refusal(400, "invalid_scope", 70011)
    if client not in {*azure.secrets, *azure.certificates, *azure.subjects}:
        return entra_refusal(400, "unauthorized_client", 700016)
    if "client_secret" in form:
        if form["client_secret"] != azure.secrets.get(client):
            return entra_refusal(401, "invalid_client", 7000215)
    elif form.get("client_assertion_type") != _ASSERTION or not _vouched(azure, form, heard):
        return entra_refusal(401, "invalid_client", 700027 if client in azure.certificates else 700213)
    return said(
        token_type="Bearer", expires_in=3599, access_token=_access_token(client, scope.removesuffix("/.default"))
    )


def _vouched(azure: FakeAzure, form: dict[str, str], heard: Heard) -> bool:
    """Check an assertion: signed by the application's certificate, or of the service account that it takes."""
    client, assertion = form["client_id"], form.get("client_assertion", "")
    try:
        if client in azure.subjects:
            claims = jwt.decode(assertion, _CLUSTER_KEY, algorithms=["HS256"], audience=EXCHANGED)
            return bool(claims["sub"] == azure.subjects[client])
        known = x509.load_pem_x509_certificate(azure.certificates[client])
        audience = f"https://{heard.headers['host']}{heard.path}"
        claims = jwt.decode(assertion, known.public_key(), algorithms=["PS256"], audience=audience)  # type: ignore[arg-type]  # an RSA key, as made above
        return claims["iss"] == claims["sub"] == client and _thumbprint(assertion) == known.fingerprint(hashes.SHA256())
    except (jwt.InvalidTokenError, KeyError):
        return False


def _thumbprint(assertion: str) -> bytes:
    shown = jwt.get_unverified_header(assertion)["x5t#S256"]
    return base64.urlsafe_b64decode(shown + "=" * (-len(shown) % 4))


def _machine(azure: FakeAzure, heard: Heard) -> Said:
    parts = urlsplit(heard.path)
    asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
    service = parts.path == "/msi/token"
    shown = heard.headers.get("x-identity-header") == SERVICE if service else heard.headers.get("metadata") == "true"
    if not shown or "x-forwarded-for" in heard.headers:
        return said(400, error="invalid_request", error_description="Required metadata header not specified")
    if parts.path not in {"/msi/token", "/metadata/identity/oauth2/token"} or "api-version" not in asked:
        return said(404, error="not_found")
    client = asked.get("client_id", "")
    if client not in azure.assigned:
        return said(400, error="invalid_request", error_description=f"Identity not found {MARK}")
    token = _access_token(client or "system", asked["resource"])
    return said(access_token=token, expires_in="86400", expires_on="1", resource=asked["resource"], token_type="Bearer")


def _access_token(client: str, audience: str) -> str:
    return jwt.encode({"appid": client, "aud": audience, "tid": TENANT}, _ENTRA_KEY, algorithm="HS256")


def _registry(azure: FakeAzure, heard: Heard) -> Said:
    if (heard.method, heard.path) != ("POST", "/oauth2/exchange"):
        return registry_refusal(404, "NAME_UNKNOWN")
    form = heard.form
    if (form.get("grant_type"), form.get("service")) != ("access_token", azure.host):
        return registry_refusal(400, "UNSUPPORTED")
    try:
        claims = jwt.decode(form["access_token"], _ENTRA_KEY, algorithms=["HS256"], audience=list(azure.audiences))
    except (jwt.InvalidTokenError, KeyError):
        return registry_refusal(401, "UNAUTHORIZED")
    if claims["appid"] not in azure.pullers or form.get("tenant", TENANT) != claims["tid"]:
        return registry_refusal(401, "UNAUTHORIZED")
    return said(refresh_token=refresh_token(sub=claims["appid"], exp=int(NOW + LIFE)))
