"""ECR tokens by aiobotocore: one GetAuthorizationToken per call of ``mint``, as the identity that was asked for.

One session serves the process: another one costs 9 MB and 95 ms (botocore reads its models again). aiobotocore is
imported at the first mint, in a thread. Nothing is tried twice here: the token keeper owns the retries. Fed with
identities of ``ecr_source``.
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

import anyio
import anyio.to_thread

from imps_multi import __version__
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Invalid, Reason, Transient

SESSION_NAME: Final = "imps-multi"

_CONNECT: Final = 3.0
_READ: Final = 10.0
_WHOLE: Final = 30.0
"""A mint may be three calls: the process's own credentials, the role, the token."""


class EcrProvider:
    """Mints ECR tokens. Use one for the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._building = anyio.Lock()
        self._session: Any = None
        self._config: Any = None

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token.

        Raises:
            Transient, Throttled: AWS cannot be reached or asks for patience.
            Unauthorized, Forbidden: AWS refuses the identity, or the call to it.
            Invalid: the request or the answer is of no use.
        """
        request = identity.request
        try:
            with anyio.fail_after(_WHOLE):
                await self._ready()
                keys = _keys(request)
                if "roleArn" in request:
                    keys = await self._assumed(request, keys)
                return await self._token(request, keys)
        except TimeoutError:
            raise Transient(
                f"{_call(request, 'the ECR login')}: not done after {_WHOLE:.0f} s", reason=Reason.TIMEOUT
            ) from None

    async def _ready(self) -> None:
        """Import and warm up once; the lock covers no network."""
        async with self._building:
            if self._session is None:
                self._session, self._config = await anyio.to_thread.run_sync(_build)

    async def _assumed(self, request: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
        parameters = {
            "RoleArn": request["roleArn"],
            "RoleSessionName": request.get("sessionName", SESSION_NAME),
        }
        if "externalID" in request:
            parameters["ExternalId"] = request["externalID"]
        call = _call(request, "STS AssumeRole")
        answer = await self._ask("sts", "assume_role", request, keys, parameters, call)
        try:
            given = answer["Credentials"]
            return {
                "aws_access_key_id": str(given["AccessKeyId"]),
                "aws_secret_access_key": str(given["SecretAccessKey"]),
                "aws_session_token": str(given["SessionToken"]),
            }
        except (KeyError, TypeError):
            raise Invalid(f"{call}: the answer holds no credentials") from None

    async def _token(self, request: Mapping[str, str], keys: Mapping[str, str]) -> MintedToken:
        call = _call(request, "ECR GetAuthorizationToken")
        issued_at = self._clock()
        answer = await self._ask("ecr", "get_authorization_token", request, keys, {}, call)
        return _read(answer, issued_at, call)

    async def _ask(
        self,
        service: str,
        operation: str,
        request: Mapping[str, str],
        keys: Mapping[str, str],
        parameters: Mapping[str, str],
        call: str,
    ) -> Mapping[str, Any]:
        """Open a client, make one call, close it."""
        from imps_multi.registries.aws_failures import FAILURES, translated

        try:
            async with self._session.create_client(
                service,
                region_name=request["region"],
                endpoint_url=request.get(f"{service}EndpointURL"),
                config=self._config,
                **keys,
            ) as client:
                answer: Mapping[str, Any] = await getattr(client, operation)(**parameters)
                return answer
        except FAILURES as error:
            # Without its cause: botocore's messages may quote what was signed.
            raise translated(error, call) from None


def _build() -> tuple[Any, Any]:
    """Import aiobotocore and read what every client needs: 0.4 s, so not on the loop."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    from imps_multi.registries import aws_failures  # noqa: F401 -- imports botocore's errors here, in the thread

    session = get_session()
    session.user_agent_extra += f" imps-multi/{__version__}"
    config = AioConfig(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"mode": "standard", "total_max_attempts": 1},
        warm_up_loader_caches=True,
    )
    for service in ("ecr", "sts"):
        session.warm_up_loader_caches(service)
    return session, config


def _keys(request: Mapping[str, str]) -> dict[str, str]:
    """Return a client's own keys; empty for the process's own identity."""
    names = {
        "aws_access_key_id": "accessKeyID",
        "aws_secret_access_key": "secretKey",
        "aws_session_token": "sessionToken",
    }
    return {name: request[key] for name, key in names.items() if key in request}


def _call(request: Mapping[str, str], name: str) -> str:
    return f"{name} in {request['region']}"


def _read(answer: Mapping[str, Any], issued_at: float, call: str) -> MintedToken:
    given = answer.get("authorizationData")
    if not isinstance(given, list) or not given or not isinstance(given[0], dict):
        raise Invalid(f"{call}: the answer holds no token")
    try:
        login = b64decode(str(given[0].get("authorizationToken", "")), validate=True).decode()
        expires = given[0].get("expiresAt")
        expires_at = None if expires is None else float(expires.timestamp())
    except (ValueError, OverflowError, AttributeError):
        raise Invalid(f"{call}: the answer's token or its expiry cannot be read") from None
    username, colon, password = login.partition(":")
    if not colon:
        raise Invalid(f"{call}: the token does not hold user:password (there is no colon in it)")
    endpoint = str(given[0].get("proxyEndpoint", ""))
    return MintedToken(username, password, issued_at, expires_at, endpoint)
