"""HTTP servers for metrics, health and status; those that share an address share one server.

Read-only, no authentication, bound as configured. Built by app, which starts them before anything else, so that an
address that is taken ends the start and not the service.
"""

import errno
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from msgspec import Struct

from imps_multi.model.status import ServiceStatus
from imps_multi.telemetry.address import Address, parse_address
from imps_multi.telemetry.health import Checks, health_routes
from imps_multi.telemetry.metrics import Metrics
from imps_multi.telemetry.status_api import status_routes

GRACE: Final = 1.0
IDLE: Final = 30.0
_WHY: Final = {
    errno.EADDRINUSE: "something else listens there already",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "not permitted; ports under 1024 need a privilege",
}


class AddressError(Exception):
    """An address cannot be listened on; the message names its setting and says why."""


class Service(Struct, frozen=True):
    """What is served where: ``setting`` is the address's name in the configuration, ``address`` its value."""

    setting: str
    address: str
    routes: tuple[web.RouteDef, ...]


def metrics_routes(metrics: Metrics) -> tuple[web.RouteDef, ...]:
    """Return the route of the metrics address."""

    async def handle(request: web.Request) -> web.Response:  # noqa: ASYNC124  # aiohttp wants a coroutine function
        body, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return (web.get("/metrics", handle),)


def services(
    *,
    metrics_address: str,
    health_address: str,
    status_address: str,
    metrics: Metrics,
    live: Checks,
    ready: Checks,
    status: Callable[[], ServiceStatus],
) -> list[Service]:
    """Return the three services as the ``telemetry`` part of the configuration wants them."""
    return [
        Service("telemetry.metricsAddress", metrics_address, metrics_routes(metrics)),
        Service("telemetry.healthAddress", health_address, tuple(health_routes(live=live, ready=ready))),
        Service("telemetry.statusAddress", status_address, tuple(status_routes(status))),
    ]


class HttpServers:
    """Use as ``async with HttpServers(services) as servers``: listening inside the block, closed after it.

    ``bound`` gives each setting's addresses as they came to be, for ports that the system chose.
    """

    def __init__(self, wanted: Iterable[Service]) -> None:
        self._wanted = tuple(wanted)
        self._runners: list[web.AppRunner] = []
        self.bound: dict[str, list[Address]] = {}

    async def __aenter__(self) -> Self:
        try:
            for address, group in self._by_address().items():
                await self._listen(address, group)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop listening and end every connection, within about a second."""
        while self._runners:
            await self._runners.pop().cleanup()

    def _by_address(self) -> dict[Address, list[Service]]:
        grouped: dict[Address, list[Service]] = {}
        for service in self._wanted:
            try:
                address = parse_address(service.address)
            except ValueError as error:
                raise AddressError(f"{service.setting}: {error}") from None
            if address is not None:
                grouped.setdefault(address, []).append(service)
        return grouped

    async def _listen(self, address: Address, group: list[Service]) -> None:
        app = web.Application()
        for service in group:
            app.router.add_routes(service.routes)
        app.on_response_prepare.append(_name_the_server)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE, keepalive_timeout=IDLE)
        self._runners.append(runner)
        await runner.setup()
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            settings = ", ".join(service.setting for service in group)
            why = _WHY.get(error.errno or 0, error.strerror or "it cannot be listened on")
            raise AddressError(f"{settings}: {address}: {why}; choose another address") from error
        taken = [Address(name[0], name[1]) for name in runner.addresses]
        self.bound |= {service.setting: taken for service in group}


async def _name_the_server(_request: web.Request, response: web.StreamResponse) -> None:  # noqa: ASYNC124  # aiohttp wants a coroutine function
    response.headers["Server"] = "imps-multi"
