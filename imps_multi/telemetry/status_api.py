"""The status as JSON under ``/api/v1/status``, read-only and always 200, for people, scripts and the status command.

Fed by a function that returns the newest ``ServiceStatus``.
"""

from collections.abc import Callable

import anyio.to_thread
from aiohttp import web

from imps_multi.model.status import ServiceStatus
from imps_multi.telemetry.status_json import PATH, encode_status

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_PAGE = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>imps-multi</title>
<h1>imps-multi</h1>
<p>The status of this instance is at <a href="{PATH}">{PATH}</a>, as JSON.</p>
</html>
"""


def status_routes(status: Callable[[], ServiceStatus]) -> list[web.RouteDef]:
    """Return the routes of the status address."""

    async def handle(_request: web.Request) -> web.Response:
        # A large fleet's status takes a while to write down; the values are frozen, so a thread may do it.
        body = await anyio.to_thread.run_sync(encode_status, status())
        return web.Response(body=body, content_type="application/json", headers=HEADERS)

    return [web.get(PATH, handle), web.get("/", _page)]


async def _page(_request: web.Request) -> web.Response:  # noqa: ASYNC124  # aiohttp wants a coroutine function
    return web.Response(text=_PAGE, content_type="text/html", headers=HEADERS)
