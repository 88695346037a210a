"""Access tokens of Entra ID by azure-identity's asynchronous credentials, over calls of ours.

Imported at the first mint, in a thread: 0.2 s and 22 MB. azure-identity knows what to ask, and where a managed identity
is found; it never opens a connection, tries nothing twice, and sees of an answer the token alone. A credential lives as
long as a mint, so that no token outlives the identity it was asked for with.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import HeadersPolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.identity.aio import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential
from cryptography.exceptions import UnsupportedAlgorithm

from imps_multi.ports import Invalid, PortError
from imps_multi.registries.azure_certificates import Certificates
from imps_multi.registries.outbound import Reply

FAILURES: Final = (
    *(AzureError, UnsupportedAlgorithm),
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
)
"""What azure-identity and its cryptography may raise; the second row is how they meet what they did not expect."""

Exchange = Callable[..., Awaitable[Reply]]
Refused = Callable[[str, int, Mapping[str, str], bytes], PortError]
"""What an answer without success means: of a call, its status, headers and body."""

_SUCCESS: Final = 200


def quiet() -> None:
    """Keep azure-identity from saying on stderr what the mint's error says."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)


class _Granted(msgspec.Struct):
    """A token endpoint's answer, as far as it counts: the access token serves once, at once."""

    access_token: str


class _Answer:
    """What azure-core and azure-identity read of an answer."""

    status_code = _SUCCESS
    reason = "OK"
    content_type = "application/json"

    def __init__(self, token: str) -> None:
        self.headers: dict[str, str] = {}
        granted = {"access_token": token, "token_type": "Bearer", "expires_in": "3600", "resource": ""}
        self._text = msgspec.json.encode(granted).decode()

    def text(self, _encoding: str | None = None) -> str:
        """Return the body."""
        return self._text


class Transport(AsyncHttpTransport[Any, Any]):
    """azure-core's way to the network. ``plain``: http is meant, where azure-identity insists on https."""

    def __init__(self, exchange: Exchange, refused: Refused, call: str, *, plain: bool = False) -> None:
        self._exchange, self._refused, self._call, self._plain = exchange, refused, call, plain

    async def send(self, request: Any, **_: Any) -> Any:
        """Make the call. Raises PortErrors."""
        url = request.url.replace("https://", "http://", 1) if self._plain else request.url
        body = request.content
        sent = urlencode(body).encode() if isinstance(body, dict) else body or b""
        reply = await self._exchange(request.method, url, call=self._call, headers=dict(request.headers), body=sent)
        if reply.status != _SUCCESS:
            raise self._refused(self._call, reply.status, reply.headers, reply.body)
        try:
            return _Answer(msgspec.json.decode(reply.body, type=_Granted).access_token)
        except (msgspec.DecodeError, RecursionError):
            raise Invalid(f"{self._call}: the answer holds no token") from None

    async def open(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing behind."""


def by_secret(tenant: str, client: str, secret: str, *, authority: str, transport: Transport) -> Any:
    """Return the credential of a service principal."""
    return ClientSecretCredential(tenant, client, secret, authority=authority, **_over(transport))


def by_assertion(tenant: str, client: str, assertion: str, *, authority: str, transport: Transport) -> Any:
    """Return the credential of whoever shows a token: a workload, or a service principal that signed one."""
    return ClientAssertionCredential(tenant, client, lambda: assertion, authority=authority, **_over(transport))


def by_machine(client: str, *, transport: Transport) -> Any:
    """Return the credential of the machine's managed identity, found by the environment.

    It has azure-core's own policies, since some endpoints take a header that one of those sets.
    """
    return ManagedIdentityCredential(
        client_id=client or None, _exclude_workload_identity_credential=True, transport=transport, retry_total=0
    )


def certificates() -> Certificates:
    """Return what signs with certificates; one for the process."""
    return Certificates()


async def access_token(credential: Any, scope: str, call: str) -> str:
    """Ask for one token."""
    try:
        return str((await credential.get_token_info(scope)).token)
    except FAILURES as error:
        if isinstance(error.__cause__, PortError):  # a managed identity's credential wraps what it does not know
            raise error.__cause__ from None
        raise Invalid(f"{call}: the request or the answer is of no use ({type(error).__name__})") from None


def _over(transport: Transport) -> dict[str, Any]:
    """Have all go over the transport, with no policy but the one that sets a request's headers: none tries again."""
    return {"transport": transport, "policies": [HeadersPolicy()]}
