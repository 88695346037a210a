"""HTTP to one API server: log-in, TLS, time limits, size limits, and every outcome as a port error or bytes.

One aiohttp session per cluster. It knows no kind of object; ``secret_calls`` and ``reflector`` say what to send and
read what comes. It does not retry, save for one repetition with a renewed log-in after a 401; it does not limit rates.
kubernetes_asyncio's own request path is not used: two thread hops per request for proxies and .netrc, no time limits,
and an unchecked status on raw answers.
"""

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
import anyio
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from msgspec import Struct, structs
from yarl import URL

import imps_multi
from imps_multi.kube.answers import Status, read_status, refusal
from imps_multi.kube.connection import Connection, KeyPair
from imps_multi.kube.connector import Connector
from imps_multi.kube.credentials import CredentialSource, Login, ended
from imps_multi.kube.exchange import Answer, Exchange, Headers, Over
from imps_multi.kube.failures import failure, tls_words
from imps_multi.kube.handler import Whole
from imps_multi.kube.quoting import unquoted
from imps_multi.kube.resuming import Sessions
from imps_multi.kube.shared import Shared
from imps_multi.ports import PortError, Reason, Transient, Unauthorized
from imps_multi.resolver import Resolver

CONNECT_LIMIT: Final = 10.0
"""Seconds for the TCP and TLS handshakes of one attempt; waiting at the fleet's gate does not count."""
PROBE_LIMIT: Final = 2.0
LARGEST_ANSWER: Final = 4 << 20
LARGEST_REFUSAL: Final = 64 << 10
COPIED_BODY: Final = 1 << 20
"""aiohttp wants bodies beyond this as a file, and warns otherwise."""

JSON: Final = "application/json"
FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""Everything that aiohttp raises for a request that failed; ssl.SSLError is an OSError."""


T = TypeVar("T")


class Call(Struct, frozen=True, gc=False):
    """A request. ``what`` says in words what is tried; ``path`` is encoded and starts with a slash."""

    what: str
    method: str
    path: str
    accept: str = JSON
    body: bytes | None = None
    content_type: str = JSON

    def __repr__(self) -> str:
        """Show all but the body."""
        return f"Call({self.method} {self.path})"


class Way(Struct, frozen=True):
    """How a request goes: over which session, and within which times. ``head_within`` bounds the answer's head."""

    session: ClientSession
    limits: ClientTimeout
    head_within: float | None = None


class OversizedAnswer(Transient):
    """An answer beyond the limit that the caller set."""


class FellSilent(Transient):
    """A stream from which nothing came for too long."""


