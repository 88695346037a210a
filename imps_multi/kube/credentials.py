"""Where a client's log-in comes from: fixed, or a token file that somebody else renews.

(Exec plugins have a file of their own.) A source is asked before every request and answers from memory where it can;
after a 401 it is asked to renew what was refused. It never talks to the API server. No repr shows a credential.
"""

import base64
from typing import Final, Protocol

import anyio
import msgspec
from msgspec import Struct

from imps_multi.kube.connection import BasicLogin, BearerToken, KeyPair, TokenFile
from imps_multi.kube.excerpt import excerpt
from imps_multi.model.instant import format_instant
from imps_multi.ports import Reason, Transient
from imps_multi.runtime.single_flight import SingleFlight

REREAD: Final = 60.0
"""Seconds between two looks at a token file, as client-go has it (transport/token_source.go)."""


class Login(Struct, frozen=True):
    """What a request shows: the Authorization header, and a client certificate where the source gives one."""

    authorization: str = ""
    certificate: KeyPair | None = None

    def __repr__(self) -> str:
        """Show neither."""
        return "Login(…)"


class _Claims(Struct):
    exp: float = 0.0


_CLAIMS: Final = msgspec.json.Decoder(_Claims)


class CredentialSource(Protocol):
    """Gives log-ins."""

    async def login(self) -> Login:
        """Return the log-in to use now. Raises Transient where there is none to be had."""

    async def renew(self, stale: Login | None) -> Login:
        """Return one that is not ``stale``, or the same where the source has no other; callers share one run."""


class FixedLogin:
    """What the kubeconfig says, for as long as the client lives."""

    def __init__(self, login: Login) -> None:
        self._login = login

    async def login(self) -> Login:
        """Return it."""
        return self._login

    async def renew(self, stale: Login | None) -> Login:  # noqa: ARG002 - there is no other
        """Return it; a changed kubeconfig makes a new client."""
        return self._login


class TokenFileLogin:
    """The token in a file, looked at again each minute and after a 401. An unreadable file leaves the last token."""

    def __init__(self, source: TokenFile) -> None:
        self._source = source
        self._login = Login(bearer(source.fallback)) if is_token(source.fallback) else None
        self._read_at = float("-inf")
        self._reading = SingleFlight(self._read)

    async def login(self) -> Login:
        """Return the token as last read, read anew when that is a minute ago."""
        if self._login is not None and anyio.current_time() - self._read_at < REREAD:
            return self._login
        return await self._reading()

    async def renew(self, stale: Login | None) -> Login:
        """Read the file, unless somebody did since ``stale``."""
        if self._login is not None and self._login != stale:
            return self._login
        return await self._reading()

    async def _read(self) -> Login:
        try:
            token = (await anyio.Path(self._source.path).read_text(encoding="utf-8")).strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = (error.strerror if isinstance(error, OSError) else None) or "it is not text"
        else:
            problem = "" if is_token(token) else "it holds no token"
        self._read_at = anyio.current_time()
        if not problem:
            self._login = Login(bearer(token))
        elif self._login is None:
            message = f"the token file {self._source.path} cannot be used: {excerpt(problem)}"
            raise Transient(message, reason=Reason.UNAUTHORIZED)
        return self._login


def is_token(token: str) -> bool:
    """Tell whether this can stand in a header."""
    return bool(token) and token.isascii() and token.isprintable()


def bearer(token: str) -> str:
    """Return the header of a token."""
    return f"Bearer {token}"


def ended(login: Login, now: float) -> str:
    """Say since when a refused token is out of date, where it is a JSON web token that tells; nothing else of it."""
    _, _, rest = login.authorization.partition(".")
    payload, _, _ = rest.partition(".")
    try:
        end = _CLAIMS.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).exp
        return f"; the token ended at {format_instant(end)}" if 0 < end < now else ""
    except (ValueError, OverflowError, msgspec.DecodeError):
        return ""


def fixed_login(credential: BearerToken | BasicLogin | None) -> Login:
    """Return the log-in of a credential that never changes."""
    match credential:
        case BearerToken(token=token):
            return Login(bearer(token))
        case BasicLogin(username=username, password=password):
            return Login("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())
        case None:
            return Login()
