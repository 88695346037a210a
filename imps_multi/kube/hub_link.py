"""The connection to the hub's API server: made when first asked for, and anew when the kubeconfig changed.

Shared by everything that talks to the hub in a cluster: its watches, the policy board, the state store. Holds no state
of the hub. Closed by whoever built it, after everything else has ended.
"""

import anyio

from imps_multi.kube.connection import Connection
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import credential_source
from imps_multi.kube.transport import Call, Transport
from imps_multi.runtime.latest import Latest

VERSION = Call("read the version", "GET", "/version")


class HubLink:
    """One hub's transport. ``changed`` counts the connections that were adopted."""

    def __init__(self, connection: Connection, *, request_timeout: float, shared: Shared) -> None:
        self.request_timeout = request_timeout
        self.changed: Latest[int] = Latest(0)
        self._connection = connection
        self._shared = shared
        self._making: anyio.Lock | None = None
        self._transport: Transport | None = None
        self._former: list[Transport] = []

    @property
    def place(self) -> str:
        """Say where the connection is written, for people."""
        return self._connection.place

    @property
    def server(self) -> str:
        """Return the server's URL."""
        return self._connection.server

    async def transport(self) -> Transport:
        """Return the transport of the connection that is in force. Raises Transient (TLS) where there can be none."""
        self._making = self._making or anyio.Lock()
        async with self._making:
            while self._former:
                await self._former.pop().aclose()
            if self._transport is None:
                self._transport = await self._made()
            return self._transport

    async def call(self, call: Call, *, largest: int | None = None) -> bytes:
        """Send a request; see ``Transport.call``."""
        transport = await self.transport()
        return await (transport.call(call) if largest is None else transport.call(call, largest=largest))

    async def probe(self) -> None:
        """GET /version on a fresh connection, within two seconds. Raises port errors."""
        await (await self.transport()).probe(VERSION)

    def adopt(self, connection: Connection) -> None:
        """Take up another connection, where it is one; what is under way on the old one breaks off soon."""
        if connection.fingerprint == self._connection.fingerprint:
            return
        self._connection = connection
        if self._transport is not None:
            self._former.append(self._transport)
        self._transport = None
        self.changed.set(self.changed.value + 1)

    async def aclose(self) -> None:
        """Close every connection; idempotent."""
        for transport in (*self._former, self._transport):
            if transport is not None:
                await transport.aclose()
        self._former, self._transport = [], None

    async def _made(self) -> Transport:
        source = credential_source(self._connection, self._shared)
        made = Transport(self._connection, source, request_timeout=self.request_timeout, shared=self._shared)
        try:
            await made.prepare()
        except BaseException:
            await made.aclose()
            raise
        return made
