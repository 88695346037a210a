"""ECR tokens by aiobotocore: one GetAuthorizationToken per call of ``mint``, as the identity that was asked for.

One session serves the process: another one costs 9 MB and 95 ms (botocore reads its models again). Its clients are
shared by all identities. aiobotocore is imported at the first mint, in a thread. Nothing is tried twice here: the token
keeper owns the retries. Fed with identities of ``ecr_source``.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from imps_multi import __version__
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Forbidden, Invalid, Reason, Transient, Unauthorized
from imps_multi.registries.aws_borrowing import LOOKUP_SECONDS, Borrowing, Keys
from imps_multi.registries.aws_clients import Call, Clients, Where
from imps_multi.registries.aws_hosts import ENDPOINTS
from imps_multi.registries.ecr_source import roles
from imps_multi.registries.guard import RefusedUrlError, destination
from imps_multi.registries.sockets import Sockets

if TYPE_CHECKING:
    from imps_multi.registries.aws_profile import Profiles

SESSION_NAME: Final = "imps-multi"
_PUBLIC: Final = "ecr-public"
_SPOKEN: Final = {"ecr": "ECR", _PUBLIC: "ECR Public"}
_URL_KEYS: Final = {"ecr": "ecrEndpointURL", _PUBLIC: "ecrEndpointURL", "sts": "stsEndpointURL"}

_CONNECT: Final = 3.0
_READ: Final = 10.0
_WHOLE: Final = 30.0
"""A mint may be several calls: the process's own credentials, each role, the token."""


class EcrProvider:
    """Mints ECR tokens. Use one for the process, on asyncio."""

    def __init__(
        self, clock: Clock, listed: Callable[[], tuple[str, ...]], *, lookup_seconds: float = LOOKUP_SECONDS
    ) -> None:
        """``listed`` gives ``sources.endpoints`` as they are now: endpoints that a source names must be among them."""
        self._clock = clock
        self._listed = listed
        self._building = anyio.Lock()
        self._borrowing = Borrowing(lookup_seconds)
        self._session: Any = None
        self._clients: Clients
        self._default: Callable[[], Any]
        self._profiles: Profiles
        self._warm = {"ecr"}

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
                await self._ready(request)
                keys = _own_keys(request) or await self._ambient_keys(request)
                steps = roles(request)
                for step, (_, role) in enumerate(steps, start=1):
                    keys = await self._assumed_keys(request, keys, role, (step, len(steps)))
                return await self._token(request, keys)
        except TimeoutError:
            raise Transient(
                f"{_call(request, 'the ECR login')}: not done after {_WHOLE:.0f} s", reason=Reason.TIMEOUT
            ) from None

    async def _ready(self, request: Mapping[str, str]) -> None:
        """Import and warm up once; the lock covers no network."""
        async with self._building:
            call = _call(request, "the process's own AWS settings")
            if self._session is None:
                await anyio.to_thread.run_sync(import_module, "imps_multi.registries.aws_failures")
                from imps_multi.registries.aws_profile import Profiles
                from imps_multi.resolver import LOOKUPS, Resolver

                session = await _in_thread(_build, call)
                self._clients = Clients(session, Resolver(anyio.Semaphore(LOOKUPS)))
                self._default = partial(_default_resolver, session, {})
                self._profiles = Profiles(session)
                self._session = session
            if (service := _registry_service(request)) not in self._warm:
                await _in_thread(partial(self._session.warm_up_loader_caches, service), call)
                self._warm.add(service)

    async def _ambient_keys(self, request: Mapping[str, str]) -> Keys:
        """Return the process's own keys of this moment, looked up anew: a file of theirs may have been rotated."""
        from imps_multi.registries.aws_failures import FAILURES, translated

        profile = request.get("profile", "")
        call = _call(request, f"the process's own AWS identity{' (a profile)' if profile else ''}")
        kind = (profile, request["region"] if profile else "")
        where = partial(self._profiles.resolver, *kind) if profile else self._default
        try:
            keys = await self._borrowing.keys(kind, partial(_found, where))
        except FAILURES as error:
            raise translated(error, call) from None
        if keys is None:
            raise Unauthorized(f"{call}: there is none (no environment, profile, token or instance role)")
        return keys

    async def _assumed_keys(self, request: Mapping[str, str], keys: Keys, role: str, at: tuple[int, int]) -> Keys:
        """Take on one role; ``at`` says which of how many. The external ID is for the last alone."""
        step, last = at
        parameters = {"RoleArn": role, "RoleSessionName": request.get("sessionName", SESSION_NAME)}
        if "externalID" in request and step == last:
            parameters["ExternalId"] = request["externalID"]
        call = _call(request, "STS AssumeRole" + (f" (role {step} of {last})" if last > 1 else ""))
        answer = await self._ask("sts", "assume_role", request, keys, parameters, call)
        try:
            given = answer["Credentials"]
            return Keys(str(given["AccessKeyId"]), str(given["SecretAccessKey"]), str(given["SessionToken"]))
        except (KeyError, TypeError):
            raise Invalid(f"{call}: the answer holds no credentials") from None

    async def _token(self, request: Mapping[str, str], keys: Keys) -> MintedToken:
        service = _registry_service(request)
        call = _call(request, f"{_SPOKEN[service]} GetAuthorizationToken")
        issued_at = self._clock()
        answer = await self._ask(service, "get_authorization_token", request, keys, {}, call)
        return _read(answer, issued_at, call)

    async def _ask(
        self,
        service: str,
        operation: str,
        request: Mapping[str, str],
        keys: Keys,
        parameters: Mapping[str, str],
        call: str,
    ) -> Mapping[str, Any]:
        """Make one call."""
        from imps_multi.registries.aws_failures import FAILURES, translated

        url = request.get(_URL_KEYS[service])
        sockets = None if url is None else self._sockets(url, call)
        try:
            return await self._clients.ask(_where(service, request, url), operation, parameters, Call(keys, sockets))
        except FAILURES as error:
            # Without its cause: botocore's messages may quote what was signed.
            raise (sockets and sockets.refusal(call)) or translated(error, call) from None

    def _sockets(self, url: str, call: str) -> Sockets:
        """Return what connects to the endpoint that a source names, and to no address that the guard refuses.

        AWS's own endpoints are not looked at: inside a VPC they have private addresses.
        """
        try:
            return Sockets(destination(url, self._listed()))
        except RefusedUrlError as error:
            raise Forbidden(f"{call}: the endpoint URL {error}") from None