class Transport:
    """The client's HTTP. ``last_byte_at`` counts as ``anyio.current_time`` does."""

    def __init__(
        self, connection: Connection, credentials: CredentialSource, *, request_timeout: float, shared: Shared
    ) -> None:
        self._connection = connection
        self._credentials = credentials
        self._shared = shared
        self.request_timeout = request_timeout
        self._now = asyncio.get_running_loop().time  # what anyio.current_time comes to, at a tenth of the cost
        self.last_byte_at = self._now()
        self._limits = ClientTimeout(total=request_timeout, sock_connect=CONNECT_LIMIT)
        self._host = connection.host
        self._shown: Login | None = None
        self._open: set[ClientResponse | Answer] = set()
        self._context: tuple[KeyPair | None, ssl.SSLContext] | None = None
        self._sessions = None if connection.proxy else Sessions()
        self._connector = self._new_connector()
        self._session = self._new_session(self._connector)
        self._exchange = Exchange(
            self._connector,
            connection.server,
            headers=self._usual_headers(),
            server_name=connection.server_name,
            connect_within=CONNECT_LIMIT,
        )

    @property
    def server(self) -> str:
        """Return the server's URL, as messages name it."""
        return self._connection.server

    async def prepare(self) -> None:
        """Build the TLS context now, so that what is wrong with it shows. Raises Transient (TLS)."""
        await self._tls("set up TLS", None)

    async def call(self, call: Call, *, largest: int = LARGEST_ANSWER, session: ClientSession | None = None) -> bytes:
        """Send a request, within the request timeout, and return the answer's body. Raises port errors only.

        It goes over one of the shared connections, or over those of the session given.
        """
        if session is None and not self._connection.proxy:
            return await self._logged_in(partial(self._asked, call, largest, self.request_timeout, Over.KEPT))
        return await self._body(await self._accepted(call, Way(session or self._session, self._limits)), call, largest)

    def own_connection(self) -> ClientSession:
        """Return a session whose connections serve nobody else; the caller closes it."""
        return self._new_session(self._new_connector())

    async def stream(self, call: Call, *, silence: float) -> "Stream":
        """Open a stream; ``silence`` seconds without a byte end it. The caller closes it."""
        limits = ClientTimeout(total=None, sock_connect=CONNECT_LIMIT, sock_read=silence)
        return Stream(self, call, await self._accepted(call, Way(self._session, limits, self.request_timeout)))

    async def probe(self, call: Call, *, anew: bool = False) -> bytes:
        """Send a request on a fresh connection, past the gate, within two seconds (a log-in has a limit of its own).

        ``anew``: nothing that was kept is used any more, since its peer may be gone; this connection is, from now on.
        """
        self._connector.clear_dns_cache()  # the server may have moved while it was away
        if not self._connection.proxy:
            over = Over.ANEW if anew else Over.FRESH
            return await self._logged_in(partial(self._asked, call, LARGEST_REFUSAL, PROBE_LIMIT, over))
        async with self._new_session(self._new_connector(single_use=True)) as session:
            way = Way(session, ClientTimeout(total=PROBE_LIMIT, sock_connect=PROBE_LIMIT))
            return await self._body(await self._accepted(call, way), call, LARGEST_REFUSAL)

    async def look(self, call: Call) -> tuple[bytes, str]:
        """Send a request on a connection of its own; return the answer's body and its Date."""
        async with self._new_session(self._new_connector(single_use=True)) as session:
            way = Way(session, ClientTimeout(total=PROBE_LIMIT, sock_connect=PROBE_LIMIT))
            response = await self._accepted(call, way)
            date = response.headers.get("Date", "")
            return await self._body(response, call, LARGEST_REFUSAL), date

    async def renew_credentials(self) -> None:
        """Renew the log-in that was shown last, unless that has been done since."""
        await self._credentials.renew(self._shown)

    def refusal(self, call: Call, status: Status) -> PortError:
        """Return the error for a refusal that came inside a stream."""
        return refusal(call.what, self.server, status)

    def heard(self) -> None:
        """Note that a byte came."""
        self.last_byte_at = self._now()

    def let_go(self, response: ClientResponse | Answer) -> None:
        """Give the connection back for the next request, or drop it where the answer was not read to its end."""
        self._open.discard(response)
        if response.content.at_eof():
            response.release()
        else:
            response.close()

    async def aclose(self) -> None:
        """Close every connection, the busy ones too, without waiting for the peer."""
        for response in tuple(self._open):  # or their readers would never hear of it
            self.let_go(response)
        self._exchange.close()
        with anyio.move_on_after(0.5, shield=True):
            await self._session.close()

    async def _accepted(self, call: Call, way: Way) -> ClientResponse:
        """Return a 2xx answer, body unread."""
        return await self._logged_in(partial(self._tried, call, way))

    async def _logged_in(self, send: Callable[[Login], Awaitable[T]]) -> T:
        """Send with the log-in of now; after a 401 it is renewed and the request repeated, once."""
        login = self._shown = await self._credentials.login()
        try:
            return await send(login)
        except Unauthorized as refused:
            renewed = self._shown = await self._credentials.renew(login)  # noqa: ASYNC120  # cancelled, nobody asks why
            if renewed == login:
                raise Unauthorized(f"{refused}{ended(login, self._shared.clock())}") from None
        return await send(renewed)

    async def _asked(self, call: Call, largest: int, within: float, over: Over, login: Login) -> bytes:
        """Send without a session, and return the body of a 2xx answer, all of it ``within`` so many seconds."""
        context = await self._tls(call.what, login.certificate)
        if self._session.closed:
            raise Transient(f"{call.what} on {self.server}: the client is closed")
        try:
            answer = await self._exchange.ask(
                call.method, call.path, _headers(call, login), call.body, tls=context, within=within, over=over
            )
        except FAILURES as error:
            self._count("<error>", call)
            raise failure(call.what, self.server, error) from _shown_cause(error)
        self.heard()
        self._count(str(answer.status), call)
        if isinstance(answer, Whole):
            return answer.body
        self._open.add(answer)
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return await self._body(answer, call, largest)
        raise refusal(call.what, self.server, await self._status(answer, call), answer.headers)

    async def _tried(self, call: Call, way: Way, login: Login) -> ClientResponse:
        context = await self._tls(call.what, login.certificate)
        if way.session.closed:
            raise Transient(f"{call.what} on {self.server}: the client is closed")
        try:
            with _limit(way.head_within):
                response = await self._sent(call, way, login, context)
        except FAILURES as error:
            self._count("<error>", call)
            raise failure(call.what, self.server, error) from _shown_cause(error)
        self._open.add(response)
        self.heard()
        self._count(str(response.status), call)
        if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            return response
        raise refusal(call.what, self.server, await self._status(response, call), response.headers)

    async def _sent(self, call: Call, way: Way, login: Login, context: ssl.SSLContext | None) -> ClientResponse:
        body = call.body
        return await way.session.request(
            call.method,
            URL(self._connection.server + call.path, encoded=True),
            data=io.BytesIO(body) if body is not None and len(body) > COPIED_BODY else body,
            headers=_headers(call, login),
            timeout=way.limits,
            ssl=context or True,
            server_hostname=self._connection.server_name or None,
            proxy=self._connection.proxy or None,
            allow_redirects=False,
        )

    async def _tls(self, what: str, certificate: KeyPair | None) -> ssl.SSLContext | None:
        """Return the context for a log-in's certificate, or else the connection's; None for plain HTTP."""
        if not self._connection.server.startswith("https:"):
            return None
        certificate = certificate or self._connection.certificate
        if self._context is None or self._context[0] != certificate:
            try:
                context = await self._shared.contexts.context(
                    ca=self._connection.ca, insecure=self._connection.insecure, certificate=certificate
                )
            except (ssl.SSLError, ValueError) as error:
                words = f"the CA or the client certificate cannot be used: {tls_words(error)}"
                raise Transient(f"{what} on {self.server}: {words}", reason=Reason.TLS) from error
            self._context = (certificate, context)
        return self._context[1]

    async def _status(self, response: ClientResponse | Answer, call: Call) -> Status:
        """Read a refusal, without what it quotes; a body that is cut off or too long tells no more than its code."""
        try:
            body = await self._body(response, call, LARGEST_REFUSAL)
        except Transient:
            body = b""
        status = read_status(response.status, body)
        shown = self._shown.authorization if self._shown is not None else ""
        message = unquoted(status.message, body=call.body, authorization=shown)
        return structs.replace(status, message=message)

    async def _body(self, response: ClientResponse | Answer, call: Call, largest: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while chunk := await response.content.readany():
                self.heard()
                parts.append(chunk)
                size += len(chunk)
                if size > largest:
                    words = f"the answer is larger than {largest} bytes"
                    raise OversizedAnswer(f"{call.what} on {self.server}: {words}", answered=True)
        except FAILURES as error:
            raise failure(call.what, self.server, error, answered=True) from _shown_cause(error)
        finally:
            self.let_go(response)
        return b"".join(parts)

    def _new_connector(self, *, single_use: bool = False) -> Connector:
        gate = None if single_use else self._shared.handshakes
        return Connector(
            resolver=Resolver(self._shared.lookups), gate=gate, sessions=self._sessions, single_use=single_use
        )

    def _new_session(self, connector: Connector) -> ClientSession:
        return ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._usual_headers(),
            trust_env=False,
            timeout=ClientTimeout(total=self.request_timeout),
        )

    def _usual_headers(self) -> Headers:
        """Return what every request carries."""
        return (
            ("User-Agent", f"imps-multi/{imps_multi.__version__} (hub {self._shared.hub})"),
            ("Accept-Encoding", "identity"),
            *self._connection.impersonation,
        )

    def _count(self, code: str, call: Call) -> None:
        self._shared.on_request(code, call.method, self._host)


