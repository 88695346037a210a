"""What the refusals of Entra ID and of a managed identity's endpoint mean, as one of the ports' errors.

Pure. Messages carry the call, the HTTP status and Entra's number, never a text of the answer: Entra's own messages name
tenants, applications and addresses. Feeds the Azure provider.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from imps_multi.ports import PortError, Throttled, Transient, Unauthorized
from imps_multi.registries.outbound_failures import answered

_SAID: Final = {
    50034: "there is no such account in the tenant",
    53003: "a conditional access policy forbids it",
    70021: "no federated credential of the application fits the process's token",
    90002: "there is no such tenant in this cloud",
    500011: "the tenant does not know the audience",
    700016: "there is no such application in the tenant",
    700024: "the assertion is out of date; is this host's clock right?",
    700027: "the certificate is not one of the application's, or is out of date",
    700211: "no federated credential of the application fits the token's issuer",
    700212: "no federated credential of the application fits the token's audience",
    700213: "no federated credential of the application fits the token's subject",
    7000112: "the application is disabled",
    7000215: "the client secret is wrong; its value is needed, not its ID",
    7000222: "the client secret has expired",
}
"""Entra's error numbers that people meet."""
_NO_SUCH_IDENTITY: Final = 400
_BEING_UPDATED: Final = frozenset({404, 410})


class _Refusal(msgspec.Struct):
    """What Entra adds to an OAuth 2 error."""

    error_codes: list[int] = []


def refused_login(call: str, status: int, headers: Mapping[str, str], body: bytes) -> PortError:
    """Say what to do about an answer of Entra ID that is no token."""
    try:
        codes = msgspec.json.decode(body, type=_Refusal).error_codes
    except (msgspec.DecodeError, RecursionError):
        codes = []
    if codes:
        number = codes[0]
        call = f"{call}: AADSTS{number}{f', {_SAID[number]}' if number in _SAID else ''}"
    return answered(call, status, headers, body)


def refused_managed(call: str, status: int, headers: Mapping[str, str], body: bytes) -> PortError:
    """Say what to do about an answer of a managed identity's endpoint that is no token.

    Microsoft: 400 is an identity that is not assigned; 404 and 410 are a service that is being updated.
    """
    error = answered(call, status, headers, body)
    if isinstance(error, Throttled):
        return error
    if status == _NO_SUCH_IDENTITY:
        return Unauthorized(f"{error}: there is no managed identity here, or not the one that clientID names")
    return Transient(str(error), answered=True) if status in _BEING_UPDATED else error
