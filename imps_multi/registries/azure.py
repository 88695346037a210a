"""Azure Container Registry's refresh tokens: a login to Entra ID, then one exchange at the registry.

Both go through the guarded calls, so nothing blocks the loop and a hanging endpoint costs its own keeper. What is the
process's own, its managed identity's endpoint and its workload's authority, is asked where the environment says.
azure-identity is imported at the first mint, in a thread. Nothing is tried twice: the token keeper owns the retries.
Fed with identities of ``azure_source``.
"""

import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Invalid, Reason, Transient, Unauthorized
from imps_multi.registries.azure_failures import refused_login, refused_managed
from imps_multi.registries.azure_own import Managed, Workload, own_login
from imps_multi.registries.azure_source import CERTIFICATE, SECRET
from imps_multi.registries.outbound import Outbound

USERNAME: Final = "00000000-0000-0000-0000-000000000000"
"""What a registry takes its refresh tokens with."""
_WHOLE: Final = 30.0
_LARGEST_FILE: Final = 64 << 10
_JWT_PARTS: Final = 3


class _Claims(msgspec.Struct):
    """What counts of a refresh token's payload."""

    exp: float | None = None


class AzureProvider:
    """Mints refresh tokens of registries. Use one for the process, on asyncio."""

    def __init__(self, clock: Clock, outbound: Outbound, own: Outbound) -> None:
        """``own`` calls what is the process's own."""
        self._clock = clock
        self._outbound = outbound
        self._own = own
        self._importing = anyio.Lock()
        self._library: Any = None
        self._certificates: Any = None
        # Threads of their own: a file on a dead disk keeps one, and neither other providers nor the signing wait.
        self._working = anyio.CapacityLimiter(2)
        self._reading = anyio.CapacityLimiter(4)

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token.

        Raises:
            Transient, Throttled: Azure cannot be reached or asks for patience.
            Unauthorized, Forbidden: Azure refuses the identity, or its access to the registry.
            Invalid: the request or the answer is of no use.
        """
        request = identity.request
        try:
            with anyio.fail_after(_WHOLE):
                await self._ready()
                tenant, access = await self._logged_in(request)
                return await self._exchanged(request, tenant, access)
        except TimeoutError:
            raise Transient(
                f"the Azure login for {request['registry']}: not done after {_WHOLE:.0f} s", reason=Reason.TIMEOUT
            ) from None

    async def _ready(self) -> None:
        async with self._importing:
            if self._library is None:
                self._library = await anyio.to_thread.run_sync(_import, limiter=self._working)
                self._certificates = self._library.certificates()

    async def _logged_in(self, request: Mapping[str, str]) -> tuple[str, str]:
        """Return an access token of Entra ID, and the tenant that it is of, where that is known."""
        if request["login"] in {SECRET, CERTIFICATE}:
            return request["tenantID"], await self._principal(request)
        match own_login(request, os.environ):
            case Workload() as workload:
                return workload.tenant, await self._workload(request, workload)
            case Managed() as managed:
                return request.get("tenantID", ""), await self._managed(request, managed)

    async def _principal(self, request: Mapping[str, str]) -> str:
        call = f"the Entra ID login for {request['registry']}"
        who, authority = (request["tenantID"], request["clientID"]), request["authority"]
        if request["login"] == SECRET:
            make, shown = self._library.by_secret, request["clientSecret"]
        else:
            make, shown = self._library.by_assertion, await self._signed(request, call)
        credential = make(*who, shown, **self._entra(self._outbound, authority, call))
        return str(await self._library.access_token(credential, request["scope"], call))

    async def _signed(self, request: Mapping[str, str], call: str) -> str:
        audience = f"{_https(request['authority'])}/{request['tenantID']}/oauth2/v2.0/token"
        sign = partial(self._certificates.assertion, request["clientCertificate"], request["clientID"], audience)
        try:
            return str(await anyio.to_thread.run_sync(sign, limiter=self._working))
        except self._library.FAILURES:
            raise Invalid(
                f"{call}: key clientCertificate cannot be read; it needs a certificate and its own RSA key"
            ) from None

    async def _workload(self, request: Mapping[str, str], workload: Workload) -> str:
        call = f"the workload identity's Entra ID login for {request['registry']}"
        shown = await self._read(Path(workload.token_file), call)
        where = self._entra(self._own, workload.authority, call)
        credential = self._library.by_assertion(workload.tenant, workload.client, shown, **where)
        return str(await self._library.access_token(credential, request["scope"], call))

    def _entra(self, calls: Outbound, authority: str, call: str) -> dict[str, Any]:
        """Say where and how to log in; azure-identity knows https only, http is the guard's to allow."""
        plain = authority.startswith("http://")
        transport = self._library.Transport(calls.exchange, refused_login, call, plain=plain)
        return {"authority": _https(authority), "transport": transport}

    async def _managed(self, request: Mapping[str, str], managed: Managed) -> str:
        call = f"the managed identity's token for {request['registry']}"
        transport = self._library.Transport(self._own.exchange, refused_managed, call)
        make = partial(self._library.by_machine, managed.client, transport=transport)
        credential = await anyio.to_thread.run_sync(make, limiter=self._working)  # it may import more
        return str(await self._library.access_token(credential, request["scope"], call))

    async def _exchanged(self, request: Mapping[str, str], tenant: str, access: str) -> MintedToken:
        call = f"the exchange at {request['registry']}"
        form = {"grant_type": "access_token", "service": request["registry"], "access_token": access}
        issued_at = self._clock()
        answer = await self._outbound.ask(
            "POST", f"{request['url']}/oauth2/exchange", call=call, form=form | ({"tenant": tenant} if tenant else {})
        )
        token = answer.get("refresh_token")
        if not isinstance(token, str) or not token:
            raise Invalid(f"{call}: the answer holds no token")
        return MintedToken(USERNAME, token, issued_at, _end(token, call), request["url"])

    async def _read(self, path: Path, call: str) -> str:
        """Read a token's file anew, since it is rotated; one on a dead disk is given up, and keeps its thread."""
        read = partial(_content, path)
        try:
            return await anyio.to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._reading)
        except (OSError, ValueError) as error:
            raise Unauthorized(f"{call}: its token's file cannot be read ({type(error).__name__})") from None


def _import() -> Any:
    library = import_module("imps_multi.registries.azure_login")
    library.quiet()
    return library


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LARGEST_FILE).decode().strip()


def _https(authority: str) -> str:
    return authority.replace("http://", "https://", 1)


def _end(token: str, call: str) -> float | None:
    """Return when a refresh token ends, by its own word; it is not verified, since the registry will do that."""
    parts = token.split(".")
    try:
        if len(parts) != _JWT_PARTS:
            raise ValueError("another number of parts")  # noqa: TRY301  # one way out for all that is wrong with it
        payload = urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(payload, type=_Claims).exp
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise Invalid(f"{call}: the token is none of a registry's (no JWT whose exp can be read)") from None
