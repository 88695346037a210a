"""Tokens of any OAuth2 token endpoint, by client credentials (RFC 6749 §4.4): one POST per call of ``mint``.

The access token becomes the password. Nothing is tried twice here. Fed with identities of ``oauth2_source``.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus

from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.ports import Clock, Invalid
from imps_multi.registries.oauth2_source import HEADER
from imps_multi.registries.outbound import Outbound

CALL: Final = "OAuth2 client credentials"


class OAuth2Provider:
    """Mints OAuth2 access tokens."""

    def __init__(self, clock: Clock, outbound: Outbound) -> None:
        self._clock = clock
        self._outbound = outbound

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a fresh token.

        Raises:
            Transient, Throttled: the endpoint cannot be reached or asks for patience.
            Unauthorized, Forbidden: it refuses the client, or the URL may not be called.
            Invalid: the request or the answer is of no use.
        """
        request = identity.request
        issued_at = self._clock()
        headers, form = _client(request)
        answer = await self._outbound.ask("POST", request["tokenURL"], call=CALL, headers=headers, form=form)
        token = _token(answer)
        return MintedToken(request["username"], token, issued_at, issued_at + _life(answer, request))


def _client(request: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the form that say who asks for what; RFC 6749 §2.3.1 encodes both parts of a header."""
    form = {"grant_type": "client_credentials"} | {key: request[key] for key in ("scope", "audience") if key in request}
    if request["authStyle"] != HEADER:
        return {}, form | {"client_id": request["clientID"], "client_secret": request["clientSecret"]}
    login = f"{quote_plus(request['clientID'])}:{quote_plus(request['clientSecret'])}"
    return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}, form


def _token(answer: Mapping[str, object]) -> str:
    token, kind = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(token, str) or not token:
        raise Invalid(f"{CALL}: the answer holds no access_token")
    if not (token.isascii() and token.isprintable()):
        raise Invalid(f"{CALL}: the answer's access_token holds signs that no token has")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        # Another kind needs a proof with each use, which nobody can give who only has a password.
        raise Invalid(f"{CALL}: the answer's token_type is not Bearer")
    return token


def _life(answer: Mapping[str, object], request: Mapping[str, str]) -> float:
    """Return the token's life in seconds; some servers write it as text."""
    said = answer.get("expires_in")
    if said is None:
        return float(request["expiresIn"])
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        raise Invalid(f"{CALL}: the answer's expires_in is no number")
    try:
        return float(said)
    except (ValueError, OverflowError):
        raise Invalid(f"{CALL}: the answer's expires_in is no number") from None