def _build() -> Any:
    """Import aiobotocore and read what every client needs: 0.4 s, so not on the loop."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    from imps_multi.registries.aws_data import LeanFiles
    from imps_multi.registries.aws_trust import sharing_sessions

    session = get_session()
    session.get_component("data_loader").file_loader = LeanFiles()
    session.user_agent_extra += f" imps-multi/{__version__}"
    # As the session's default it also binds the calls that botocore makes for the process's own identity.
    session.set_default_client_config(
        AioConfig(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            retries={"mode": "standard", "total_max_attempts": 1},
            http_session_cls=sharing_sessions(),
        )
    )
    # Here, in the thread; every client of the session then finds the models read.
    for service in ("ecr", "sts"):
        session.warm_up_loader_caches(service)
    session.full_config  # noqa: B018  # read here, since that reads files
    return session


def _where(service: str, request: Mapping[str, str], url: str | None) -> Where:
    """Say which of the region's endpoints to call, of no account where a URL is given."""
    endpoint = ENDPOINTS[request.get("endpoint", "")]
    # What is not asked for stays open: the process's own settings may ask for it.
    return Where(service, request["region"], endpoint.fips or None, endpoint.dual_stack or None, url)


def _registry_service(request: Mapping[str, str]) -> str:
    return _PUBLIC if request.get("public") == "true" else "ecr"


async def _found(resolver: Callable[[], Any]) -> Keys | None:
    """Find the process's own keys. Blocks; runs in a thread of its own."""
    credentials = await resolver().load_credentials()
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return Keys(frozen.access_key, frozen.secret_key, frozen.token)


def _default_resolver(session: Any, known: dict[str, Any]) -> Any:
    """Return what looks where any AWS tool looks, made anew (0.4 ms): it keeps notes while it works."""
    from aiobotocore.credentials import create_credential_resolver

    return create_credential_resolver(session, cache=known, region_name=session.get_config_variable("region"))


async def _in_thread(work: Callable[[], Any], call: str) -> Any:
    """Run what blocks, and translate how it fails. Given up when cancelled; its own time limits end it soon after."""
    from imps_multi.registries.aws_failures import FAILURES, translated

    try:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except FAILURES as error:
        raise translated(error, call) from None


def _own_keys(request: Mapping[str, str]) -> Keys | None:
    if "accessKeyID" not in request:
        return None
    return Keys(request["accessKeyID"], request["secretKey"], request.get("sessionToken"))


def _call(request: Mapping[str, str], name: str) -> str:
    return f"{name} in {request['region']}"


def _read(answer: Mapping[str, Any], issued_at: float, call: str) -> MintedToken:
    data = answer.get("authorizationData")
    # A list of one from a private registry, the one itself from the public registry.
    given = data[0] if isinstance(data, list) and data else data
    if not isinstance(given, dict):
        raise Invalid(f"{call}: the answer holds no token")
    try:
        login = b64decode(str(given.get("authorizationToken", "")), validate=True).decode()
        expires = given.get("expiresAt")
        expires_at = None if expires is None else float(expires.timestamp())
    except (ValueError, OverflowError, AttributeError):
        raise Invalid(f"{call}: the answer's token or its expiry cannot be read") from None
    username, colon, password = login.partition(":")
    if not colon:
        raise Invalid(f"{call}: the token does not hold user:password (there is no colon in it)")
    endpoint = str(given.get("proxyEndpoint", ""))
    return MintedToken(username, password, issued_at, expires_at, endpoint)
