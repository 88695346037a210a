"""Tokens of GitHub App installations: one POST per call of ``mint``, signed as the App.

What signs is imported at the first mint, in a thread, and works in one. Nothing is tried twice here. Fed with
identities of ``github_source``.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any, Final

import anyio
import anyio.to_thread

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Invalid
from imps_multi.registries.outbound import Outbound

CALL: Final = "GitHub installation token"
USERNAME: Final = "x-access-token"
"""What GitHub's own examples use beside an installation's token; any name would do."""
PERMISSIONS: Final = {"packages": "read"}
_HINTS: Final = {
    401: "the App's ID and its private key do not belong together, the key was deleted, or this host's clock is wrong",
    404: "the App has no such installation",
    422: "the installation does not grant packages: read, or not for these repositories",
}


class GithubProvider:
    """Mints GitHub App installation tokens that may read packages, and nothing else."""

    def __init__(self, clock: Clock, outbound: Outbound) -> None:
        self._clock = clock
        self._outbound = outbound
        self._importing = anyio.Lock()
        self._signer: Any = None
        self._signing = anyio.CapacityLimiter(2)

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token.

        Raises:
            Transient, Throttled: GitHub cannot be reached or asks for patience.
            Unauthorized, Forbidden: GitHub refuses the App, or the URL may not be called.
            Invalid: the request or the answer is of no use.
        """
        request = identity.request
        now = self._clock()
        proof = await self._proof(request, int(now))
        answer = await self._outbound.ask(
            "POST",
            f"{request['apiURL']}/app/installations/{request['installationID']}/access_tokens",
            call=CALL,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {proof}",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            json=_asked(request),
            hints=_HINTS,
        )
        return MintedToken(USERNAME, _token(answer), now, _end(answer))

    async def _proof(self, request: Mapping[str, str], now: int) -> str:
        """Return the App's proof of who it is."""
        async with self._importing:
            if self._signer is None:
                self._signer = await anyio.to_thread.run_sync(_import, limiter=self._signing)
        sign = partial(self._signer.proof, request["issuer"], request["privateKey"], now)
        try:
            return str(await anyio.to_thread.run_sync(sign, limiter=self._signing))
        except ValueError:
            raise Invalid(
                f"{CALL}: the private key of the source cannot be used to sign; it must be an RSA key"
            ) from None


def _import() -> Any:
    try:
        return import_module("imps_multi.registries.github_signing").Signer()
    except ModuleNotFoundError:
        raise Invalid(f"{CALL}: a library is not installed: pip install 'imps-multi[github]'") from None


def _asked(request: Mapping[str, str]) -> dict[str, object]:
    repositories = request.get("repositories")
    return {"permissions": PERMISSIONS} | ({"repositories": repositories.split(",")} if repositories else {})


def _token(answer: Mapping[str, object]) -> str:
    token = answer.get("token")
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise Invalid(f"{CALL}: the answer holds no token")
    return token


def _end(answer: Mapping[str, object]) -> float | None:
    said = answer.get("expires_at")
    if said is None:
        return None
    try:
        end = datetime.fromisoformat(str(said))
        if end.tzinfo is None:
            raise ValueError  # noqa: TRY301  # a time without its zone is as unreadable as none
        return end.timestamp()
    except (ValueError, OverflowError):
        raise Invalid(f"{CALL}: the answer's expires_at cannot be read") from None
