"""AWS Signature Version 4, as a server checks it.

Pure, over the parts of a request. Written from the public description of the algorithm, with the standard library
alone, so that the client's own signer is what is tested. Used by the ECR and STS endpoint.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

import msgspec

__all__ = ["Credential", "SignatureError", "Signed", "verify"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_HEADER = re.compile(
    rf"{_ALGORITHM}\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_SCOPE_PARTS = 5


class SignatureError(Exception):
    """A request is not signed as it must be. `code` is what AWS calls that."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Credential(msgspec.Struct, frozen=True):
    """An access key; temporary ones bring a session token."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credential({self.access_key})"


class Signed(msgspec.Struct, frozen=True):
    """Who signed a request, and for what."""

    access_key: str
    region: str
    service: str


def verify(*, method: str, headers: Mapping[str, str], body: bytes, find: Callable[[str], Credential | None]) -> Signed:
    """Check the signature of a request to `/` without a query; header names in lower case.

    Raises:
        SignatureError: None, an unknown key, a foreign session token, or another signature than the key makes.
    """
    match = _HEADER.fullmatch(headers.get("authorization", ""))
    scope = match["credential"].split("/") if match else []
    if match is None or len(scope) != _SCOPE_PARTS:
        raise SignatureError("MissingAuthenticationToken", "Request is missing Authentication Token")
    access_key, date, region, service, _ = scope
    credential = find(access_key)
    if credential is None or headers.get("x-amz-security-token", "") != credential.session_token:
        raise SignatureError("UnrecognizedClientException", "The security token included in the request is invalid.")
    signed_headers = match["headers"].split(";")
    canonical = _canonical(method, signed_headers, headers, body)
    text = "\n".join([_ALGORITHM, headers.get("x-amz-date", ""), "/".join(scope[1:]), _digest(canonical)])
    key = _key(credential.secret_key, date, region, service)
    if not hmac.compare_digest(_mac(key, text).hex(), match["signature"]):
        message = "The request signature we calculated does not match the signature you provided."
        raise SignatureError("InvalidSignatureException", message)
    return Signed(access_key, region, service)


def _canonical(method: str, names: list[str], headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}" for name in names]
    return "\n".join([method, "/", "", *lines, "", ";".join(names), _digest(body)]).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = _mac(key, part)
    return key
