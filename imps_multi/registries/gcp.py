"""Google's access tokens for Artifact Registry and gcr.io: one chain of calls per ``mint``, as the identity asked for.

The calls are made here, on the loop and through the guarded session, rather than by google-auth: so each is tried once,
ends with its time limit, follows no redirect, reads no endless answer, and holds no thread while an endpoint hangs.
google-auth signs. Nothing is tried twice: the token keeper owns the retries. Fed with identities of ``gcp_source``.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import anyio
import anyio.to_thread
import msgspec

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Invalid, Reason, Transient
from imps_multi.registries.gcp_answers import (
    AccessToken,
    answered_subject,
    impersonated_token,
    oauth_token,
    subject_token,
)
from imps_multi.registries.gcp_credentials import (
    OWN_HOSTS,
    TOKEN_URL,
    UNIVERSE,
    Credentials,
    Federation,
    Impersonation,
    Login,
    ServiceAccountKey,
    SubjectFile,
    impersonation_url,
)
from imps_multi.registries.gcp_own import FLAVOR, Machine, own_identity, read_file
from imps_multi.registries.gcp_source import EVERYTHING
from imps_multi.registries.outbound import Outbound
from imps_multi.registries.own_calls import OwnCalls

USERNAME: Final = "oauth2accesstoken"
"""What Google's registries take an access token with."""
_WHOLE: Final = 30.0
"""A mint may be several calls: the token to exchange, the exchange, each impersonation."""
_LIFE: Final = 3600
_SAME_END: Final = 60.0
"""How far the end of one and the same token may seem to move: it is told in whole seconds from now."""
_FORM: Final = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
_T = TypeVar("_T")


