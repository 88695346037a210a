"""HTTP to the token endpoints of registries: guarded, bounded, and every outcome an answer or a port error.

One ``Outbound`` per provider; it holds no connection. Each call looks at its URL with the guard and with
``sources.endpoints`` as they are now, and then at each address at the moment it is connected to, so that a name cannot
change in between. A call has a connection of its own: nothing is pooled, no earlier answer of a name server is used.

- Redirects are not followed; proxies are taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY as Go reads them. Behind a
  proxy it is the proxy that resolves the name, so that only the name is looked at here.
- At most 64 KiB are read of an answer, uncompressed; 3 s to connect, 10 s for the whole call.
- Nothing is tried twice: the token keeper owns the retries.

``ask`` is what most need: a form or JSON there, a JSON object back. ``exchange`` gives the answer as it is, for the
transport of a provider's own library::

    reply = await outbound.exchange("POST", url, call="Google STS token exchange", headers=headers, body=body)
    # from a library's thread: anyio.from_thread.run(partial(outbound.exchange, "POST", url, call=..., body=body))

``call`` names the call in every message, without anything of its URL: ``GitHub installation token``.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import aiohttp
import anyio
import msgspec
from msgspec import Struct
from yarl import URL

from imps_multi import __version__
from imps_multi.model.proxies import proxy_for
from imps_multi.ports import Forbidden, Invalid, Transient
from imps_multi.registries.addresses import kind_of
from imps_multi.registries.guard import Destination, RefusedUrlError, destination
from imps_multi.registries.outbound_failures import FAILURES, KNOWN_CODES, NO_HINTS, answered, unanswered
from imps_multi.registries.sockets import Sockets, barred
from imps_multi.registries.trust import Trust
from imps_multi.resolver import LOOKUPS, Resolver

CONNECT: Final = 3.0
WHOLE: Final = 10.0
LARGEST: Final = 64 << 10


class Reply(Struct, frozen=True):
    """An answer, whatever its status. ``headers`` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show the status only."""
        return f"Reply({self.status})"


class Outbound:
    """Calls token endpoints for one provider. ``own`` and ``inside`` are as the guard has them."""

    def __init__(
        self, listed: Callable[[], tuple[str, ...]], trust: Trust, *, own: tuple[str, ...] = (), inside: bool = False
    ) -> None:
        """``listed`` gives ``sources.endpoints`` as they are now."""
        self._listed = listed
        self._trust = trust
        self._own = own
        self._inside = inside
        self._resolver = Resolver(anyio.Semaphore(LOOKUPS))

    async def ask(
        self,
        method: str,
        url: str,
        *,
        call: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
        known: frozenset[str] = KNOWN_CODES,
        hints: Mapping[int, str] = NO_HINTS,
    ) -> dict[str, object]:
        """Make a call, and return the JSON object that a 2xx answer holds.

        ``known``: error codes that may be shown. ``hints``: what a refusal's status most likely means here.

        Raises:
            Forbidden: the URL may not be called (any more), or 403.
            Transient, Throttled: no answer, 5xx; 429 or a Retry-After.
            Unauthorized: 401, or an error code that says so.
            Invalid: any other 4xx, a redirect, or an answer that is no JSON object of at most 64 KiB.
        """
        kind, body = _body(form, json)
        sent = {"Accept": "application/json", **kind, **(headers or {})}
        reply = await self.exchange(method, url, call=call, headers=sent, body=body)
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            raise answered(call, reply.status, reply.headers, reply.body, known, hints)
        try:
            return msgspec.json.decode(reply.body, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError):
            raise Invalid(f"{call}: the answer is no JSON object (HTTP {reply.status})") from None

    async def exchange(
        self, method: str, url: str, *, call: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Make a call and return its answer, whatever the status; redirects are answers, too.

        Raises:
            Forbidden: the URL may not be called (any more).
            Transient: no answer.
            Invalid: a 2xx answer of more than 64 KiB.
        """
        leads = self._destination(url, call)
        sockets = Sockets(leads)
        try:
            with anyio.fail_after(WHOLE):
                async with self._open(method, leads, headers or {}, body, sockets) as response:
                    return Reply(response.status, _lowered(response), await _bounded(response, call))
        except FAILURES as error:
            # Without its cause, whose words may name the URL.
            raise sockets.refusal(call) or unanswered(call, error) from None

    async def check(self, url: str, *, call: str) -> None:
        """Look at a URL and at its host's addresses now, for a library that will make the call by itself.

        The library resolves the name once more, and may follow redirects: use ``exchange`` wherever it can be.

        Raises:
            Forbidden: it may not be called.
            Transient: its name cannot be resolved.
        """
        leads = self._destination(url, call)
        if self._proxy(leads):
            return
        try:
            with anyio.fail_after(WHOLE):
                found = await self._resolver.resolve(leads.host, leads.port, socket.AF_UNSPEC)
        except (OSError, ValueError):
            raise Transient(f"{call}: the host's name cannot be resolved") from None
        refused = frozenset(kind_of(where["host"]) for where in found if not leads.admits(where["host"]))
        if refused:
            raise barred(call, refused)

    def _destination(self, url: str, call: str) -> Destination:
        try:
            return destination(url, self._listed(), own=self._own, inside=self._inside, query=True)
        except RefusedUrlError as error:
            raise Forbidden(f"{call}: the URL {error}") from None

    def _proxy(self, leads: Destination) -> str:
        """Return by which proxy to go there; empty for none."""
        return proxy_for(leads.url, os.environ)

    @asynccontextmanager
    async def _open(
        self, method: str, leads: Destination, headers: Mapping[str, str], body: bytes, sockets: Sockets
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request over a connection of its own, which ends with the block."""
        proxy = self._proxy(leads)
        connector = aiohttp.TCPConnector(
            ssl=await self._trust.context() if leads.scheme == "https" else True,
            force_close=True,
            use_dns_cache=False,
            resolver=self._resolver,
            socket_factory=None if proxy else sockets,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=WHOLE, sock_connect=CONNECT),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.request(
                method,
                URL(leads.url, encoded=True),
                data=body or None,
                headers={"User-Agent": f"imps-multi/{__version__}", "Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                proxy=proxy or None,
            ) as response,
        ):
            yield response


def _body(form: Mapping[str, str] | None, json: object) -> tuple[dict[str, str], bytes]:
    """Return what is to be sent, and the header that says what it is."""
    if form is not None:
        return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
    if json is not None:
        return {"Content-Type": "application/json"}, msgspec.json.encode(json)
    return {}, b""


async def _bounded(response: aiohttp.ClientResponse, call: str) -> bytes:
    """Read a body, and no more than may be read; of a refusal what goes beyond is not looked at."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > LARGEST:
            if response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise Invalid(f"{call}: the answer is longer than {LARGEST >> 10} KiB (HTTP {response.status})")
            return b""
    return bytes(body)


def _lowered(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
