"""The status as JSON under ``/api/v1/status``, read-only and always 200, for people, scripts and the status command.

Fed by a function that returns the newest ``ServiceStatus``. Nulls are left out; every other field is always there.
"""

from collections.abc import Callable

import anyio.to_thread
import msgspec
from aiohttp import web

from imps_multi.model.status import ServiceStatus

PATH = "/api/v1/status"
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


def encode_status(status: ServiceStatus) -> bytes:
    """Write a status as JSON, camelCase, without nulls."""
    return msgspec.json.encode(without_nulls(msgspec.to_builtins(status)))


def without_nulls(value: object) -> object:
    """Drop what is null from every mapping in a plain value."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


async def _page(_request: web.Request) -> web.Response:  # noqa: ASYNC124  # aiohttp wants a coroutine function
    return web.Response(text=_PAGE, content_type="text/html", headers=HEADERS)