class GcpProvider:
    """Mints access tokens. Use one for the process, on asyncio."""

    def __init__(self, clock: Clock, outbound: Outbound, own_calls: OwnCalls) -> None:
        self._clock = clock
        self._guarded = outbound
        self._unguarded = own_calls
        self._importing = anyio.Lock()
        self._signers: Any = None
        # Threads of their own: whatever hangs in one of them, other providers' work goes on, and so does the signing.
        self._signing = anyio.CapacityLimiter(2)
        self._reading = anyio.CapacityLimiter(4)
        self._ends: dict[str, tuple[int, float]] = {}

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a token that is as fresh as Google gives one: the metadata server hands out what it has.

        Raises:
            Transient, Throttled: Google cannot be reached or asks for patience.
            Unauthorized, Forbidden: Google refuses the identity, or the step to the next one.
            Invalid: the request or the answer is of no use.
        """
        issued_at = self._clock()
        try:
            with anyio.fail_after(_WHOLE):
                token = await self._token(identity.request)
        except TimeoutError:
            raise Transient(f"the Google login: not done after {_WHOLE:.0f} s", reason=Reason.TIMEOUT) from None
        return MintedToken(USERNAME, token.token, issued_at, self._settled_end(identity.key, token))

    async def _token(self, request: Mapping[str, str]) -> AccessToken:
        own = "credentials" not in request
        who = await self._own() if own else msgspec.json.decode(request["credentials"], type=Credentials)
        steps = _steps(who, request.get("impersonate", ""))
        scopes = request["scopes"]
        if isinstance(who, Machine):
            token = await self._of_machine(who, EVERYTHING if steps else scopes)
        else:
            token = await self._of(who, EVERYTHING if steps else scopes, trusted=own)
        for number, step in enumerate(steps, start=1):
            last = number == len(steps)
            token = await self._impersonated(step, token, scopes if last else EVERYTHING, trusted=own)
        return token

    async def _own(self) -> Credentials | Machine:
        return await self._read(partial(own_identity, dict(os.environ)))

    async def _of_machine(self, machine: Machine, scopes: str) -> AccessToken:
        call = "the metadata server"
        url = f"{machine.token_url}?scopes={scopes.replace(' ', ',')}"
        now = self._clock()
        reply = await self._unguarded.exchange("GET", url, call=call, headers=FLAVOR)
        if reply.status == HTTPStatus.OK and not FLAVOR.items() <= reply.headers.items():
            raise Invalid(f"{call}: what answered is none (it lacks the header Metadata-Flavor)")
        return oauth_token(reply, call, now)

    async def _of(self, who: Credentials, scopes: str, *, trusted: bool) -> AccessToken:
        match who.start:
            case ServiceAccountKey() as key:
                call, url = "the token endpoint", key.token_url
                form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
                form["assertion"] = await self._assertion(key, scopes)
            case Federation() as federation:
                call, url = "the token exchange", federation.token_url
                form = {
                    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                    "audience": federation.audience,
                    "scope": scopes,
                    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                    "subject_token": await self._subject(federation, trusted=trusted),
                    "subject_token_type": federation.subject_type,
                }
            case Login() as login:
                call, url = "the token endpoint", login.token_url
                form = {
                    "grant_type": "refresh_token",
                    "client_id": login.client_id,
                    "client_secret": login.client_secret,
                    "refresh_token": login.refresh_token,
                    "scope": scopes,
                }
        now = self._clock()
        reply = await self._calls(trusted).exchange(
            "POST", url, call=call, headers=_FORM, body=urlencode(form).encode()
        )
        return oauth_token(reply, call, now)

    async def _assertion(self, key: ServiceAccountKey, scopes: str) -> str:
        async with self._importing:
            if self._signers is None:
                self._signers = await anyio.to_thread.run_sync(_signers, limiter=self._signing)
        now = int(self._clock())
        claims = {
            "iss": key.email,
            "scope": scopes,
            "aud": _audience(key.token_url),
            "iat": now,
            "exp": now + _LIFE,
        }
        try:
            sign = partial(self._signers.sign, key, claims)
            return str(await anyio.to_thread.run_sync(sign, limiter=self._signing))
        except ValueError:
            raise Invalid("the service account's key: its private_key cannot be read") from None

    async def _subject(self, federation: Federation, *, trusted: bool) -> str:
        """Return the token to exchange."""
        subject = federation.subject
        if isinstance(subject, SubjectFile):
            call = "the federation's credential_source"
            content = await self._read(partial(read_file, Path(subject.path), call))
            return subject_token(content, subject.field, call)
        call = "the address of the federation's credential_source"
        reply = await self._calls(trusted).exchange("GET", subject.url, call=call, headers=subject.headers)
        return answered_subject(reply, subject.field, call, self._clock())

    async def _impersonated(
        self, step: Impersonation, token: AccessToken, scopes: str, *, trusted: bool
    ) -> AccessToken:
        call = "the impersonation of a service account"
        body = {"scope": scopes.split(), "lifetime": f"{step.life}s", "delegates": list(step.delegates)}
        headers = {"Authorization": f"Bearer {token.token}", "Content-Type": "application/json"}
        now = self._clock()
        reply = await self._calls(trusted).exchange(
            "POST", step.url, call=call, headers=headers, body=msgspec.json.encode(body)
        )
        return impersonated_token(reply, call, now)

    def _calls(self, trusted: bool) -> Outbound:  # noqa: FBT001  # the only argument, and named by each caller's own
        return self._unguarded if trusted else self._guarded

    async def _read(self, work: Callable[[], _T]) -> _T:
        """Run what reads files; one on a dead disk is given up, and keeps its thread."""
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._reading)

    def _settled_end(self, identity: str, token: AccessToken) -> float | None:
        """Return the end as it was first told of this very token, so that nobody writes it anew for a second's sake."""
        if token.expires_at is None:
            return None
        was, end = self._ends.get(identity, (0, 0.0))
        if was != hash(token.token) or abs(end - token.expires_at) > _SAME_END:
            end = token.expires_at
        self._ends[identity] = (hash(token.token), end)
        return end


def _signers() -> Any:
    return import_module("imps_multi.registries.gcp_signing").Signers()


def _steps(who: Credentials | Machine, impersonate: str) -> tuple[Impersonation, ...]:
    """Return whom to become, in turn."""
    named, universe = ((), UNIVERSE) if isinstance(who, Machine) else (who.impersonations, who.universe)
    more = (Impersonation(impersonate, impersonation_url(impersonate, universe)),) if impersonate else ()
    return (*named, *more)


def _audience(token_url: str) -> str:
    """Return whom an assertion is for, so that nobody but the one that it is shown to can use it."""
    return TOKEN_URL if urlsplit(token_url).hostname in OWN_HOSTS else token_url