class Stream:
    """An open answer, read as it comes."""

    def __init__(self, transport: Transport, call: Call, response: ClientResponse) -> None:
        self._transport = transport
        self._call = call
        self._response = response

    async def read(self, *, within: float | None = None) -> bytes:
        """Return what came next; nothing when the server ended the stream properly.

        Raises:
            FellSilent: nothing came ``within`` so many seconds, or for as long as the stream was opened for.
            Transient: the stream was cut.
        """
        try:
            with _limit(within):
                chunk = await self._response.content.readany()
        except TimeoutError as error:
            words = f"{self._call.what} on {self._transport.server}: the stream fell silent"
            raise FellSilent(words, reason=Reason.TIMEOUT, answered=True) from error
        except FAILURES as error:
            raise failure(self._call.what, self._transport.server, error, answered=True) from _shown_cause(error)
        if chunk:
            self._transport.heard()
        return chunk

    def close(self) -> None:
        """Drop the connection."""
        self._transport.let_go(self._response)


def _limit(seconds: float | None) -> AbstractContextManager[object]:
    """Bound a block in time, at no cost where there is no bound."""
    return nullcontext() if seconds is None else anyio.fail_after(seconds)


def _headers(call: Call, login: Login) -> Headers:
    headers = [("Accept", call.accept)]
    if login.authorization:
        headers.append(("Authorization", login.authorization))
    if call.body is not None:
        headers.append(("Content-Type", call.content_type))
    return tuple(headers)


def _shown_cause(error: Exception) -> Exception | None:
    """Leave out what would show the request's headers, and the log-in with them, in a repr."""
    return None if isinstance(error, aiohttp.ClientResponseError) else error
