"""Tokens of GitHub App installations: one POST per call of ``mint``, signed as the App.

PyJWT and cryptography are imported at the first mint, in a thread; to sign takes a thread, too, for the key is read for
each signature. Nothing is tried twice here. Fed with identities of ``github_source``.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

import anyio.to_thread

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Invalid
from imps_multi.registries.outbound import Outbound

CALL: Final = "GitHub installation token"
USERNAME: Final = "x-access-token"
"""What GitHub's own examples use beside an installation's token; any name would do."""
BEFORE: Final = 60
"""Seconds that the App's signature is dated back, since GitHub's clock may be behind."""
AFTER: Final = 540
"""Seconds until it ends: GitHub takes ten minutes at most."""
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

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token.

        Raises:
            Transient, Throttled: GitHub cannot be reached or asks for patience.
            Unauthorized, Forbidden: GitHub refuses the App, or the URL may not be called.
            Invalid: the request or the answer is of no use.
        """
        request = identity.request
        now = self._clock()
        signature = await anyio.to_thread.run_sync(
            partial(_signed, request["issuer"], request["privateKey"], int(now)), abandon_on_cancel=True
        )
        answer = await self._outbound.ask(
            "POST",
            f"{request['apiURL']}/app/installations/{request['installationID']}/access_tokens",
            call=CALL,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {signature}",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            json=_asked(request),
            hints=_HINTS,
        )
        return MintedToken(USERNAME, _token(answer), now, _end(answer))


def _signed(issuer: str, key: str, now: int) -> str:
    """Return the App's proof of who it is; blocks, and imports at the first time."""
    import jwt

    try:
        return jwt.encode({"iss": issuer, "iat": now - BEFORE, "exp": now + AFTER}, key, algorithm="RS256")
    except NotImplementedError:
        raise Invalid(
            f"{CALL}: RS256 needs a library that is not installed: pip install 'imps-multi[github]'"
        ) from None
    except (ValueError, TypeError, jwt.PyJWTError):
        # Without its cause, which may quote the key.
        raise Invalid(f"{CALL}: the private key of the source cannot be used to sign; it must be an RSA key") from None


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
