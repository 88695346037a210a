"""botocore's clients, one for each service, region and endpoint, whoever asks: making one is half the CPU of a mint.

A client knows no keys. Whose they are, and what may be connected to, goes along with each call, in the context of the
task that makes it, so that calls at the same time do not meet; a client whose call brings none signs with nothing that
anybody knows. It keeps no connection and holds nothing open. Fed by the ECR provider.
"""

import socket
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from msgspec import Struct

from imps_multi.registries.aws_borrowing import Keys
from imps_multi.registries.sockets import SocketAddress, Sockets

MOST_CLIENTS: Final = 16
"""Each is about 100 KB. Who needs more regions and endpoints than that pays for making them anew."""

_NOBODY: Final = "nobody"


class Where(Struct, frozen=True):
    """What a client is of. ``fips``, ``dual_stack``: None leaves it to the process's own settings."""

    service: str
    region: str
    fips: bool | None = None
    dual_stack: bool | None = None
    url: str | None = None


class Call(Struct, frozen=True):
    """What goes along with one call. Never shown."""

    keys: Keys
    sockets: Sockets | None


_under_way: ContextVar[Call] = ContextVar("AWS call")


class Clients:
    """The clients of one session, those that were used last."""

    def __init__(self, session: Any, resolver: Any) -> None:
        """``resolver`` looks up the hosts."""
        self._session = session
        self._resolver = resolver
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    async def ask(self, where: Where, operation: str, parameters: Mapping[str, str], call: Call) -> Mapping[str, Any]:
        """Make one call. Raises whatever botocore raises."""
        client = self._made.get(where) or await self._make(where)
        self._made[where] = client
        self._made.move_to_end(where)
        while len(self._made) > MOST_CLIENTS:
            self._made.popitem(last=False)
        before = _under_way.set(call)
        try:
            answer: Mapping[str, Any] = await getattr(client, operation)(**parameters)
        finally:
            _under_way.reset(before)
        return answer

    async def _make(self, where: Where) -> Any:
        from aiobotocore.config import AioConfig

        connector = {"resolver": self._resolver, "socket_factory": None if where.url is None else _socket}
        making = self._session.create_client(
            where.service,
            region_name=where.region,
            config=AioConfig(
                use_fips_endpoint=where.fips, use_dualstack_endpoint=where.dual_stack, connector_args=connector
            ),
            endpoint_url=where.url,
            aws_access_key_id=_NOBODY,
            aws_secret_access_key=_NOBODY,
        )
        client = await making.__aenter__()  # never left: it opens nothing that would have to be closed
        client.meta.events.register("before-sign", _sign_for)
        return client


def _sign_for(request: Any, **_: Any) -> None:
    """Have a request signed with the keys of the call that it belongs to."""
    from aiobotocore.credentials import AioCredentials

    keys = _under_way.get().keys
    signing = request.context.setdefault("signing", {})
    signing["request_credentials"] = AioCredentials(keys.access_key, keys.secret_key, keys.session_token)


def _socket(address: SocketAddress) -> socket.socket:
    sockets = _under_way.get().sockets
    if sockets is None:
        raise PermissionError("the endpoint was not looked at")
    return sockets(address)
